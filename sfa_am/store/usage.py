"""Who holds how much: sums of claims, by resource."""

from collections import Counter

from sqlalchemy import ColumnElement, Connection, func, or_, select

from credentials import URN
from sfa_am.store.schema import claim, slice_, sliver


def of_user(tx: Connection, user: URN) -> Counter[str]:
    """What slivers hold that this user asked for, in whatever slice."""
    return _sums(tx, sliver.c.owner == str(user).lower())


def of_slice(tx: Connection, slice_urn: URN) -> Counter[str]:
    """What a slice holds here."""
    return _sums(tx, slice_.c.urn_key == str(slice_urn).lower())


def of_authority(tx: Connection, authority: str, *, below: bool) -> Counter[str]:
    """What the slices of an authority ("a:b") hold here; with those of the authorities below it if `below`."""
    prefix = f"urn:publicid:idn+{authority.lower()}"
    own = slice_.c.urn_key.startswith(f"{prefix}+", autoescape=True)
    return _sums(tx, or_(own, slice_.c.urn_key.startswith(f"{prefix}:", autoescape=True)) if below else own)


def _sums(tx: Connection, whose: ColumnElement[bool]) -> Counter[str]:
    query = (
        select(claim.c.resource, func.sum(claim.c.amount))
        .join(sliver, sliver.c.id == claim.c.sliver_id)
        .join(slice_, slice_.c.id == sliver.c.slice_id)
        .where(whose)
        .group_by(claim.c.resource)
    )
    return Counter({resource: int(total) for resource, total in tx.execute(query)})
