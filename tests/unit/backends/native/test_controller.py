"""The controller of several hosts: who is told what, and what becomes of those who don't answer or talk nonsense."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from unit.backends.native.hosts import PREFIX, HostOfNames, leads_to, link, machine

from backends.conformance import Quiet
from backends.native import controller
from backends.native.bus.local import LocalBus
from backends.native.controller import NativeBackend
from backends.native.messages import Answer, Unreadable, Wiring, write
from backends.protocol import Impossible, Observation, Seen, Segment, SliverSpec, Unavailable

SEGMENT = Segment(number=7)


class Counting(Quiet):
    """Counts how often offers came or went, and knows what is wished for."""

    def __init__(self, wishes: Iterable[SliverSpec] = ()) -> None:
        super().__init__()
        self.changes = 0
        self._wishes = list(wishes)

    def changed(self) -> None:
        self.changes += 1

    def desired(self) -> list[SliverSpec]:
        return self._wishes


class World:
    """A controller and its hosts, a to d."""

    def __init__(self, *wishes: SliverSpec, slowest: float = 0) -> None:
        bus = LocalBus()
        self.host = Counting(wishes)
        self.backend = NativeBackend(bus, PREFIX)
        self.backend.start(self.host)
        self.nodes = {name: HostOfNames(bus, name, slowest=slowest) for name in "abcd"}
        self.beat()

    def beat(self, *names: str) -> None:
        for name in names or self.nodes:
            self.nodes[name].beat()

    def known_of(self, name: str) -> dict[str, Wiring]:
        """What each node knows of a link."""
        return {node.name: node.wirings[name] for node in self.nodes.values() if name in node.wirings}


@pytest.fixture
def world(monkeypatch):
    """Makes one; nobody in it is away because this machine is slow."""
    monkeypatch.setattr(controller, "AWAY_AFTER", 60.0)
    made: list[World] = []

    def make(*wishes: SliverSpec, slowest: float = 0) -> World:
        made.append(World(*wishes, slowest=slowest))
        return made[-1]

    yield make
    for one in made:
        one.backend.stop()


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


def pair(world: World) -> None:
    """Two machines on a link, on hosts a and b."""
    for spec in (link("red", "a"), machine("m1", "a", "red"), machine("m2", "b", "red")):
        world.backend.converge(spec)


# Who is told of links


def test_a_link_is_told_to_the_nodes_concerned_and_to_no_others(world):
    here = world()
    pair(here)
    assert here.known_of("red") == {
        "a": Wiring(link="red", segment=SEGMENT, neighbours=(leads_to("b", "m2"),)),
        "b": Wiring(link="red", segment=SEGMENT, neighbours=(leads_to("a", "m1"),)),
    }
    for name in "cd":
        assert here.nodes[name].asked("wire", "unwire", "converge") == []


def test_a_node_knows_of_a_machines_link_before_it_makes_the_machine(world):
    here = world()
    pair(here)
    assert [verb for verb, _ in here.nodes["b"].told] == ["inventory", "wire", "converge"]


def test_who_knows_is_not_told_again(world):
    here = world()
    pair(here)
    before = len(here.nodes["a"].asked("wire"))
    pair(here)
    list(here.backend.observe())
    assert len(here.nodes["a"].asked("wire")) == before


def test_when_a_machine_goes_the_others_forget_it(world):
    here = world()
    pair(here)
    here.backend.remove("m2", "b", 1)
    assert here.known_of("red") == {"a": Wiring(link="red", segment=SEGMENT)}


def test_a_machine_that_comes_back_after_its_removal_finds_its_link_again(world):
    here = world()
    pair(here)
    here.backend.remove("m2", "b", 1)
    here.backend.converge(machine("m2", "b", "red", generation=2))
    assert here.known_of("red") == {
        "a": Wiring(link="red", segment=SEGMENT, neighbours=(leads_to("b", "m2"),)),
        "b": Wiring(link="red", segment=SEGMENT, neighbours=(leads_to("a", "m1"),)),
    }


def test_wishes_at_once_leave_every_node_with_the_newest_wiring_and_no_older_news_comes_after_newer(world):
    here = world(slowest=0.005)
    specs = [machine(f"m{n}", "abcd"[n % 4], "red") for n in range(24)]
    specs.insert(12, link("red", "a"))
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(here.backend.converge, specs))
    for name, node in here.nodes.items():
        others = (leads_to(o, *(f"m{n}" for n in range(24) if "abcd"[n % 4] == o)) for o in "abcd" if o != name)
        assert node.wirings["red"] == Wiring(link="red", segment=SEGMENT, neighbours=tuple(others)), name
        known = [{mac for one in wiring.neighbours for mac in one.macs} for wiring in node.asked("wire")]
        assert all(older <= newer for older, newer in pairwise(known)), name


def test_removals_and_wishes_at_once_leave_nobody_with_what_is_gone(world):
    here = world(slowest=0.005)
    here.backend.converge(link("red", "a"))
    specs = [machine(f"m{n}", "abcd"[n % 4], "red") for n in range(16)]
    for spec in specs[:8]:
        here.backend.converge(spec)

    def change(spec: SliverSpec) -> None:
        if spec in specs[:8]:
            here.backend.remove(spec.sliver, spec.offer, spec.generation)
        else:
            here.backend.converge(spec)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(change, specs))
    for name, node in here.nodes.items():
        others = (leads_to(o, *(f"m{n}" for n in range(8, 16) if "abcd"[n % 4] == o)) for o in "abcd" if o != name)
        assert node.wirings["red"] == Wiring(link="red", segment=SEGMENT, neighbours=tuple(others)), name


# What a sweep puts right


def test_a_sweep_tells_a_node_again_what_it_has_forgotten(world):
    here = world()
    pair(here)
    known = here.known_of("red")
    here.nodes["b"].wirings.clear()
    list(here.backend.observe())
    assert here.known_of("red") == known


def test_a_sweep_has_a_node_forget_a_link_that_is_of_no_use_to_it(world):
    here = world()
    pair(here)
    here.nodes["c"].wirings["old"] = Wiring(link="old", neighbours=(leads_to("a", "m1"),))
    list(here.backend.observe())
    assert here.nodes["c"].asked("unwire") == ["old"]
    assert here.nodes["c"].wirings == {}
    assert set(here.known_of("red")) == {"a", "b"}


def test_a_controller_that_was_started_anew_tells_what_is_wished_for(world):
    wishes = (link("red", "a"), machine("m1", "a", "red"), machine("m2", "b", "red"))
    here = world(*wishes)
    list(here.backend.observe())
    assert here.known_of("red")["b"] == Wiring(link="red", segment=SEGMENT, neighbours=(leads_to("a", "m1"),))


def test_what_is_seen_is_told_with_the_node_it_was_seen_on(world):
    here = world()
    pair(here)
    found = {observation.sliver: observation.offer for observation in here.backend.observe()}
    assert found == {"red": "a", "m1": "a", "m2": "b"}


# Wishes that are overtaken


def test_a_wish_that_a_removal_overtook_leaves_nothing(world):
    here = world()
    here.backend.converge(link("red", "a"))
    here.backend.converge(machine("m1", "a", "red"))
    here.backend.remove("m2", "b", 5)
    observation = here.backend.converge(machine("m2", "b", "red", generation=5))
    assert observation.seen is Seen.ABSENT
    assert here.known_of("red")["a"] == Wiring(link="red", segment=SEGMENT)
    list(here.backend.observe())
    assert set(here.known_of("red")) == {"a"}
    assert here.backend.console("m2") == ""


def test_a_newer_wish_than_the_removal_is_kept(world):
    here = world()
    here.backend.converge(machine("m2", "b", "red", generation=6))
    here.backend.remove("m2", "b", 5)
    assert here.backend.console("m2") == "console of m2 on b"


# Nodes that come and go


def test_a_silent_node_is_away_and_nobody_waits_for_it(world, monkeypatch):
    monkeypatch.setattr(controller, "AWAY_AFTER", 0.3)
    here = world(machine("m2", "b"))
    before = here.host.changes

    def only_the_others() -> bool:
        here.beat("a", "c", "d")
        return [offer.name for offer in here.backend.offers()] == ["a", "c", "d"]

    until(only_the_others)
    assert here.host.changes > before
    told = list(here.nodes["b"].told)
    for call in (
        lambda: here.backend.converge(machine("m2", "b", generation=2)),
        lambda: here.backend.console("m2"),
        lambda: here.backend.remove("m2", "b", 2),
        lambda: here.backend.problems([machine("m9", "b")]),
    ):
        with pytest.raises(Unavailable):
            call()
    assert here.nodes["b"].told == told
    here.beat("b")
    assert "b" in [offer.name for offer in here.backend.offers()]


def test_what_is_removed_from_a_node_that_is_away_is_forgotten_by_the_others_at_once(world):
    here = world()
    pair(here)
    here.nodes["b"].is_silent = True
    list(here.backend.observe())
    with pytest.raises(Unavailable):
        here.backend.remove("m2", "b", 1)
    assert here.known_of("red")["a"] == Wiring(link="red", segment=SEGMENT)


def test_a_node_that_does_not_answer_a_sweep_is_away_and_the_others_are_seen(world):
    here = world()
    pair(here)
    here.nodes["a"].is_silent = True
    assert [observation.sliver for observation in here.backend.observe()] == ["m2"]
    assert [offer.name for offer in here.backend.offers()] == ["b", "c", "d"]


def test_a_node_that_was_away_is_told_what_was_changed_meanwhile(world):
    here = world()
    pair(here)
    here.nodes["a"].is_silent = True
    list(here.backend.observe())
    here.backend.converge(machine("m3", "b", "red"))
    here.nodes["a"].is_silent = False
    here.beat("a")
    list(here.backend.observe())
    assert here.known_of("red")["a"] == Wiring(link="red", segment=SEGMENT, neighbours=(leads_to("b", "m2", "m3"),))


def test_a_wish_that_one_of_the_others_can_not_be_told_of_is_met_all_the_same(world):
    here = world()
    pair(here)
    here.nodes["a"].is_silent = True
    assert here.backend.converge(machine("m3", "b", "red")).seen is Seen.RUNNING


def test_a_new_life_of_a_node_is_asked_what_it_is(world):
    here = world()
    node = here.nodes["b"]
    here.beat("b")
    assert len(node.asked("inventory")) == 1, "the same life is not asked again"
    node.boot = "second"
    before = here.host.changes
    here.beat("b")
    assert len(node.asked("inventory")) == 2
    assert here.host.changes == before + 1


def test_what_a_node_offers_anew_counts(world):
    here = world()
    here.nodes["b"].memory_mib = 256
    here.beat("b")
    with pytest.raises(Impossible):
        here.backend.converge(machine("m2", "b"))


def test_news_for_a_nodes_new_life_do_not_overtake_those_under_way_to_the_old_one(world):
    here = world()
    node = here.nodes["a"]
    here.backend.converge(machine("m1", "a", "red"))
    is_held, may_go, real = threading.Event(), threading.Event(), node._wire

    def held(body: bytes) -> bool:
        node._wire = real
        is_held.set()
        assert may_go.wait(10)
        return real(body)

    node._wire = held
    with ThreadPoolExecutor(2) as threads:
        older = threads.submit(here.backend.converge, machine("m2", "b", "red"))
        assert is_held.wait(10)
        node.boot = "second"
        here.beat("a")
        newer = threads.submit(here.backend.converge, machine("m3", "c", "red"))
        time.sleep(0.1)  # enough to get past the older one, if it could
        may_go.set()
        older.result()
        newer.result()
    assert node.wirings["red"].neighbours == (leads_to("b", "m2"), leads_to("c", "m3"))


def test_what_a_node_says_unasked_is_reported_if_the_sliver_is_there(world):
    here = world()
    pair(here)
    ended = Observation(sliver="m2", generation=1, seen=Seen.STOPPED)
    here.nodes["b"].publish("seen", write(ended))
    assert [(one.sliver, one.seen, one.offer) for one in here.host.reports] == [("m2", Seen.STOPPED, "b")]
    here.nodes["c"].publish("seen", write(ended))
    assert len(here.host.reports) == 1, "of another's sliver a node has nothing to say"


# Nonsense

NONSENSE = [b"", b"\xff\x00", b"{}", b'{"body": 3}', b"[" * 5000, write(Answer(body="nonsense"))]


@pytest.mark.parametrize("kind", ["beat", "seen"])
@pytest.mark.parametrize("body", NONSENSE)
def test_a_message_that_is_none_is_refused_and_changes_nothing(world, kind, body):
    here = world()
    pair(here)
    with pytest.raises(Unreadable):  # which the bus logs
        here.nodes["b"].publish(kind, body)
    here.beat()
    assert len(here.backend.offers()) == 4
    assert here.host.reports == []


@pytest.mark.parametrize("body", NONSENSE[1:])
def test_a_node_that_answers_nonsense_is_as_one_that_does_not_answer(world, body):
    here = world()
    pair(here)
    node = here.nodes["b"]
    node.says = dict.fromkeys(("converge", "remove", "observe", "wire", "unwire", "console"), body)
    with pytest.raises(Unavailable):
        here.backend.converge(machine("m2", "b", "red", generation=2))
    with pytest.raises(Unavailable):
        here.backend.console("m2")
    assert here.backend.converge(machine("m3", "a", "red")).seen is Seen.RUNNING
    assert {observation.sliver for observation in here.backend.observe()} == {"red", "m1", "m3"}
    assert [offer.name for offer in here.backend.offers()] == ["a", "c", "d"]
    node.says.clear()
    here.beat("b")
    list(here.backend.observe())
    assert here.known_of("red")["b"].neighbours == (leads_to("a", "m1", "m3"),)


@pytest.mark.parametrize("body", NONSENSE[1:])
def test_a_node_that_can_not_say_what_it_is_is_not_offered_until_it_can(world, body):
    here = world()
    node = here.nodes["b"]
    node.says, node.boot = {"inventory": body}, "second"
    here.beat("b")
    node.says.clear()
    here.beat("b")
    assert len(node.asked("inventory")) == 3
    assert len(here.backend.offers()) == 4
