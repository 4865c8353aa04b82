"""One operation, from the row taken to the row closed. Runs in a thread of its backend's pool.

The rules are those of the operation table: what is brought back under an old fence is not stored; a failure is tried
again later and later, what can never work is given up with a sentence for the researcher.
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from backends.protocol import Backend, BackendError, Impossible, Observation, Seen, Unavailable
from sfa_am.store import Store, events, offers, operations, slivers
from sfa_am.store.events import Event
from sfa_am.store.operations import Taken
from sfa_am.store.slivers import SliverRow

log = structlog.get_logger()

MOST_FAILURES = 5
"""So many failed tries, and a sliver counts as failed. Unavailable does not count: it says nothing about the sliver."""

LONGEST_MAKING = timedelta(minutes=10)
"""A machine that is still being made so long after it was asked for has failed."""

_FIRST_LOOK_AGAIN = timedelta(milliseconds=50)
_LAST_LOOK_AGAIN = timedelta(seconds=2)
_FIRST_RETRY = timedelta(seconds=1)
_LAST_RETRY = timedelta(minutes=1)


def run(taken: Taken, backend: Backend, store: Store, now: Callable[[], datetime]) -> None:
    """Do what the operation asks and store the outcome. Raises only what the store raises."""
    with store.reading() as tx:
        row = slivers.by_id(tx, taken.sliver_id)
    if row is None:
        return  # the row went, and its operation with it
    if taken.kind == "remove":
        _remove(taken, row, backend, store, now)
    else:
        _converge(taken, row, backend, store, now)


def _converge(taken: Taken, row: SliverRow, backend: Backend, store: Store, now: Callable[[], datetime]) -> None:
    try:
        observation = backend.converge(row.spec())
    except Unavailable as e:
        _try_later(taken, store, now(), reason=str(e), failed=False)
    except Impossible as e:
        _close(taken, row, _broken(row, str(e)), store, now())
    except BackendError as e:
        _failed(taken, row, str(e), store, now())
    except Exception:  # a backend may be anybody's  # noqa: BLE001
        _failed(taken, row, _internal_fault("converge", row), store, now())
    else:
        if observation.seen is Seen.MAKING or observation.generation < row.generation:
            _making(taken, row, observation, store, now())
        else:
            _close(taken, row, observation, store, now())


def _remove(taken: Taken, row: SliverRow, backend: Backend, store: Store, now: Callable[[], datetime]) -> None:
    try:
        backend.remove(row.id, row.offer, row.generation)
    except Unavailable as e:
        if not _forget_with_its_host(taken, row, store, now()):
            _try_later(taken, store, now(), reason=str(e), failed=False)
    except Exception:  # noqa: BLE001
        # Never given up: the claims are free only when nothing is left.
        _try_later(taken, store, now(), reason=_internal_fault("remove", row), failed=True)
    else:
        with store.transaction() as tx:
            _forget(tx, taken, row, now())


def _forget(tx: Connection, taken: Taken, row: SliverRow, at: datetime) -> None:
    if operations.is_current(tx, taken):
        offers.release(tx, [row.id])
        slivers.forget(tx, row.id)
        _tell(tx, row, "removed", row.client_id, at)


def _forget_with_its_host(taken: Taken, row: SliverRow, store: Store, at: datetime) -> bool:
    """Whether the operator has removed the host: then nobody will ever confirm that nothing is left there."""
    with store.transaction() as tx:
        is_removed = offers.is_removed(tx, row.backend, row.offer)
        if is_removed:
            _forget(tx, taken, row, at)
    return is_removed


def _close(taken: Taken, row: SliverRow, observation: Observation, store: Store, at: datetime) -> None:
    with store.transaction() as tx:
        if not operations.is_current(tx, taken):
            operations.finish(tx, taken)
            return
        operations.finish(tx, taken)
        slivers.record(tx, observation, now=at)
        _tell(tx, row, observation.seen.value, observation.fault or row.client_id, at)


def _making(taken: Taken, row: SliverRow, observation: Observation, store: Store, at: datetime) -> None:
    if at - taken.asked_at > LONGEST_MAKING:
        minutes = int(LONGEST_MAKING.total_seconds() // 60)
        _close(taken, row, _broken(row, f"not ready {minutes} minutes after it was asked for"), store, at)
        return
    # Look again after a tenth of the time it has taken so far: soon for what is quick, rarely for what is slow.
    pause = min(max((at - taken.asked_at) / 10, _FIRST_LOOK_AGAIN), _LAST_LOOK_AGAIN)
    with store.transaction() as tx:
        if operations.is_current(tx, taken):
            slivers.record(tx, observation, now=at)
        operations.postpone(tx, taken, until=at + pause, failed=False)


def _failed(taken: Taken, row: SliverRow, reason: str, store: Store, at: datetime) -> None:
    if taken.attempts + 1 >= MOST_FAILURES:
        _close(taken, row, _broken(row, f"given up after {MOST_FAILURES} tries: {reason}"), store, at)
    else:
        _try_later(taken, store, at, reason=reason, failed=True)


def _try_later(taken: Taken, store: Store, at: datetime, *, reason: str, failed: bool) -> None:
    pause = min(_FIRST_RETRY * 2**taken.attempts, _LAST_RETRY)
    log.warning("will try again", sliver=taken.sliver_id, kind=taken.kind, reason=reason, seconds=pause.total_seconds())
    with store.transaction() as tx:
        operations.postpone(tx, taken, until=at + pause, failed=failed)


def _broken(row: SliverRow, fault: str) -> Observation:
    return Observation(sliver=row.id, generation=row.generation, seen=Seen.BROKEN, fault=fault)


def _internal_fault(doing: str, row: SliverRow) -> str:
    """Log the exception in hand and give it a number; the sentence goes to the researcher, the rest does not."""
    number = uuid.uuid4().hex[:12]
    log.exception("a backend failed", doing=doing, sliver=row.id, fault=number)
    return f"internal error {number}: please report it to the operator"


def _tell(tx: Connection, row: SliverRow, what: str, detail: str, at: datetime) -> None:
    slice_row = slivers.slice_by_id(tx, row.slice_id)
    events.add(
        tx,
        [Event(at=at, actor="worker", what=what, slice_urn=slice_row.urn, sliver_id=row.id, detail=detail)],
    )
    log.info("sliver", what=what, sliver=row.id, slice=str(slice_row.urn), detail=detail)
