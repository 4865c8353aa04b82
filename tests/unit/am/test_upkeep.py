"""Hosts that are drained, worked on and removed while slices are there."""

import json

import pytest
from click.testing import CliRunner
from conftest import NOW
from unit.am.small import claims_add_up, request, used

from backends.protocol import Offer
from backends.simulated import IMAGE, SMALL, SimulatedBackend
from rspec import read_advertisement
from sfa_am.bus import BusFolder, Enrolment
from sfa_am.cli import main
from sfa_am.errors import Busy, NotFeasible, NotFound, Unavailable, Unsupported
from sfa_am.orchestration import upkeep
from sfa_am.store import Store, node_managers, offers, schema
from sfa_am.store.node_managers import NodeManagerRow
from sfa_am.store.offers import Wanted

NODE = '<node client_id="{}" component_id="urn:publicid:IDN+plc+node+{}"/>'
ANYWHERE = request('<node client_id="any"/>')


@pytest.fixture
def am(make_aggregate):
    """Two hosts."""
    return make_aggregate(SimulatedBackend(offers=2))


def at(client_id, component):
    return request(NODE.format(client_id, component))


def wish(am, name, wanted):
    with am.store.transaction() as tx:
        return upkeep.wish(tx, upkeep.host(tx, None, name), wanted, actor="operator", now=am.now)


def remove(am, name, *, force=False):
    with am.store.transaction() as tx:
        return upkeep.remove(tx, upkeep.host(tx, None, name), force=force, actor="operator", now=am.now)


def joined(am, *names):
    with am.store.transaction() as tx:
        for name in names:
            row = NodeManagerRow(
                backend="sim", name=name, nkey=f"U{name}", certificate_fingerprint="0" * 64, joined_at=am.now
            )
            node_managers.put(tx, row)


def made_at(am, component, client_id="a"):
    am.allocate(at(client_id, component))
    am.provision()
    am.work()


def available(am):
    text = am.service.list_resources(am.who(), available_only=False, now=am.now).text
    return {node.component_name: node.is_available for node in read_advertisement(text).nodes}


def places(am):
    return {row["client_id"]: row["offer"] for row in am.rows(schema.sliver)}


def whats(am):
    return [row["what"] for row in am.rows(schema.event)]


@pytest.mark.parametrize("wanted", [Wanted.DRAINING, Wanted.MAINTENANCE])
def test_nothing_new_is_placed_on_a_host_that_is_taken_out(am, wanted):
    wish(am, "node1", wanted)
    am.allocate(request(*(f'<node client_id="n{i}"/>' for i in range(5))))
    assert set(places(am).values()) == {"node2"}
    wish(am, "node1", Wanted.UP)
    am.allocate(at("back", "node1"))
    assert places(am)["back"] == "node1"


@pytest.mark.parametrize(
    ("wanted", "why"), [(Wanted.DRAINING, "operator is taking it out of service"), (Wanted.MAINTENANCE, "maintenance")]
)
def test_a_request_that_names_it_is_told_so(am, wanted, why):
    wish(am, "node1", wanted)
    with pytest.raises(Unavailable, match=f"node 'a'.*component node1 takes nothing new now.*{why}") as refusal:
        am.allocate(at("a", "node1"))
    (reason,) = refusal.value.reasons
    assert (reason.constraint, reason.where, reason.available) == ("state", "component node1", wanted.value)


def test_a_request_for_which_all_others_are_too_small_is_told_of_it(am):
    wish(am, "node1", Wanted.DRAINING)
    large = '<node client_id="n{}"><sliver_type name="container-large"/></node>'
    with pytest.raises(NotFeasible, match=r"not enough left.*component node1 takes nothing new"):
        am.allocate(request(*(large.format(i) for i in range(13))))


def test_with_all_hosts_taken_out_nothing_can_be_had(am):
    wish(am, "node1", Wanted.DRAINING)
    wish(am, "node2", Wanted.MAINTENANCE)
    with pytest.raises(Unavailable, match="components node1, node2 take nothing new now"):
        am.allocate(ANYWHERE)


def test_the_advertisement_says_so_at_once_and_soon_when_another_process_did_it(am):
    assert available(am) == {"node1": True, "node2": True}
    wish(am, "node1", Wanted.DRAINING)
    assert available(am) == {"node1": False, "node2": True}
    other = Store(str(am.store._engine.url))
    with other.transaction() as tx:
        offers.wish(tx, "sim", "node2", Wanted.DRAINING)
    other.close()
    am.wait(seconds=5)
    assert available(am) == {"node1": False, "node2": False}


def test_the_wish_outlives_what_the_backend_says(am):
    wish(am, "node1", Wanted.DRAINING)
    am.backend.is_away = True
    am.sweep()
    am.backend.is_away = False
    am.sweep()
    assert available(am) == {"node1": False, "node2": True}


def test_slivers_on_a_host_that_is_drained_are_used_as_before(am):
    made_at(am, "node1")
    (stays,) = wish(am, "node1", Wanted.DRAINING)
    assert (stays.sliver.client_id, stays.slice.urn) == ("a", am.slice_urn)
    for action in ("geni_restart", "geni_stop", "geni_start"):
        am.act(action)
        am.work()
    assert am.states() == {"a": "geni_ready"}
    am.delete()
    am.work()
    assert am.backend.things == {}
    assert wish(am, "node1", Wanted.DRAINING) == []


def test_what_was_promised_before_is_made_on_a_drained_host(am):
    am.allocate(at("a", "node1"))
    wish(am, "node1", Wanted.DRAINING)
    am.provision()
    am.work()
    assert am.states() == {"a": "geni_ready"}


def test_in_maintenance_nothing_is_started_and_everything_else_goes_on(am):
    made_at(am, "node1")
    am.allocate(at("promised", "node1"))
    wish(am, "node1", Wanted.MAINTENANCE)
    (made,) = [str(state.urn) for state in am.status() if state.client_id == "a"]
    for call in (
        lambda: am.act("geni_restart", [made]),
        lambda: am.act("geni_reload", [made]),
        am.provision,
    ):
        with pytest.raises(Unavailable, match="component node1, which is under maintenance"):
            call()
    am.act("geni_stop", [made])
    am.work()
    assert am.states()["a"] == "geni_notready"
    with pytest.raises(Unavailable):
        am.act("geni_start", [made])
    am.delete()
    am.work()
    assert used(am) == 0


def test_a_host_that_is_used_can_not_be_removed_without_force(am):
    joined(am, "node1")
    made_at(am, "node1")
    with pytest.raises(Busy, match="1 sliver is on node1"):
        remove(am, "node1")
    assert am.states() == {"a": "geni_ready"}


def test_the_servers_own_host_can_not_be_removed_while_it_is_there(am):
    with pytest.raises(Unsupported, match="comes back with the server"):
        remove(am, "node1")
    am.backend.is_away = True
    am.sweep()
    remove(am, "node1")


def test_a_removed_host_is_forgotten_whatever_its_backend_says(am):
    joined(am, "node1")
    remove(am, "node1")
    am.sweep()
    assert available(am) == {"node2": True}
    with pytest.raises(NotFound, match="no host named 'node1'"):
        wish(am, "node1", Wanted.UP)
    with am.store.reading() as tx:
        assert [one.name for one in upkeep.hosts(tx)] == ["node2"]
        assert node_managers.everything(tx) == ()
    assert whats(am)[-1] == "node removed"


def test_what_force_gives_up_is_out_of_its_slice_and_closed_though_nobody_can_be_asked(am):
    joined(am, "node1")
    am.allocate(request(NODE.format("a", "node1"), NODE.format("b", "node2")))
    am.provision()
    am.work()
    am.backend.is_away = True
    am.sweep()
    (lost,) = remove(am, "node1", force=True)
    assert lost.sliver.client_id == "a"
    assert set(am.states()) == {"b"}
    am.work()
    assert set(places(am)) == {"b"}
    assert (used(am), claims_add_up(am)) == (1, True)
    assert [row["detail"] for row in am.rows(schema.event) if row["what"] == "lost"] == ["a: node1 was removed"]


def test_what_waited_for_a_dead_host_to_confirm_is_closed_by_its_removal(am):
    joined(am, "node1")
    made_at(am, "node1")
    am.backend.is_away = True
    am.delete()
    am.work()
    assert set(places(am)) == {"a"}, "it counts until somebody confirms"
    am.sweep()
    assert remove(am, "node1") == []
    am.work()
    assert places(am) == {}


def test_a_host_that_joins_in_the_place_of_a_removed_one_is_there_with_nothing_on_it(am):
    joined(am, "node1")
    made_at(am, "node1")
    remove(am, "node1", force=True)
    with am.store.transaction() as tx:
        offers.readmit(tx, "sim", "node1")
    am.sweep()
    am.work()
    assert available(am) == {"node1": True, "node2": True}
    assert used(am) == 0
    assert am.backend.things == {}


# The commands


@pytest.fixture
def run(tmp_path):
    state = tmp_path / "state"

    def command(*arguments, code=0):
        done = CliRunner().invoke(main, ["--state", str(state), *arguments])
        assert done.exit_code == code, done.output
        return done.output

    command("init", "--authority", "plc")
    store = Store.in_folder(state)
    capacity = {"slivers": 4, "cpus": 4000, "memory_mib": 2048, "disk_mib": 8192}
    published = [Offer(name=n, sliver_types=(SMALL,), images=(IMAGE,), capacity=capacity) for n in ("n1", "n2")]
    with store.transaction() as tx:
        offers.publish(tx, "local", published, now=NOW)
    store.close()
    return command


def test_the_list_and_a_host_are_shown_for_people_and_programs(run):
    run("node", "drain", "n2")
    listed = run("node", "list")
    assert "0/2048" in listed
    assert "up, draining" in listed
    (one, two) = json.loads(run("node", "list", "--json"))
    assert (one["name"], one["up"], one["wanted"], one["slivers"]) == ("n1", True, "up", 0)
    assert (two["wanted"], two["total"]["memory_mib"]) == ("draining", 2048)
    assert "n1 of local: up; last heard 2026" in run("node", "show", "n1")
    assert json.loads(run("node", "show", "n2", "--json"))["slivers"] == []
    assert "no host named 'n3'" in run("node", "show", "n3", code=1)


def test_a_host_is_taken_out_and_used_again(run):
    assert "n1 is draining, and empty" in run("node", "drain", "n1")
    assert "n1 is in maintenance, and empty" in run("node", "maintain", "n1")
    assert "n1 is used again." in run("node", "resume", "n1")
    assert "does not come back" not in run("node", "list")
    assert "comes back with the server" in run("node", "remove", "n1", code=1)


def test_a_host_can_not_come_back_without_a_new_invitation(run, tmp_path):
    state = tmp_path / "state"
    run("bus", "init", "--url", "nats://127.0.0.1:4222")
    store = Store.in_folder(state)
    row = NodeManagerRow(backend="local", name="n1", nkey="UN1", certificate_fingerprint="0" * 64, joined_at=NOW)
    with store.transaction() as tx:
        node_managers.put(tx, row)
    folder = BusFolder(state, "plc")
    Enrolment(store, folder).publish()
    assert "UN1" in folder.users_file.read_text()
    assert "n1 is removed." in run("node", "remove", "n1")
    assert "UN1" not in folder.users_file.read_text()
    assert "no host named" in run("node", "resume", "n1", code=1)
    store.close()
