"""Several hosts: machines of one slice on all of them, links between them, hosts and controllers that come and go."""

import shutil
import tempfile
from itertools import combinations
from pathlib import Path

import pytest
from system.cluster import Cluster, Node, cluster
from system.conftest import run_over_ssh
from system.server import allocate, provision, states

from rspec import read_manifest
from sfi_tool.errors import Refusal
from sfi_tool.slices import Slice

pytestmark = [pytest.mark.needs("root", "lxc", "nats-server"), pytest.mark.timeout(600)]

SEARCHFAILED = 12

LANS = {"red": (1, 2, 3, 4), "green": (3, 4, 5), "blue": (1, 6)}
"""Machines by number on each LAN; number n is on host 1 + n modulo 3."""


@pytest.fixture(scope="module")
def hosts(images):
    home = Path(tempfile.mkdtemp(prefix="sfa-am-test-"))
    try:
        with cluster(home, images) as running:
            running.server.add_user("alice")
            yield running
    except BaseException:
        for log in sorted(home.glob("*.log")):
            print(f"== {log.name}\n{log.read_text()[-6000:]}")
        raise
    finally:
        shutil.rmtree(home)


def request(lans: dict[str, tuple[int, ...]]) -> str:
    """Machines m1, m2, ... with an interface on each of their LANs, spread over the hosts by number."""
    numbers = sorted({number for members in lans.values() for number in members})
    xml = ['<rspec type="request" xmlns="http://www.geni.net/resources/rspec/3">']
    for n in numbers:
        xml.append(f'<node client_id="m{n}" component_id="urn:publicid:IDN+plc+node+node{1 + n % 3}">')
        for position, (name, members) in enumerate(lans.items()):
            if n in members:
                address = f'<ip address="10.20.{position}.{n}" netmask="255.255.255.0" type="ipv4"/>'
                xml.append(f'<interface client_id="m{n}:{name}">{address}</interface>')
        xml.append("</node>")
    for name, members in lans.items():
        ends = "".join(f'<interface_ref client_id="m{n}:{name}"/>' for n in members)
        xml.append(f'<link client_id="{name}">{ends}</link>')
    return "".join([*xml, "</rspec>"])


def is_ready(slice_: Slice) -> bool:
    return set(states(slice_).values()) == {"geni_ready"}


def shell(slice_: Slice, name: str, command: str, *, timeout: float = 30) -> str:
    """What a command says in a machine, over SSH."""
    node = next(n for n in read_manifest(slice_.describe()["geni_rspec"]).nodes if n.client_id == name)
    done = run_over_ssh(slice_.session.folder.key, node.logins[0], command, timeout=timeout)
    return done.stdout + done.stderr


def pings(slice_: Slice, name: str, address: str) -> bool:
    return "1 received" in shell(slice_, name, f"ping -c 1 -W 2 {address} || true")


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
    assert away < 6
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


def running_on(node: Node) -> list[str]:
    """Names of the containers that run on a host, by their own tool."""
    return node.says("lxc-ls", "-P", node.containers, "-1", "--running").split()


def test_after_a_boot_everything_is_made_again(hosts, made):
    """A boot takes processes, mounts, networks and rules; what was written to disks stays."""
    pair = made("boot", request({"red": (1, 2)}))
    shell(pair, "m1", "echo kept > note; sync")
    node = hosts.nodes[1]
    node.reboot()
    hosts.wait_for_nodes(3)
    hosts.server.wait_for(lambda: is_ready(pair) and pings(pair, "m1", "10.20.0.2"))
    assert shell(pair, "m1", "cat note") == "kept\n"
