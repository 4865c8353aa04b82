"""What the service answers with: values, not yet in any API's words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from credentials import URN
from sfa_am.slices.identity import Identity
from sfa_am.slices.states import Allocation, Operational, Situation, operational
from sfa_am.store.slivers import SliverRow


@dataclass(frozen=True, slots=True, kw_only=True)
class SliverState:
    """One sliver as clients are told of it. `error` is empty when nothing is wrong with it."""

    urn: URN
    client_id: str
    allocation: Allocation
    operational: Operational
    expires_at: datetime
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A manifest and the states of the slivers in it."""

    slice: URN
    manifest: str
    slivers: Sequence[SliverState]


def state_of(row: SliverRow, identity: Identity, error: str = "") -> SliverState:
    """The state of a sliver, derived from its row."""
    return SliverState(
        urn=identity.sliver(row.id),
        client_id=row.client_id,
        allocation=Allocation(row.allocation),
        operational=operational_of(row),
        expires_at=row.expires_at,
        error=error or row.fault,
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
