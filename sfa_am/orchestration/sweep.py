"""The sweep: compares everything a backend sees with everything the rows want; differences become operations.

There is one mechanism for a user's call, a retry, healing and a restart: an operation row. The sweep only finds out
who needs one. It runs at the start, then once a minute.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

import structlog

from backends.protocol import Backend, Observation, Seen, SliverId, Unavailable
from sfa_am.slices.states import Allocation
from sfa_am.store import Store, events, offers, operations, slivers
from sfa_am.store.events import Event
from sfa_am.store.operations import Wish
from sfa_am.store.slivers import SliverRow

log = structlog.get_logger()


def sweep(name: str, backend: Backend, store: Store, now: Callable[[], datetime]) -> int:
    """One sweep over one backend; one that can't be asked changes no sliver. Returns how many slivers need work."""
    try:
        offered = backend.offers()
        seen = {observation.sliver: observation for observation in backend.observe()}
    except Unavailable as e:
        log.warning("backend can't be asked", backend=name, reason=str(e))
        with store.transaction() as tx:
            offers.away(tx, name)
        return 0
    at = now()
    with store.transaction() as tx:
        offers.publish(tx, name, offered, now=at)
        # Read after looking: a sliver seen has had its row since before it was made, so one without a row is an orphan.
        rows = slivers.of_backend(tx, name)
        busy = operations.open_among(tx, (row.id for row in rows))
        here = {one.name for one in offered}
        # What is at an offer that is away can't be seen, which is not the same as being gone.
        wishes = list(_differences(name, (row for row in rows if row.offer in here), seen, busy))
        operations.ask(tx, wishes, now=at)
        for row in rows:
            if row.id in seen and row.id not in busy and _is_news(row, seen[row.id]):
                slivers.record(tx, seen[row.id], now=at)
        known = {row.id for row in rows}
    for orphan in seen.keys() - known:
        _remove_orphan(name, backend, seen[orphan], store, at)
    return len(wishes)


def report(name: str, observation: Observation, store: Store, now: datetime) -> bool:
    """Store what a backend saw unasked; says whether that calls for work."""
    with store.transaction() as tx:
        row = slivers.by_id(tx, observation.sliver)
        if row is None or row.backend != name:
            return False
        busy = operations.open_among(tx, [row.id])
        if busy:
            return False  # whoever is at it will look for themselves
        slivers.record(tx, observation, now=now)
        wishes = list(_differences(name, [row], {row.id: observation}, frozenset()))
        operations.ask(tx, wishes, now=now)
        slice_row = slivers.slice_by_id(tx, row.slice_id)
        event = Event(
            at=now,
            actor="backend",
            what=observation.seen.value,
            slice_urn=slice_row.urn,
            sliver_id=row.id,
            detail=observation.fault or row.client_id,
        )
        events.add(tx, [event])
        return bool(wishes)


def _differences(
    name: str, rows: Iterable[SliverRow], seen: dict[SliverId, Observation], busy: frozenset[SliverId]
) -> Iterable[Wish]:
    for row in rows:
        if row.id in busy:
            continue
        if row.allocation == Allocation.UNALLOCATED:
            yield Wish(sliver_id=row.id, backend=name, kind="remove")
        elif not _is_as_wanted(row, seen.get(row.id)):
            yield Wish(sliver_id=row.id, backend=name, kind="converge")


def _is_as_wanted(row: SliverRow, observation: Observation | None) -> bool:
    if row.seen is Seen.BROKEN and row.seen_generation >= row.generation:
        return True  # given up; the researcher has been told, and asks for it again by an action
    if observation is None or observation.generation < row.generation:
        return False
    return observation.seen is (Seen.RUNNING if row.running else Seen.STOPPED)


def _is_news(row: SliverRow, observation: Observation) -> bool:
    known, seen = (row.seen, row.logins, row.published), (observation.seen, observation.logins, observation.published)
    return known != seen and row.seen is not Seen.BROKEN


def _remove_orphan(name: str, backend: Backend, seen: Observation, store: Store, at: datetime) -> None:
    """Something of ours that no row knows: left by a lost database or a removal that was cut short."""
    orphan = seen.sliver
    try:
        backend.remove(orphan, seen.offer, seen.generation)
    except Exception:  # the next sweep finds it again
        log.exception("could not remove an orphan", backend=name, sliver=orphan)
        return
    log.warning("removed an orphan", backend=name, sliver=orphan)
    with store.transaction() as tx:
        events.add(tx, [Event(at=at, actor="sweep", what="removed", sliver_id=orphan, detail="had no row")])
