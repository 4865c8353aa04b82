"""Throughput of a link across hosts: iperf3 between two machines, beside bare VXLAN between the same two hosts' wires.

The hosts are those of the system tests: namespaces on one wire, a node manager in each. Both ends and the wire share
this machine's cores, so what is measured is the processor time of the whole way, there and back, not of any cable.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pyroute2 import NetNS, netns

from backends.native.images import DEBIAN_12, ImageFolder
from backends.protocol import Form
from bench.row import Row
from bench.server import IMAGES, ROOT

sys.path.insert(0, str(ROOT / "tests"))  # where the hosts under test are

from system.cluster import Cluster, cluster, request, running_on
from system.server import allocate, provision, states

SECONDS = 1
ROUNDS = 15
"""In which the ways take turns; the best of each counts, for whatever else runs on the machine only ever takes."""

_NUMBER = 777_777
"""Of the bare VXLAN: far from those that links are given."""

_EVERYBODY = "00:00:00:00:00:00"
_PEER = "10.30.0.2"


def measure() -> list[Row]:
    """The rows of this section."""
    if shutil.which("iperf3") is None or shutil.which("nats-server") is None:
        raise SystemExit("These benchmarks need iperf3 and nats-server: make setup-dev installs them.")
    ImageFolder(IMAGES).build(DEBIAN_12.name, Form.CONTAINER)
    home = Path(tempfile.mkdtemp(prefix="sfa-bench-"))
    try:
        with cluster(home, IMAGES, nodes=2) as hosts, _bare(hosts) as bare, _bridged(hosts) as bridged:
            link = _link(hosts)
            ways = (("link", link), ("bare", bare), ("bridged", bridged))
            best = dict.fromkeys(("link", "bare", "bridged"), 0.0)
            for _ in range(ROUNDS):
                for name, way in ways:
                    best[name] = max(best[name], way())
    finally:
        shutil.rmtree(home)
    measured = "a link across hosts: one TCP stream between two machines"
    return [
        Row(measured, best["link"], "bare VXLAN between two hosts", best["bare"], "Mbit/s", aim=0.9),
        Row(measured, best["link"], "bare VXLAN, bridges and veth pairs", best["bridged"], "Mbit/s", aim=0.9),
    ]


def _link(hosts: Cluster) -> Callable[[], float]:
    """Two machines on two hosts."""
    hosts.server.add_user("alice")
    slice_ = hosts.server.add_slice("bench", "alice")
    allocate(slice_, request({"red": (1, 3)}))
    provision(slice_)
    hosts.server.wait_for(lambda: set(states(slice_).values()) == {"geni_ready"})
    ends = [f"/proc/{_first_process(hosts, node)}/ns/net" for node in (1, 0)]  # m1 is on the second, m3 on the first
    return lambda: _iperf(ends[0], ends[1], "10.20.0.3")


def _first_process(hosts: Cluster, number: int) -> int:
    node = hosts.nodes[number]
    (machine,) = running_on(node)
    return int(node.says("lxc-info", "-P", node.containers, "-n", machine, "-p", "-H"))


@contextmanager
def _bare(hosts: Cluster) -> Iterator[Callable[[], float]]:
    """VXLAN devices of two more hosts on the same wire, with addresses of their own."""
    (one, there), (two, here) = hosts.wire.plug(21), hosts.wire.plug(22)
    for name, local, remote, address in ((one, there, here, "10.30.0.1"), (two, here, there, _PEER)):
        with NetNS(name) as netlink:
            _address(netlink, _tunnel(netlink, local, remote), address)
    yield lambda: _iperf(_path(one), _path(two), _PEER)


@contextmanager
def _bridged(hosts: Cluster) -> Iterator[Callable[[], float]]:
    """The same from guests' namespaces: a veth pair and a bridge more at each end, as any machine has."""
    (one, there), (two, here) = hosts.wire.plug(23), hosts.wire.plug(24)
    with ExitStack() as undo:
        guests = []
        ends = ((one, there, here, "10.30.0.1"), (two, here, there, _PEER))
        for number, (name, local, remote, address) in enumerate(ends):
            guest = f"{hosts.wire.tag}g{number}"
            with NetNS(guest) as inside, NetNS(name) as netlink:
                undo.callback(netns.remove, guest)
                netlink.link("add", ifname="bridge", kind="bridge")
                bridge = netlink.link_lookup(ifname="bridge")[0]
                netlink.link("set", index=_tunnel(netlink, local, remote), master=bridge)
                netlink.link("add", ifname="outside", kind="veth", peer={"ifname": "inside", "net_ns_fd": guest})
                outside, within = netlink.link_lookup(ifname="outside")[0], inside.link_lookup(ifname="inside")[0]
                netlink.link("set", index=outside, mtu=1450, master=bridge, state="up")
                netlink.link("set", index=bridge, state="up")
                inside.link("set", index=within, mtu=1450)
                _address(inside, within, address)
            guests.append(_path(guest))
        yield lambda: _iperf(guests[0], guests[1], _PEER)


def _tunnel(netlink: Any, local: IPv4Address, remote: IPv4Address) -> int:
    """Index of a new VXLAN device to one other host."""
    how = {"vxlan_id": _NUMBER, "vxlan_local": str(local), "vxlan_port": 4789, "vxlan_learning": 0}
    netlink.link("add", ifname="bare", kind="vxlan", **how)
    index: int = netlink.link_lookup(ifname="bare")[0]
    netlink.link("set", index=index, mtu=1450, state="up")
    netlink.fdb("append", ifindex=index, lladdr=_EVERYBODY, dst=str(remote), flags=0x02, state=0xC0)
    return index


def _address(netlink: Any, index: int, address: str) -> None:
    netlink.addr("add", index=index, address=address, prefixlen=24)
    netlink.link("set", index=index, state="up")


def _path(namespace: str) -> str:
    return f"/run/netns/{namespace}"


def _iperf(client: str, server: str, address: str) -> float:
    """Mbit/s that arrive, from one network namespace to another."""
    listening = subprocess.Popen(
        ["nsenter", f"--net={server}", "iperf3", "--server", "--one-off"], stdout=subprocess.DEVNULL
    )
    command = ["nsenter", f"--net={client}", "iperf3", "--client", address, "--time", str(SECONDS), "--json"]
    try:
        for _ in range(100):  # until it listens, and for whoever is found by asking everybody
            done = subprocess.run([*command, "--connect-timeout", "500"], capture_output=True, text=True, check=False)
            said = json.loads(done.stdout)
            if "error" not in said:
                return float(said["end"]["sum_received"]["bits_per_second"]) / 1e6
        raise TimeoutError(f"no measurement: {said['error']}")
    finally:
        listening.kill()
        listening.wait()
