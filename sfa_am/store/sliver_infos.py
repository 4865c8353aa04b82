"""What tools told of slivers: which slice holds what at which aggregate. Hints, which nothing here rests on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, true, update

from credentials import URN
from sfa_am.store.schema import registered_slice, sliver_info


@dataclass(frozen=True, slots=True, kw_only=True)
class SliverInfo:
    """A sliver as somebody told of it. expires_at: None where not told."""

    urn: URN
    slice_urn: URN
    aggregate_urn: URN
    creator_urn: URN
    created_at: datetime
    expires_at: datetime | None = None


def add(tx: Connection, one: SliverInfo) -> None:
    """Write a sliver down, which must not be there."""
    tx.execute(
        insert(sliver_info).values(
            urn=str(one.urn),
            slice_urn=str(one.slice_urn).lower(),
            aggregate_urn=str(one.aggregate_urn),
            creator_urn=str(one.creator_urn),
            created_at=one.created_at,
            expires_at=one.expires_at,
        )
    )


def named(tx: Connection, urn: URN) -> Sequence[SliverInfo]:
    """What is told of a sliver: once for each slice that is said to hold it, since anybody may claim a name."""
    return _read(tx, sliver_info.c.urn == str(urn))


def everything(tx: Connection, *, slices: Collection[URN] | None = None) -> Sequence[SliverInfo]:
    """The slivers of some slices, or all, by name."""
    if slices is None:
        return _read(tx, true())
    return _read(tx, sliver_info.c.slice_urn.in_([str(urn).lower() for urn in slices]))


def concerning(tx: Connection, person: URN, slices: Collection[URN]) -> Sequence[SliverInfo]:
    """The slivers of some slices, and those that a person made, by name."""
    is_theirs = sliver_info.c.creator_urn == str(person)
    return _read(tx, is_theirs | sliver_info.c.slice_urn.in_([str(urn).lower() for urn in slices]))


def count(tx: Connection, slice_urn: URN) -> int:
    """How many slivers of a slice are known."""
    here = sliver_info.c.slice_urn == str(slice_urn).lower()
    return tx.execute(select(func.count()).select_from(sliver_info).where(here)).scalar_one()


def set_end(tx: Connection, one: SliverInfo, expires_at: datetime | None) -> None:
    """Change when a sliver ends."""
    tx.execute(update(sliver_info).where(_here(one)).values(expires_at=expires_at))


def remove(tx: Connection, one: SliverInfo) -> None:
    """Forget a sliver."""
    tx.execute(delete(sliver_info).where(_here(one)))


def _here(one: SliverInfo) -> ColumnElement[bool]:
    return (sliver_info.c.urn == str(one.urn)) & (sliver_info.c.slice_urn == str(one.slice_urn).lower())


def _read(tx: Connection, which: ColumnElement[bool]) -> list[SliverInfo]:
    query = (
        select(sliver_info, registered_slice.c.name.label("slice_name"))
        .join(registered_slice, registered_slice.c.urn == sliver_info.c.slice_urn)
        .where(which)
        .order_by(sliver_info.c.urn)
    )
    return [
        SliverInfo(
            urn=URN.parse(row["urn"]),
            slice_urn=URN.parse(row["slice_name"]),
            aggregate_urn=URN.parse(row["aggregate_urn"]),
            creator_urn=URN.parse(row["creator_urn"]),
            created_at=row["created_at"],
            expires_at=row["expires_at"],
        )
        for row in tx.execute(query).mappings()
    ]
