"""Trusted roots: which authorities' certificates we believe, about which names, and what they have taken back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from credentials import GID, Root, Trust
from sfa_am.store import revocation
from sfa_am.store.schema import trust_root


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRow:
    """A root as the operator confirmed it.

    gid:         PEM
    names:       authorities ("a:b") that it may vouch for, with all below them
    legacy_sha1: whether its signatures may be RSA-SHA1
    added_by:    who confirmed it
    """

    fingerprint: str
    gid: str
    names: tuple[str, ...]
    legacy_sha1: bool
    added_at: datetime
    added_by: str


def put(tx: Connection, root: RootRow) -> None:
    """Add a root, or change what it may do."""
    values = {
        "gid": root.gid,
        "names": list(root.names),
        "legacy_sha1": root.legacy_sha1,
        "added_at": root.added_at,
        "added_by": root.added_by,
    }
    here = trust_root.c.fingerprint == root.fingerprint
    if tx.execute(update(trust_root).where(here).values(**values)).rowcount == 0:
        tx.execute(insert(trust_root).values(fingerprint=root.fingerprint, **values))


def remove(tx: Connection, fingerprint: str) -> bool:
    """Trust it no more. False when it was not there."""
    return tx.execute(delete(trust_root).where(trust_root.c.fingerprint == fingerprint)).rowcount == 1


def everything(tx: Connection) -> Sequence[RootRow]:
    """All roots, oldest first."""
    rows = tx.execute(select(trust_root).order_by(trust_root.c.added_at, trust_root.c.fingerprint)).mappings()
    return tuple(RootRow(**{**row, "names": tuple(row["names"])}) for row in rows)


def whole(tx: Connection) -> Trust:
    """The roots and the revocation lists, as the checks of credentials want them."""
    roots = [Root(GID.parse(row.gid), names=row.names, legacy_sha1=row.legacy_sha1) for row in everything(tx)]
    return Trust(roots, crls=[row.crl for row in revocation.lists(tx)])


def version(tx: Connection) -> tuple[object, ...]:
    """A value that changes whenever the roots or the revocation lists do."""
    roots = tx.execute(select(func.count(), func.max(trust_root.c.added_at))).one()
    return (*roots, *revocation.version(tx))
