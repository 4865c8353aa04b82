"""Finding places for slivers among 20,000 hosts, beside looking at each of them and beside the least that it takes.

Rates are by processor time: nothing here waits, and the machine may have other work.
"""

import heapq
import random
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from backends.protocol import Image, Offer, SliverType
from bench.row import Row
from sfa_am.slices.room import Order, Room
from sfa_am.store import Store, offers
from sfa_am.store.offers import Stock

HOSTS, SLIVERS = 20_000, 500_000

_KINDS = (
    SliverType(name="container", cpus=1, memory_mib=512, disk_mib=1024),
    SliverType(name="container-large", cpus=4, memory_mib=4096, disk_mib=8192),
)
_CAPACITIES = ((64, 65_536), (96, 131_072), (48, 49_152))
_NAIVE = 200
"""So many are enough for the slow way."""


def _offers() -> list[Offer]:
    """Hosts of three sizes."""
    image = Image(name="debian-12", os="Linux", version="12", description="Debian 12")
    return [
        Offer(
            name=f"node{n}",
            capacity={"slivers": cpus, "cpus": cpus * 1000, "memory_mib": memory, "disk_mib": 1_000_000},
            sliver_types=_KINDS,
            images=(image,),
            hardware_types=("pc",),
        )
        for n, (cpus, memory) in ((n, _CAPACITIES[n % len(_CAPACITIES)]) for n in range(HOSTS))
    ]


def _wishes() -> list[int]:
    """Which sliver type each is of: one in ten is large."""
    chance = random.Random(1)  # noqa: S311 - the same each time
    return [int(chance.random() < 0.1) for _ in range(SLIVERS)]


def _placed(stocks: list[Stock], order: Order, wishes: list[int]) -> float:
    """Placements in a second, until all are placed."""
    room = Room(stocks, order)
    (family,) = room.families("bench")
    choices = [[(family, which)] for which in range(len(_KINDS))]
    begin = time.process_time()
    for which in wishes:
        found = room.best(choices[which])
        assert found is not None
        room.take(*found)
    return len(wishes) / (time.process_time() - begin)


def _looking_at_all(stocks: list[Stock]) -> float:
    room = Room(stocks)
    spots = list(room.spots("bench"))
    begin = time.process_time()
    for number in range(_NAIVE):
        kind = _KINDS[number % 2]
        spot = max((one for one in spots if one.fits(kind)), key=lambda one: one.free[2])
        room.take(spot, number % 2)
    return _NAIVE / (time.process_time() - begin)


def _bare_heap() -> float:
    """A number taken from the top of a heap and put back smaller: one resource, one sliver type, nothing to check."""
    heap = [(-_CAPACITIES[n % len(_CAPACITIES)][1], n) for n in range(HOSTS)]
    heapq.heapify(heap)
    begin = time.process_time()
    for _ in range(SLIVERS):
        free, number = heap[0]
        heapq.heapreplace(heap, (free + 512, number))
    return SLIVERS / (time.process_time() - begin)


def _timed(action: Callable[[], object]) -> float:
    begin = time.process_time()
    action()
    return time.process_time() - begin


def _read_anew(offered: list[Offer]) -> Row:
    """What is remembered, beside reading it from the store each time."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.in_folder(Path(folder))
        store.migrate()
        with store.transaction() as tx:
            offers.publish(tx, "bench", offered, now=datetime.now(UTC))

        def read() -> None:
            with store.reading() as tx:
                Room(offers.stocks(tx))

        read()
        reading = min(_timed(read) for _ in range(5))

        def swept() -> None:
            with store.transaction() as tx:
                offers.publish(tx, "bench", offered, now=datetime.now(UTC))

        sweeping = min(_timed(swept) for _ in range(3))
        store.close()
    return Row(f"{HOSTS:,} hosts published again", 1 / sweeping, "read and sorted anew", 1 / reading, "per second")


def measure() -> list[Row]:
    """The rows of this section."""
    offered, wishes = _offers(), _wishes()
    stocks = [Stock(backend="bench", offer=one, used={}, is_up=True) for one in offered]
    naive, bare = _looking_at_all(stocks), _bare_heap()
    words = f"placements over {HOSTS:,} hosts"
    rows = []
    for order in Order:
        rate = max(_placed(stocks, order, wishes) for _ in range(3))
        rows.append(Row(f"{words}, {order.value}", rate, "a bare heap of one number", bare, "per second"))
        rows.append(Row(f"{words}, {order.value}", rate, "200,000, which is the aim", 200_000, "per second", aim=1))
        rows.append(Row(f"{words}, {order.value}", rate, "looking at all of them", naive, "per second"))
    return [*rows, _read_anew(offered)]
