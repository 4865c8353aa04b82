"""Operations: the rows that say "somebody should bring this sliver to its newest generation".

At most one per sliver: a newer wish finds the row there and coalesces with it. A worker takes a row for a limited time
(the lease) and gets a fence number; what a worker brings back under an old fence is not stored, so one that stalled
past its lease can't undo what its successor did.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

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
    """A sliver that should be looked at, and what kind of work that is: "converge" or "remove".

    early: whether it is due a moment before the others that are asked for with it
    """

    sliver_id: SliverId
    backend: str
    kind: str
    early: bool = False


_EARLIER = timedelta(milliseconds=1)

# Statements of every call, built once: building one takes longer than executing it.

_IS_STILL = (operation.c.sliver_id == bindparam("key")) & (operation.c.fence == bindparam("held_fence"))
_ASK_AGAIN = (
    update(operation)
    .where(operation.c.sliver_id == bindparam("key"))
    .values(
        kind=bindparam("new_kind"),
        fence=operation.c.fence + 1,
        attempts=0,
        not_before=bindparam("due"),
        asked_at=bindparam("now"),
    )
)
_ASK = insert(operation)
_DUE = (
    select(operation)
    .where(operation.c.backend == bindparam("backend"), operation.c.kind == bindparam("kind"))
    .where(operation.c.not_before <= bindparam("now"))
    .where(or_(operation.c.lease_until.is_(None), operation.c.lease_until <= bindparam("now")))
    .order_by(operation.c.not_before)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_LEASE = (
    update(operation)
    .where(operation.c.sliver_id == bindparam("key"))
    .values(fence=operation.c.fence + 1, lease_owner=bindparam("holder"), lease_until=bindparam("until"))
)
_FINISH = delete(operation).where(_IS_STILL)
_IS_CURRENT = select(operation.c.fence).where(_IS_STILL)
_POSTPONE = (
    update(operation)
    .where(_IS_STILL)
    .values(lease_owner=None, lease_until=None, not_before=bindparam("until"), attempts=bindparam("failures"))
)
_RELEASE = (
    update(operation)
    .where(operation.c.sliver_id == bindparam("key"), operation.c.lease_owner == bindparam("holder"))
    .values(lease_owner=None, lease_until=None)
)
_NEXT_DUE = (
    select(func.min(operation.c.not_before))
    .where(operation.c.backend == bindparam("backend"), operation.c.kind == bindparam("kind"))
    .where(or_(operation.c.lease_until.is_(None), operation.c.lease_until <= bindparam("now")))
)


def ask(tx: Connection, wishes: Iterable[Wish], *, now: datetime) -> None:
    """Have slivers looked at now. An operation that is open is renewed: from now on, and counting from no failures.

    The fence grows, so that a worker which is at it right now with an older wish doesn't close the operation.
    """
    for wish in wishes:
        due = now - _EARLIER if wish.early else now
        again = {"key": wish.sliver_id, "new_kind": wish.kind, "now": now, "due": due}
        if tx.execute(_ASK_AGAIN, again).rowcount == 0:
            new = {"sliver_id": wish.sliver_id, "backend": wish.backend, "kind": wish.kind}
            tx.execute(_ASK, {**new, "not_before": due, "asked_at": now})


def take(tx: Connection, *, backend: str, kind: str, most: int, lease: timedelta, now: datetime) -> tuple[Taken, ...]:
    """Lease up to `most` operations that are due and in nobody's hands, longest due first."""
    holder = secrets.token_hex(8)
    due = tx.execute(_DUE, {"backend": backend, "kind": kind, "now": now, "most": most}).mappings().all()
    if due:
        leased = {"holder": holder, "until": now + lease}
        tx.execute(_LEASE, [{"key": row["sliver_id"], **leased} for row in due])
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
    if tx.execute(_FINISH, _held(taken)).rowcount:
        return True
    _release(tx, taken)
    return False


def postpone(tx: Connection, taken: Taken, *, until: datetime, failed: bool) -> None:
    """Give the operation back, to be tried again from `until` on; counts a failure when it failed."""
    failures = taken.attempts + int(failed)
    if tx.execute(_POSTPONE, {**_held(taken), "until": until, "failures": failures}).rowcount == 0:
        _release(tx, taken)


def is_current(tx: Connection, taken: Taken) -> bool:
    """Whether nobody has asked again or taken over since."""
    return tx.execute(_IS_CURRENT, _held(taken)).first() is not None


def release_all(tx: Connection) -> int:
    """Void all leases: for a start when no other process can be at work. Says how many there were."""
    return tx.execute(
        update(operation).where(operation.c.lease_owner.is_not(None)).values(lease_owner=None, lease_until=None)
    ).rowcount


def next_due(tx: Connection, *, backend: str, kind: str, now: datetime) -> datetime | None:
    """When the next operation that nobody holds is due: past or future, or None when there is none."""
    due: datetime | None = tx.execute(_NEXT_DUE, {"backend": backend, "kind": kind, "now": now}).scalar_one()
    return due


def open_among(tx: Connection, ids: Iterable[SliverId]) -> frozenset[SliverId]:
    """Which of these slivers have an operation open."""
    found: set[SliverId] = set()
    for some in in_portions(ids):
        rows = tx.execute(select(operation.c.sliver_id).where(operation.c.sliver_id.in_(some)))
        found.update(SliverId(sliver_id) for (sliver_id,) in rows)
    return frozenset(found)


def _held(taken: Taken) -> dict[str, object]:
    return {"key": taken.sliver_id, "held_fence": taken.fence}


def _release(tx: Connection, taken: Taken) -> None:
    """Somebody asked again while this worker held the lease: let the new wish be taken at once."""
    tx.execute(_RELEASE, {"key": taken.sliver_id, "holder": taken.holder})
