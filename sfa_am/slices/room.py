"""What is free, so that the best offer for a node is found without looking at all of them.

Offers that are alike in all but what is free form a *family*. For each sliver type of a family there is a heap of the
offers that have room for one more: the best is on top, whether there are ten or twenty thousand. An offer that becomes
better is put in again at once. One that becomes worse, or full, stays under the rank that it had until it comes up:
mostly something else changes before that.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from heapq import heapify, heappop, heappush, heapreplace

from backends.protocol import Offer, SliverType
from sfa_am.store.engine import Change
from sfa_am.store.offers import Stock, needs

_RESOURCES = ("slivers", "cpus", "memory_mib", "disk_mib")

_NUMBERS = 1 << 24
"""More than there are offers: a rank is the free memory times this, plus the offer's number. Comparing whole numbers
takes half as long as comparing pairs of them."""

_NOWHERE = 1 << 80
"""Stands for a rank that is worse than any."""

_Amounts = tuple[int, int, int, int]
"""In the order of `_RESOURCES`."""


class Order(StrEnum):
    """Which of the offers that have room is the best.

    SPREAD: the one with most free memory, so that all are used alike
    PACK:   the one with least, so that large pieces stay free
    """

    SPREAD = "spread"
    PACK = "pack"


class Spot:
    """An offer in a room, with what is free there now: unlike in its stock it may be less than nothing."""

    __slots__ = ("family", "free", "number", "ranks", "stock")

    def __init__(self, stock: Stock, number: int, family: "_Family") -> None:
        self.stock = stock
        self.number = number
        self.family = family
        total, used = stock.offer.capacity, stock.used
        slivers, cpus, memory, disk = (total.get(name, 0) - used.get(name, 0) for name in _RESOURCES)
        self.free: _Amounts = (slivers, cpus, memory, disk)
        self.ranks = [_NOWHERE] * len(family.wants)

    def has(self, resource: str) -> int:
        """What is free of a resource; never negative."""
        return max(0, self.free[_RESOURCES.index(resource)])

    def fits(self, kind: SliverType) -> bool:
        """Whether one more sliver of this kind has room."""
        return _fits(self.free, _amounts(kind))


class _Family:
    """Offers of one backend that are alike in all but what is free.

    wants: of each sliver type, in the offers' order, what one sliver takes
    heaps: of each, ranks of the offers with room for it, the best (lowest) on top; those that don't stand in the
           offer's `ranks` are of no meaning
    """

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.wants = [_amounts(kind) for kind in offer.sliver_types]
        self.spots: list[Spot] = []
        self.heaps: list[list[int]] = [[] for _ in offer.sliver_types]


class Room:
    """The offers that take something new, and what of them is free. Not safe to use from many threads.

    closed: offers that answer and take nothing new, since the operator wishes so
    offers: all by name, those that are away included
    """

    def __init__(self, stocks: Iterable[Stock], order: Order = Order.SPREAD) -> None:
        everything = tuple(stocks)
        self._sign = -1 if order is Order.SPREAD else 1
        self._spots: list[Spot] = []
        self._by_name: dict[tuple[str, str], Spot] = {}
        self._families: dict[str, dict[object, _Family]] = defaultdict(dict)
        self.closed = [stock for stock in everything if stock.is_up and not stock.is_open]
        self.offers = {stock.offer.name: stock.offer for stock in everything}
        self.kinds = {kind.name for offer in self.offers.values() for kind in offer.sliver_types}
        self.images = {image.name for offer in self.offers.values() for image in offer.images}
        self.hardware = {name for offer in self.offers.values() for name in offer.hardware_types}
        self.abilities = {ability for offer in self.offers.values() for ability in offer.abilities}
        for stock in everything:
            if stock.is_open:
                self._add(stock)
        for family in self._all_families():
            for which in range(len(family.wants)):
                self._rebuild(family, which)

    @property
    def backends(self) -> Sequence[str]:
        """Those that have something open, in the order of their offers."""
        return tuple(self._families)

    def spots(self, backend: str) -> Iterator[Spot]:
        """What is open in a backend, in its order. Slow: for saying why something has no room."""
        return (spot for spot in self._spots if spot.stock.backend == backend)

    def spot(self, backend: str, name: str) -> Spot | None:
        """An open offer by its name."""
        return self._by_name.get((backend, name))

    def families(self, backend: str) -> Iterable[_Family]:
        """The families of a backend."""
        return self._families.get(backend, {}).values()

    def best(self, choices: Iterable[tuple[_Family, int]]) -> tuple[Spot, int] | None:
        """The best offer for one more sliver, of all those that have room.

        choices: families, with the number of the sliver type that the node would be there; comes back with the offer
        """
        found, where = _NOWHERE, 0
        for family, which in choices:
            rank = self._top(family, which)
            if rank < found:
                found, where = rank, which
        return None if found == _NOWHERE else (self._spots[found % _NUMBERS], where)

    def take(self, spot: Spot, which: int) -> None:
        """Put a sliver of the family's sliver type with this number there."""
        slivers, cpus, memory, disk = spot.free
        want = spot.family.wants[which]
        spot.free = (slivers - want[0], cpus - want[1], memory - want[2], disk - want[3])
        self._changed(spot)

    def give_back(self, spot: Spot, which: int) -> None:
        """Take it away again."""
        slivers, cpus, memory, disk = spot.free
        want = spot.family.wants[which]
        spot.free = (slivers + want[0], cpus + want[1], memory + want[2], disk + want[3])
        self._changed(spot)

    def change(self, changes: Iterable[Change]) -> None:
        """Follow what was held or released in the store. What is not open here is of no concern."""
        changed: dict[tuple[str, str], list[int]] = {}
        for one in changes:
            spot = self._by_name.get((one.backend, one.offer))
            if spot is not None and one.resource in _RESOURCES:
                free = changed.setdefault((one.backend, one.offer), list(spot.free))
                free[_RESOURCES.index(one.resource)] -= one.more
        for name, (slivers, cpus, memory, disk) in changed.items():
            spot = self._by_name[name]
            spot.free = (slivers, cpus, memory, disk)
            self._changed(spot)

    # Inside

    def _all_families(self) -> Iterator[_Family]:
        return (family for families in self._families.values() for family in families.values())

    def _add(self, stock: Stock) -> None:
        offer = stock.offer
        alike = (offer.sliver_types, offer.images, offer.hardware_types, offer.abilities)
        families = self._families[stock.backend]
        if (family := families.get(alike)) is None:
            family = families[alike] = _Family(offer)
        spot = Spot(stock, len(self._spots), family)
        family.spots.append(spot)
        self._spots.append(spot)
        self._by_name[stock.backend, offer.name] = spot

    def _top(self, family: _Family, which: int) -> int:
        """The rank of the best offer of a family for one of its sliver types; what is on top of it is put right."""
        heap, want, spots, sign = family.heaps[which], family.wants[which], self._spots, self._sign
        while heap:
            top = heap[0]
            number = top % _NUMBERS
            spot = spots[number]
            if spot.ranks[which] != top:
                heappop(heap)
            elif (rank := sign * spot.free[2] * _NUMBERS + number) != top:
                spot.ranks[which] = rank
                heapreplace(heap, rank)
            elif _fits(spot.free, want):
                return top
            else:
                spot.ranks[which] = _NOWHERE
                heappop(heap)
        return _NOWHERE

    def _rank(self, spot: Spot) -> int:
        return self._sign * spot.free[2] * _NUMBERS + spot.number

    def _changed(self, spot: Spot) -> None:
        """Put an offer whose free amounts have changed into the heaps where it is better now than it stands there."""
        rank, ranks = self._rank(spot), spot.ranks
        if rank >= max(ranks, default=rank):
            return
        family = spot.family
        for which, known in enumerate(ranks):
            if rank < known and _fits(spot.free, family.wants[which]):
                spot.ranks[which] = rank
                heap = family.heaps[which]
                heappush(heap, rank)
                if len(heap) > 4 * len(family.spots) + 64:  # old ranks, which don't come up where we pack
                    self._rebuild(family, which)

    def _rebuild(self, family: _Family, which: int) -> None:
        want = family.wants[which]
        heap = []
        for spot in family.spots:
            spot.ranks[which] = _NOWHERE
            if _fits(spot.free, want):
                rank = spot.ranks[which] = self._rank(spot)
                heap.append(rank)
        heapify(heap)
        family.heaps[which] = heap


def _fits(free: _Amounts, want: _Amounts) -> bool:
    return free[0] >= want[0] and free[1] >= want[1] and free[2] >= want[2] and free[3] >= want[3]


def _amounts(kind: SliverType) -> _Amounts:
    wanted = needs(kind)
    return wanted["slivers"], wanted["cpus"], wanted["memory_mib"], wanted["disk_mib"]
