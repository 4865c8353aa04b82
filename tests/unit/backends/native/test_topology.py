"""Which nodes a link leads to follows from the newest wishes."""

from unit.backends.native.hosts import UNDERLAYS, leads_to, link, machine

from backends.native.messages import Wiring
from backends.native.topology import Topology, links_of
from backends.protocol import Segment


def wiring(topology: Topology, on: str, node: str) -> Wiring:
    return topology.wiring(on, node, UNDERLAYS.get)


def test_a_machine_is_on_the_links_of_its_ports_once_each_and_a_link_is_on_itself():
    assert links_of(machine("m1", "a", "red", "blue", "red")) == ("red", "blue")
    assert links_of(link("red", "a")) == ("red",)


def test_a_link_leads_to_the_nodes_that_have_something_of_it():
    topology = Topology([link("red", "a"), machine("m1", "b", "red"), machine("m2", "c", "blue")])
    assert topology.nodes_of("red") == {"a", "b"}
    assert topology.nodes_of("green") == set()
    assert topology.links_at("b") == {"red"}


def test_a_node_is_told_of_machines_on_other_nodes_and_not_of_its_own():
    topology = Topology([link("red", "a"), machine("m1", "a", "red"), machine("m2", "b", "red")])
    segment = Segment(number=7)
    assert wiring(topology, "red", "a") == Wiring(link="red", segment=segment, neighbours=(leads_to("b", "m2"),))
    assert wiring(topology, "red", "b") == Wiring(link="red", segment=segment, neighbours=(leads_to("a", "m1"),))


def test_machines_may_be_wished_for_before_their_link():
    topology = Topology([machine("m1", "a", "red"), machine("m2", "b", "red")])
    assert wiring(topology, "red", "a").segment is None
    assert topology.put(link("red", "a", number=9)) == ("red",)
    assert wiring(topology, "red", "b").segment == Segment(number=9)


def test_a_node_without_tunnels_is_nobodys_neighbour():
    topology = Topology([machine("m1", "a", "red"), machine("m2", "b", "red")])
    assert topology.wiring("red", "a", lambda _: None).neighbours == ()


def test_an_older_wish_changes_nothing():
    topology = Topology([machine("m1", "a", "red", generation=3)])
    assert topology.put(machine("m1", "b", "blue", generation=2)) == ("red",)
    assert topology.nodes_of("red") == {"a"}
    assert topology.nodes_of("blue") == set()


def test_a_machine_that_changes_its_links_concerns_those_it_was_on_too():
    topology = Topology([machine("m1", "a", "red")])
    assert set(topology.put(machine("m1", "a", "blue", generation=2))) == {"red", "blue"}
    assert topology.nodes_of("red") == set()
    assert topology.nodes_of("blue") == {"a"}


def test_what_is_dropped_is_gone_unless_something_newer_was_wished_for():
    topology = Topology([machine("m1", "a", "red", generation=2)])
    assert topology.drop("m1", 1) == ()
    assert topology.get("m1") is not None
    assert topology.drop("m1", 2) == ("red",)
    assert topology.get("m1") is None
    assert topology.nodes_of("red") == set()
    assert topology.links_at("a") == set()
    assert topology.drop("m1", 2) == (), "absent already is fine"
