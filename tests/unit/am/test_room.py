"""The room finds what looking at every offer would find, whatever was taken and given back before."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.am.small import claims_add_up, request, used

from backends.protocol import Image, Offer, SliverType
from backends.simulated import SimulatedBackend
from sfa_am.config import Placement
from sfa_am.errors import NotFeasible
from sfa_am.slices.room import Order, Room
from sfa_am.store import Store, offers, schema
from sfa_am.store.engine import Change
from sfa_am.store.offers import Claim, Stock, Wanted, needs

IMAGE = Image(name="debian-12", os="Linux", version="12")
KINDS = (
    SliverType(name="small", cpus=1, memory_mib=512, disk_mib=1024),
    SliverType(name="broad", cpus=4, memory_mib=512, disk_mib=512),
    SliverType(name="large", cpus=2, memory_mib=2048, disk_mib=4096),
)
RESOURCES = ("slivers", "cpus", "memory_mib", "disk_mib")

amounts = st.fixed_dictionaries(
    {
        "slivers": st.integers(0, 5),
        "cpus": st.integers(0, 12).map(lambda n: n * 500),
        "memory_mib": st.integers(0, 12).map(lambda n: n * 256),
        "disk_mib": st.integers(0, 12).map(lambda n: n * 512),
    }
)


@st.composite
def stocks(draw):
    return [
        Stock(
            backend=draw(st.sampled_from(["x", "y"])),
            offer=Offer(
                name=f"n{number}",
                sliver_types=draw(st.sampled_from([KINDS, KINDS[:1], KINDS[::-1]])),
                images=(IMAGE,),
                capacity=draw(amounts),
            ),
            used=draw(amounts),
            is_up=draw(st.integers(0, 9)) > 0,
            wanted=draw(st.sampled_from([Wanted.UP, Wanted.UP, Wanted.UP, Wanted.DRAINING])),
        )
        for number in range(draw(st.integers(0, 9)))
    ]


class Naive:
    """Looks at every offer each time."""

    def __init__(self, stocks, order):
        self.stocks = [stock for stock in stocks if stock.is_open]
        self.sign = -1 if order is Order.SPREAD else 1
        self.taken = Counter()

    def free(self, stock, resource):
        total, gone = stock.offer.capacity[resource], stock.used[resource]
        return total - gone - self.taken[stock.offer.name, resource]

    def best(self, backend, kind):
        fitting = [
            stock
            for stock in self.stocks
            if stock.backend == backend
            and kind in stock.offer.sliver_types
            and all(self.free(stock, resource) >= amount for resource, amount in needs(kind).items())
        ]
        return min(fitting, key=lambda stock: self.sign * self.free(stock, "memory_mib"), default=None)

    def change(self, name, kind, sign):
        for resource, amount in needs(kind).items():
            self.taken[name, resource] += sign * amount


def found_by(room, backend, kind):
    return room.best(
        (family, which)
        for family in room.families(backend)
        for which, known in enumerate(family.offer.sliver_types)
        if known == kind
    )


steps = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "give back", "store"]),
        st.sampled_from("xy"),
        st.sampled_from(KINDS),
        st.integers(0, 100),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(stocks(), st.sampled_from(Order), steps)
def test_the_best_offer_is_the_one_that_looking_at_all_of_them_finds(there, order, todo):
    room, naive, held = Room(there, order), Naive(there, order), []
    for step, backend, kind, choice in todo:
        best, found = naive.best(backend, kind), found_by(room, backend, kind)
        assert (best and best.offer.name) == (found and found[0].stock.offer.name)
        if step == "take" and found:
            room.take(*found)
            naive.change(found[0].stock.offer.name, kind, +1)
            held.append((found, kind))
        elif step == "give back" and held:
            found, kind = held.pop(choice % len(held))
            room.give_back(*found)
            naive.change(found[0].stock.offer.name, kind, -1)
        elif step == "store" and there:
            stock = there[choice % len(there)]
            more = [Change(stock.backend, stock.offer.name, name, amount) for name, amount in needs(kind).items()]
            room.change(more)
            naive.change(stock.offer.name, kind, +1)


def test_heaps_stay_small_however_often_something_is_taken_and_given_back():
    capacity = dict.fromkeys(RESOURCES, 100_000)
    offer = Offer(name="n", sliver_types=KINDS, images=(IMAGE,), capacity=capacity)
    room = Room([Stock(backend="x", offer=offer, used={}, is_up=True)], Order.PACK)
    for _ in range(1000):
        found = found_by(room, "x", KINDS[0])
        room.take(*found)
        assert room.spot("x", "n").free[0] == 99_999
        room.give_back(*found)
    assert all(len(heap) < 100 for family in room.families("x") for heap in family.heaps)


# In the aggregate


def places(am):
    return Counter(row["offer"] for row in am.rows(schema.sliver))


def nodes(number, prefix="n"):
    return request(*(f'<node client_id="{prefix}{i}"/>' for i in range(number)))


@pytest.mark.parametrize(("order", "wanted"), [("spread", [3, 3]), ("pack", [6])])
def test_machines_are_spread_or_packed_as_the_settings_say(make_aggregate, order, wanted):
    am = make_aggregate(SimulatedBackend(offers=2), placement=Placement(order=order))
    for number in range(3):
        am.allocate(nodes(2, f"r{number}-"))
    assert sorted(places(am).values()) == wanted


def elsewhere(am):
    """The store as another process opens it."""
    return Store(str(am.store._engine.url))


def of_the_other(am, resource_amounts):
    (row,) = [row for row in am.rows(schema.sliver) if row["client_id"] == "first"]
    return [
        Claim(sliver_id=row["id"], backend="sim", offer="node2", resource=name, amount=amount)
        for name, amount in resource_amounts.items()
    ]


def test_the_offers_are_read_once_while_nothing_but_calls_change_them(make_aggregate, monkeypatch):
    am = make_aggregate(SimulatedBackend(offers=2))
    read, stocks = [], offers.stocks
    monkeypatch.setattr(offers, "stocks", lambda tx: read.append(1) or stocks(tx))
    for number in range(3):
        am.allocate(nodes(2, f"r{number}-"))
    am.delete()
    am.sweep()  # says what was known
    am.allocate(nodes(4))
    assert len(read) == 1
    assert places(am) == {"node1": 2, "node2": 2}


def test_what_another_process_took_is_noticed_and_another_place_found(make_aggregate):
    am = make_aggregate(SimulatedBackend(offers=2, capacity=4))
    am.allocate(request('<node client_id="first" component_id="urn:publicid:IDN+plc+node+node1"/>'))
    other = elsewhere(am)
    with other.transaction() as tx:
        offers.take(tx, of_the_other(am, {"slivers": 4}))
    other.close()
    am.allocate(nodes(3))  # node2 seems emptier than node1
    assert places(am) == {"node1": 4}
    with pytest.raises(NotFeasible, match="not enough left"):
        am.allocate(nodes(1, "more"))


def test_what_another_process_gave_back_is_found_before_anybody_is_refused(make_aggregate):
    am = make_aggregate(SimulatedBackend(capacity=2))
    am.allocate(nodes(2))
    with pytest.raises(NotFeasible):
        am.allocate(nodes(1, "more"))
    ids = [row["id"] for row in am.rows(schema.sliver)]
    other = elsewhere(am)
    with other.transaction() as tx:
        offers.release(tx, ids[:1])
    other.close()
    am.allocate(nodes(1, "more"))
    assert (used(am), claims_add_up(am)) == (2, True)


@pytest.mark.parametrize("wanted", [Wanted.DRAINING, Wanted.MAINTENANCE, Wanted.REMOVED])
def test_a_host_that_another_process_takes_out_gets_nothing_from_then_on(make_aggregate, wanted):
    am = make_aggregate(SimulatedBackend(offers=2))
    am.allocate(request('<node client_id="first" component_id="urn:publicid:IDN+plc+node+node1"/>'))
    other = elsewhere(am)
    with other.transaction() as tx:
        offers.wish(tx, "sim", "node2", wanted)
    other.close()
    am.allocate(nodes(2))
    assert places(am) == {"node1": 3}
    assert claims_add_up(am)


def test_a_dry_run_and_a_refusal_leave_what_is_remembered_as_it_was(make_aggregate):
    am = make_aggregate(SimulatedBackend(capacity=3))
    am.allocate(nodes(1))
    for _ in range(3):
        am.allocate(nodes(2, "dry"), dry_run=True)
        with pytest.raises(NotFeasible):
            am.allocate(nodes(3, "more"))
    am.allocate(nodes(2, "wet"))
    assert used(am) == 3
