"""Operations: the rows that say "somebody should bring this sliver to its newest generation".

At most one per sliver: a newer wish finds the row there and coalesces with it. A worker takes a row for a limited time
(the lease) and gets a fence number; what a worker brings back under an old fence is not stored, so one that stalled
past its lease can't undo what its successor did.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from backends.protocol import SliverId
from sfa_am.store.schema import operation
from sfa_am.store.slivers import in_portions


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An operation under lease. `attempts` counts the failures before this try; `holder` is unique to this taking."""

    sliver_id: SliverId
    backend: str
    kind: str
    fence: int
    holder: str
    attempts: int
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A sliver that should be looked at, and what kind of work that is: "converge" or "remove"."""

    sliver_id: SliverId
    backend: str
    kind: str


def ask(tx: Connection, wishes: Iterable[Wish], *, now: datetime) -> None:
    """Have slivers looked at now. An operation that is open is renewed: from now on, and counting from no failures.

    The fence grows, so that a worker which is at it right now with an older wish doesn't close the operation.
    """
    for wish in wishes:
        renewed = tx.execute(
            update(operation)
            .where(operation.c.sliver_id == wish.sliver_id)
            .values(kind=wish.kind, fence=operation.c.fence + 1, attempts=0, not_before=now, asked_at=now)
        )
        if renewed.rowcount == 0:
            tx.execute(
                insert(operation).values(
                    sliver_id=wish.sliver_id, backend=wish.backend, kind=wish.kind, not_before=now, asked_at=now
                )
            )


def take(tx: Connection, *, backend: str, kind: str, most: int, lease: timedelta, now: datetime) -> tuple[Taken, ...]:
    """Lease up to `most` operations that are due and in nobody's hands, longest due first."""
    holder = secrets.token_hex(8)
    due = (
        tx.execute(
            select(operation)
            .where(operation.c.backend == backend, operation.c.kind == kind, operation.c.not_before <= now)
            .where(or_(operation.c.lease_until.is_(None), operation.c.lease_until <= now))
            .order_by(operation.c.not_before)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        .mappings()
        .all()
    )
    if due:
        tx.execute(
            update(operation)
            .where(operation.c.sliver_id.in_([row["sliver_id"] for row in due]))
            .values(fence=operation.c.fence + 1, lease_owner=holder, lease_until=now + lease)
        )
    return tuple(
        Taken(
            sliver_id=SliverId(row["sliver_id"]),
            backend=row["backend"],
            kind=row["kind"],
            fence=row["fence"] + 1,
            holder=holder,
            attempts=row["attempts"],
            asked_at=row["asked_at"],
        )
        for row in due
    )


def finish(tx: Connection, taken: Taken) -> bool:
    """Close the operation. False when the fence has moved: somebody asked again, and that wish stays open."""
    if tx.execute(delete(operation).where(_still(taken))).rowcount:
        return True
    _release(tx, taken)
    return False


def postpone(tx: Connection, taken: Taken, *, until: datetime, failed: bool) -> None:
    """Give the operation back, to be tried again from `until` on; counts a failure when it failed."""
    given_back = tx.execute(
        update(operation)
        .where(_still(taken))
        .values(lease_owner=None, lease_until=None, not_before=until, attempts=taken.attempts + int(failed))
    )
    if given_back.rowcount == 0:
        _release(tx, taken)


def is_current(tx: Connection, taken: Taken) -> bool:
    """Whether nobody has asked again or taken over since."""
    return tx.execute(select(operation.c.fence).where(_still(taken))).first() is not None


def release_all(tx: Connection) -> int:
    """Void all leases: for a start when no other process can be at work. Says how many there were."""
    return tx.execute(
        update(operation).where(operation.c.lease_owner.is_not(None)).values(lease_owner=None, lease_until=None)
    ).rowcount


def next_due(tx: Connection, *, backend: str, kind: str, now: datetime) -> datetime | None:
    """When the next operation that nobody holds is due: past or future, or None when there is none."""
    due: datetime | None = tx.execute(
        select(func.min(operation.c.not_before))
        .where(operation.c.backend == backend, operation.c.kind == kind)
        .where(or_(operation.c.lease_until.is_(None), operation.c.lease_until <= now))
    ).scalar_one()
    return due


def open_among(tx: Connection, ids: Iterable[SliverId]) -> frozenset[SliverId]:
    """Which of these slivers have an operation open."""
    found: set[SliverId] = set()
    for some in in_portions(ids):
        rows = tx.execute(select(operation.c.sliver_id).where(operation.c.sliver_id.in_(some)))
        found.update(SliverId(sliver_id) for (sliver_id,) in rows)
    return frozenset(found)


def _still(taken: Taken) -> ColumnElement[bool]:
    return (operation.c.sliver_id == taken.sliver_id) & (operation.c.fence == taken.fence)


def _release(tx: Connection, taken: Taken) -> None:
    """Somebody asked again while this worker held the lease: let the new wish be taken at once."""
    tx.execute(
        update(operation)
        .where(operation.c.sliver_id == taken.sliver_id, operation.c.lease_owner == taken.holder)
        .values(lease_owner=None, lease_until=None)
    )
