"""What an operator does to a host of a backend: drain it, take it into maintenance, use it again, remove it.

These are wishes in the store, apart from what is seen there, and hold for a running server at once: it reads them in
the transaction that they concern. Called by commands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from sfa_am.errors import Busy, NotFound, Unsupported
from sfa_am.slices.desk import end_slivers
from sfa_am.slices.states import Allocation
from sfa_am.store import events, node_managers, offers, operations, slivers
from sfa_am.store.events import Event
from sfa_am.store.offers import Stock, Wanted
from sfa_am.store.operations import Wish
from sfa_am.store.slivers import SliceRow, SliverRow


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRow:
    """A host as its operator sees it.

    stock:     what it has and what of it is used; None while it has never been heard
    seen_at:   when its backend last said that it is there
    has_joined: whether it came by an invitation
    """

    backend: str
    name: str
    stock: Stock | None
    seen_at: datetime | None
    has_joined: bool

    @property
    def wanted(self) -> Wanted:
        """What the operator wishes of it."""
        return self.stock.wanted if self.stock else Wanted.UP

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        return self.stock is not None and self.stock.is_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Lodger:
    """A sliver on a host, with its slice."""

    sliver: SliverRow
    slice: SliceRow


def hosts(tx: Connection) -> Sequence[HostRow]:
    """All hosts that joined or are offered, by backend and name."""
    stocks = {(stock.backend, stock.offer.name): stock for stock in offers.stocks(tx)}
    joined = {(one.backend, one.name) for one in node_managers.everything(tx)}
    heard = offers.seen_at(tx)
    return [
        HostRow(
            backend=backend,
            name=name,
            stock=stocks.get((backend, name)),
            seen_at=heard.get((backend, name)) if (backend, name) in stocks else None,
            has_joined=(backend, name) in joined,
        )
        for backend, name in sorted(stocks.keys() | joined)
    ]


def host(tx: Connection, backend: str | None, name: str) -> HostRow:
    """The host of this name. backend: None where only one has it. Raises NotFound."""
    found = [one for one in hosts(tx) if one.name == name and backend in (None, one.backend)]
    if len(found) > 1:
        raise NotFound(f"{name} is in {' and in '.join(one.backend for one in found)}; say which with --backend")
    if not found:
        raise NotFound(f"there is no host named {name!a:.60}; see `sfa-am node list`")
    return found[0]


def lodgers(tx: Connection, backend: str, name: str) -> Sequence[Lodger]:
    """The slivers on a host that researchers see, those that are only promised included."""
    rows = slivers.of_offer(tx, backend, name)
    slices = {key: slivers.slice_by_id(tx, key) for key in {row.slice_id for row in rows}}
    return [Lodger(sliver=row, slice=slices[row.slice_id]) for row in rows if row.allocation != slivers.GONE]


def wish(tx: Connection, one: HostRow, wanted: Wanted, *, actor: str, now: datetime) -> Sequence[Lodger]:
    """Want a host used, drained or in maintenance. Returns what stays on it.

    Machines that can be moved while they run would be moved from here; containers can't.
    Raises NotFound when the host has not been heard yet, so that there is nothing to take out.
    """
    if not offers.wish(tx, one.backend, one.name, wanted):
        raise NotFound(f"{one.name} has joined and was never heard, so nothing is placed there")
    if wanted is not one.wanted:
        _tell(tx, one, f"node {wanted.value}", actor, now)
    return lodgers(tx, one.backend, one.name)


def remove(tx: Connection, one: HostRow, *, force: bool, actor: str, now: datetime) -> Sequence[Lodger]:
    """Forget a host; it must join again to come back. Returns the slivers that ended with it.

    Whoever has the bus must be told afterwards: `Enrolment.publish`.
    Raises Busy when slivers are there and `force` isn't given, Unsupported for the server's own host.
    """
    if one.is_up and not one.has_joined:
        raise Unsupported(
            f"{one.name} did not come by an invitation and comes back with the server; take its backend out of the "
            "settings instead"
        )
    there = lodgers(tx, one.backend, one.name)
    if there and not force:
        raise Busy(
            f"{len(there)} {'sliver is' if len(there) == 1 else 'slivers are'} on {one.name}: see `sfa-am node show "
            f"{one.name}`; drain it and wait, or give them up with --force"
        )
    _end(tx, [lodger.sliver for lodger in there], one, now)
    events.add(
        tx,
        [
            Event(
                at=now,
                actor=actor,
                what="lost",
                slice_urn=lodger.slice.urn,
                sliver_id=lodger.sliver.id,
                detail=f"{lodger.sliver.client_id}: {one.name} was removed",
            )
            for lodger in there
        ],
    )
    offers.remove(tx, one.backend, one.name)
    node_managers.remove(tx, one.backend, one.name)
    _tell(tx, one, "node removed", actor, now)
    return there


def _end(tx: Connection, rows: Sequence[SliverRow], one: HostRow, now: datetime) -> None:
    """End slivers, and have those closed at once that were waiting for the host to confirm their removal."""
    going = [row for row in slivers.of_offer(tx, one.backend, one.name) if row.allocation == Allocation.UNALLOCATED]
    end_slivers(tx, rows, now=now)
    operations.ask(tx, [Wish(sliver_id=row.id, backend=row.backend, kind="remove") for row in going], now=now)


def _tell(tx: Connection, one: HostRow, what: str, actor: str, now: datetime) -> None:
    events.add(tx, [Event(at=now, actor=actor, what=what, detail=f"{one.name} of {one.backend}")])
