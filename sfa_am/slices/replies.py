"""What the service answers with: values, not yet in any API's words."""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from backends.protocol import Login
from credentials import URN
from sfa_am.slices.identity import Identity
from sfa_am.slices.states import Allocation, Operational, Situation, operational
from sfa_am.store.slivers import SliverRow, SliverUser


@dataclass(frozen=True, slots=True, kw_only=True)
class SliverState:
    """One sliver as clients are told of it.

    error:  empty when nothing is wrong with it
    logins: the ways in that there are now; users: for whom
    """

    urn: URN
    client_id: str
    allocation: Allocation
    operational: Operational
    expires_at: datetime
    error: str = ""
    logins: tuple[Login, ...] = ()
    users: tuple[SliverUser, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A manifest and the states of the slivers in it."""

    slice: URN
    manifest: str
    slivers: Sequence[SliverState]


def packed(text: str) -> str:
    """A document as the option geni_compressed asks: zlib, then base64."""
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()


def state_of(row: SliverRow, identity: Identity, error: str = "") -> SliverState:
    """The state of a sliver, derived from its row."""
    return SliverState(
        urn=identity.sliver(row.id),
        client_id=row.client_id,
        allocation=Allocation(row.allocation),
        operational=operational_of(row),
        expires_at=row.expires_at,
        error=error or row.fault,
        logins=row.logins,
        users=row.users,
    )


def operational_of(row: SliverRow) -> Operational:
    """The operational state of a row."""
    return operational(
        Situation(
            allocation=Allocation(row.allocation),
            running=row.running,
            seen=row.seen,
            current=row.seen_generation >= row.generation,
        )
    )
