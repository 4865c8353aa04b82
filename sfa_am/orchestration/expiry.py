"""The end of leases: slivers whose time is over go the way of Delete."""

from datetime import datetime

import structlog

from sfa_am.slices.desk import end_slivers
from sfa_am.slices.states import Allocation, Call, after
from sfa_am.store import Store, events, slivers
from sfa_am.store.events import Event

log = structlog.get_logger()

_AT_ONCE = 500
"""Slivers ended in one transaction; many leases may end at the same second."""


def expire(store: Store, now: datetime) -> int:
    """End every lease that is over. Returns how many."""
    ended = 0
    while True:
        with store.transaction() as tx:
            rows = slivers.expired(tx, now=now, most=_AT_ONCE)
            for row in rows:
                after(Allocation(row.allocation), Call.EXPIRE)
                slice_row = slivers.slice_by_id(tx, row.slice_id)
                event = Event(
                    at=now,
                    actor="expiry",
                    what="expired",
                    slice_urn=slice_row.urn,
                    sliver_id=row.id,
                    detail=row.client_id,
                )
                events.add(tx, [event])
            end_slivers(tx, rows, now=now)
        ended += len(rows)
        if len(rows) < _AT_ONCE:
            return ended
