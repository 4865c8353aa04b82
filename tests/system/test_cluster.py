"""Hosts in two regions: machines of a slice on all of them, links between them; hosts and controllers come and go."""

import json
from itertools import combinations

import pytest
from system.cluster import HUB, Cluster, request, running_on
from system.listening import ACTIONS, LOOPBACK, Listener, Talk, names_of_host
from system.machines import pings, shell
from system.server import allocate, provision, states

from rspec import Lan, read_manifest
from sfi_tool.errors import Refusal
from sfi_tool.slices import Slice

pytestmark = [pytest.mark.needs("root", "lxc", "nats-server"), pytest.mark.timeout(600)]

SEARCHFAILED = 12

LANS = {"red": (1, 2, 3, 4), "green": (3, 4, 5), "blue": (1, 6)}
"""Machines by number on each LAN; number n is on host 1 + n modulo 3."""


def is_ready(slice_: Slice) -> bool:
    return set(states(slice_).values()) == {"geni_ready"}


@pytest.fixture
def made(hosts: Cluster):
    """Makes slices that are ready, and deletes them; nothing is left on any host then."""
    slices: list[Slice] = []

    def make(name: str, document: str) -> Slice:
        slice_ = hosts.server.add_slice(name, "alice")
        allocate(slice_, document)
        slices.append(slice_)
        provision(slice_)
        hosts.server.wait_for(lambda: is_ready(slice_))
        return slice_

    yield make
    for slice_ in slices:
        try:
            slice_.call("Delete", {})
        except Refusal as refusal:
            if refusal.code != SEARCHFAILED:  # the test itself has deleted it
                raise
    hosts.server.wait_for(lambda: hosts.left() == [])
    assert hosts.server.used() == 0


def test_machines_on_a_lan_reach_each_other_across_hosts_and_nobody_else(hosts, made):
    six = made("six", request(LANS))
    other = made("other", request({"red": (1, 2)}))  # the same addresses on the same hosts
    manifest = read_manifest(six.describe()["geni_rspec"])
    assert len({node.component_id for node in manifest.nodes}) == 3
    for position, members in enumerate(LANS.values()):
        for a, b in combinations(members, 2):
            assert pings(six, f"m{a}", f"10.20.{position}.{b}"), (a, b)
    assert not pings(six, "m5", "10.20.0.1"), "m5 is not on red"
    assert not pings(six, "m6", "10.20.1.3"), "m6 is not on green"
    assert pings(other, "m1", "10.20.0.2")
    shell(six, "m1", "sudo ip addr add 10.20.0.77/24 dev eth1")
    assert not pings(other, "m2", "10.20.0.77"), "two slices with the same subnet never meet"


def test_large_packets_fit_whatever_the_way(hosts, made):
    pair = made("large", request({"red": (1, 2), "green": (1, 4)}))
    for address in ("10.20.0.2", "10.20.1.4"):
        mtu = int(shell(pair, "m1", f"cat /sys/class/net/$(ip -o route get {address} | cut -d' ' -f3)/mtu"))
        said = shell(pair, "m1", f"ping -c 1 -W 2 -M do -s {mtu - 28} {address}")
        assert "1 received" in said, said


def test_a_node_manager_that_was_killed_takes_up_what_runs(hosts, made):
    pair = made("adopt", request({"red": (1, 2)}))
    booted = shell(pair, "m1", "cat /proc/1/stat")
    node = hosts.nodes[1]
    node.kill()
    assert pings(pair, "m1", "10.20.0.2"), "machines need no manager to go on"
    away = hosts.wait_for_nodes(2)
    node.start()
    hosts.wait_for_nodes(3)
    assert away < 15, "noticed by its silence, and not by a sweep, which comes once a minute"
    hosts.server.wait_for(lambda: is_ready(pair))
    assert shell(pair, "m1", "cat /proc/1/stat").split()[21] == booted.split()[21], "it is still the same machine"


def test_a_host_that_is_cut_off_is_left_in_peace_and_told_everything_when_it_is_back(hosts, made):
    pair = made("cut", request({"red": (1, 2)}))
    node = hosts.nodes[2]  # m2's
    hosts.wire.cut(node.number, off=True)
    try:
        hosts.wait_for_nodes(2)
        assert is_ready(pair), "what is there is not believed to be gone"
        added = request({"blue": (1, 4)})
        third = hosts.server.add_slice("meanwhile", "alice")
        allocate(third, added)
        provision(third)
        hosts.server.wait_for(lambda: is_ready(third))
        pair.call("Delete", {})  # half of it can't be reached
    finally:
        hosts.wire.cut(node.number, off=False)
    hosts.wait_for_nodes(3)
    hosts.server.wait_for(lambda: not any("m2" in line for line in node.left()) and node.left() == [])
    third.call("Delete", {})
    made("cut2", request({"red": (1, 2)}))


def test_a_host_that_is_away_is_named_in_no_answer(hosts, made):
    pair = made("quiet", request({"red": (1, 2)}))
    node = hosts.nodes[2]  # m2's
    published = [*LOOPBACK, str(HUB)]
    secrets = names_of_host(hosts.server.backend, str(node.state), f"{node.address}:", published=published)
    talk = Talk(Listener(hosts.server.session("alice"), secrets), hosts.server, pair)
    hosts.wire.cut(node.number, off=True)
    try:
        talk.v3("PerformOperationalAction", "geni_restart", {})  # nobody has noticed yet
        talk.try_everything(actions=ACTIONS)
        hosts.wait_for_nodes(2)
        talk.try_everything(actions=ACTIONS)
        talk.v3("Update", request({"red": (1, 2, 5)}), {})
        talk.v3("Delete", {})
        talk.look()
    finally:
        hosts.wire.cut(node.number, off=False)
    hosts.wait_for_nodes(3)


def test_the_bus_may_die(hosts, made):
    pair = made("bus", request({"red": (1, 2)}))
    hosts.kill_bus()
    hosts.wait_for_nodes(0)
    assert pings(pair, "m1", "10.20.0.2")
    hosts.start_bus()
    hosts.wait_for_nodes(3)
    made("bus2", request({"red": (1, 2)}))


def test_the_controller_may_die(hosts, made):
    pair = made("controller", request({"red": (1, 2)}))
    hosts.server.kill()
    node = hosts.nodes[1]
    (machine,) = running_on(node)
    node.says("lxc-stop", "-P", node.containers, "-n", machine, "--kill")
    hosts.server.wait_for(lambda: running_on(node) == [machine])  # its host starts it again without being told
    hosts.server.start()
    hosts.wait_for_nodes(3)
    hosts.server.wait_for(lambda: is_ready(pair))
    assert pings(pair, "m1", "10.20.0.2")


def test_after_a_boot_everything_is_made_again(hosts, made):
    """A boot takes processes, mounts, networks and rules; what was written to disks stays."""
    pair = made("boot", request({"red": (1, 2)}))
    shell(pair, "m1", "echo kept > note; sync")
    node = hosts.nodes[1]
    node.reboot()
    hosts.wait_for_nodes(3)
    hosts.server.wait_for(lambda: is_ready(pair) and pings(pair, "m1", "10.20.0.2"))
    assert shell(pair, "m1", "cat note") == "kept\n"


def named(client_id: str, host: str) -> str:
    component = f'component_id="urn:publicid:IDN+plc+node+{host}"'
    return (
        '<rspec type="request" xmlns="http://www.geni.net/resources/rspec/3">'
        f'<node client_id="{client_id}" {component if host else ""}/></rspec>'
    )


def place_of(hosts: Cluster, client_id: str) -> str:
    """The host on which a machine is, as the operator sees it."""
    for host in json.loads(hosts.server.sfa_am("node", "list", "--json")):
        shown = json.loads(hosts.server.sfa_am("node", "show", host["name"], "--json"))
        if any(sliver["client_id"] == client_id for sliver in shown["slivers"]):
            return host["name"]
    raise AssertionError(f"{client_id} is nowhere")


def test_a_host_is_drained_used_again_removed_and_comes_back_by_invitation_only(hosts, made):
    node = hosts.nodes[0]
    pair = made("drain", request({"red": (3, 4)}))  # m3 is on node1
    told = hosts.server.sfa_am_exits(3, "node", "drain", "node1")
    assert "(node m3)" in told
    assert pair.urn in told
    made("elsewhere", named("other", ""))
    assert place_of(hosts, "other") != "node1"
    refused = hosts.server.add_slice("named", "alice")
    with pytest.raises(Refusal, match="component node1 takes nothing new now"):
        allocate(refused, named("third", "node1"))
    assert pings(pair, "m3", "10.20.0.4"), "what is there goes on"
    hosts.server.sfa_am("node", "resume", "node1")
    made("again", named("third", "node1"))

    assert "slivers are on node1" in hosts.server.sfa_am_fails("node", "remove", "node1")
    told = hosts.server.sfa_am("node", "remove", "node1", "--force")
    assert "(node m3)" in told
    assert "(node third)" in told
    hosts.server.wait_for(lambda: hosts.nodes_up() == 2 and len(hosts.server.status()["offers"]) == 2)
    node.stop()
    node.start()
    hosts.server.wait_for(lambda: node.log.read_text().count("Authorization Violation") > 0)
    assert len(hosts.server.status()["offers"]) == 2

    node.stop()
    (node.state / "node.toml").rename(node.state / "node.toml.old")
    node.join(hosts.server.sfa_am("node", "invite", "node1").splitlines()[-1].split()[-1])
    node.start()
    hosts.wait_for_nodes(3)
    hosts.server.wait_for(lambda: node.left() == [])  # what nobody wants any more
    made("after", named("fresh", "node1"))


def test_each_host_answers_its_own_machines_and_all_know_all_names(hosts, made):
    lan = '<lan xmlns="urn:sfa-am:rspec:ext:lan:1" dhcp="true"/></link>'
    pair = made("served", request({"red": (1, 2)}).replace("</link>", lan))
    server = read_manifest(pair.describe()["geni_rspec"]).links[0].first(Lan).server
    for at, other in (("m1", "m2"), ("m2", "m1")):
        own = f"10.20.0.{at[1:]}/24"
        hosts.server.wait_for(lambda at=at, own=own: own in shell(pair, at, "ip -4 -brief address show"))
        assert "1 received" in shell(pair, at, f"ping -c 1 -W 2 {other}")
        assert f"10.20.0.{other[1:]}" in shell(pair, at, f"busybox nslookup {other} {server}")
    # Whoever asks has one answer to each question, though there are two servers.
    said = shell(pair, "m1", f"sudo busybox arping -c 2 -w 4 -I eth1 {server} || true")
    assert "Received 2 response" in said, said
