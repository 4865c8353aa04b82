"""The end of leases: slivers whose time is over go the way of Delete."""

from datetime import datetime

import structlog
from sqlalchemy import Connection

from sfa_am.slices.desk import end_slivers, keep_after_all
from sfa_am.slices.states import Allocation, Call, after
from sfa_am.store import Store, events, slivers
from sfa_am.store.events import Event
from sfa_am.store.slivers import SliverRow

log = structlog.get_logger()

_AT_ONCE = 500
"""Slivers ended in one transaction; many leases may end at the same second."""


def expire(store: Store, now: datetime) -> int:
    """End every lease that is over, and give up updates that nobody carried out. Returns how many leases ended."""
    with store.transaction() as tx:
        stale = slivers.stale_updates(tx, now=now)
        keep_after_all(tx, stale)
        for row in stale:
            _tell(tx, row, "update given up", now)
    ended = 0
    while True:
        with store.transaction() as tx:
            rows = slivers.expired(tx, now=now, most=_AT_ONCE)
            for row in rows:
                after(Allocation(row.allocation), Call.EXPIRE)
                _tell(tx, row, "expired", now)
            end_slivers(tx, rows, now=now)
        ended += len(rows)
        if len(rows) < _AT_ONCE:
            return ended


def _tell(tx: Connection, row: SliverRow, what: str, now: datetime) -> None:
    slice_row = slivers.slice_by_id(tx, row.slice_id)
    event = Event(at=now, actor="expiry", what=what, slice_urn=slice_row.urn, sliver_id=row.id, detail=row.client_id)
    events.add(tx, [event])
