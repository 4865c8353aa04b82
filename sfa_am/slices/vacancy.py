"""What is free, remembered from call to call: reading it anew takes longer, the more hosts there are.

What is remembered follows what this process holds and releases. What another process has changed meanwhile it can't
know, and needn't: the conditional updates of `store.offers` decide, and whatever is refused, by them or by what is
remembered, is tried once more with what the rows say now before anybody is told.
"""

import threading
from collections.abc import Callable

from sqlalchemy import Connection

from sfa_am.errors import AMError
from sfa_am.slices.placement import Plan
from sfa_am.slices.room import Order, Room
from sfa_am.store import Store, offers
from sfa_am.store.engine import has_changed_offers
from sfa_am.store.offers import SoldOut


class Vacancy:
    """The room of an aggregate. Safe to use from many threads."""

    def __init__(self, store: Store, order: Order) -> None:
        self._store = store
        self._order = order
        self._lock = threading.Lock()
        self._room: Room | None = None
        self._generation = 0

    def take(self, tx: Connection, placing: Callable[[Room], Plan]) -> Plan:
        """Find room and take it. placing: must leave the room as it was, and may be called twice.

        Raises what `placing` raises of AMError, and SoldOut when somebody else was quicker.
        """
        try:
            with self._lock:
                room = self._remembered()
                plan = placing(room) if room is not None else None
            if plan is not None:
                offers.take(tx, plan.claims)
                return plan
        except (AMError, SoldOut):
            pass  # perhaps only because what is remembered is old
        with self._lock:
            plan = placing(self._read(tx))
        offers.take(tx, plan.claims)
        return plan

    def _remembered(self) -> Room | None:
        """The last room, brought up to date; None when that can't be."""
        if self._room is None:
            return None
        self._generation, news = self._store.offers_news(self._generation)
        if news is None:
            self._room = None
            return None
        self._room.change(news)
        return self._room

    def _read(self, tx: Connection) -> Room:
        generation = self._store.offers_generation
        room = Room(offers.stocks(tx), self._order)
        # What this transaction has changed itself is not to be remembered: it may be undone yet.
        if not has_changed_offers(tx):
            self._room, self._generation = room, generation
        return room
