"""Several hosts on this one: namespaces with a node manager in each; bus and controller in a hub.

Hosts are in two regions, each with a network of its own; the hub is on both and routes between them.
The hosts share the file system and nothing of the network; each has its own mounts. A test's own thread enters the hub,
and with it everything it starts.
"""

import ctypes
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from pyroute2 import IPRoute, NetNS, netns
from system.hypervisor import end_own, start_own
from system.image_folders import folder_beside
from system.server import PROGRAMS, RunningServer

from backends.native.cleanup import clean, leftovers, shut_down
from backends.native.names import Names
from backends.native.runtime import Runtime

HUB = IPv4Address("10.199.0.1")
_REGIONS = (HUB, IPv4Address("10.199.1.1"))
"""The hub's address in each."""
_BUS = f"nats://{HUB}:4222"


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread, and what it starts, in a network namespace."""
    netns.pushns(namespace)
    try:
        yield
    finally:
        netns.popns()


class Lodging:
    """A host's network and mount namespaces, for as long as a process of no use otherwise stays in them.

    Its /sys is its own: containers' tools look there for bridges, and find those of the network it was mounted in. So
    are the folders in which a hypervisor's daemon says that it is there and what it runs.
    """

    def __init__(self, namespace: str) -> None:
        script = (
            "set -e; new=$(mktemp -d); mount -t sysfs sysfs $new; mount --rbind /sys/fs/cgroup $new/fs/cgroup; "
            "mount --move $new /sys; rmdir $new; for own in /run/libvirt /var/lib/libvirt/qemu; do "
            "[ ! -d $own ] || { owner=$(stat -c %u:%g $own); mount -t tmpfs tmpfs $own; chown $owner $own; }; done; "
            "echo ready; exec sleep infinity"
        )
        with inside(namespace):
            command = ["unshare", "--mount", "--propagation=private", "sh", "-c", script]
            self._keeper = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"ready\n"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread, and what it starts, on that host."""
        kinds = ("net", "mnt")
        folder = os.getcwd()  # noqa: PTH109 - a mount namespace is entered at its root
        back = [os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
        there = [os.open(f"/proc/{self._keeper.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
        try:
            _call("unshare", _CLONE_FS)  # or the other threads would have to come along
            for namespace in there:
                _call("setns", namespace, 0)
            os.chdir(folder)
            yield
        finally:
            for namespace in back:
                _call("setns", namespace, 0)
            os.chdir(folder)
            for namespace in (*back, *there):
                os.close(namespace)

    def end(self) -> None:
        """Its mounts go with the last process in it."""
        self._keeper.kill()
        self._keeper.communicate()


_CLONE_FS = 0x200
_libc = ctypes.CDLL(None, use_errno=True)


def _call(function: str, *arguments: int) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")


class Wire:
    """Namespaces that reach each other: a hub with a bridge for each region, and hosts that are plugged into these."""

    def __init__(self) -> None:
        self.tag = f"sfat{secrets.token_hex(2)}"
        self.hub = f"{self.tag}hub"
        self._made: list[str] = []
        self._make(self.hub)
        with NetNS(self.hub) as hub:
            hub.link("set", index=1, state="up")
            for region, address in enumerate(_REGIONS):
                hub.link("add", ifname=f"region{region}", kind="bridge")
                index = hub.link_lookup(ifname=f"region{region}")[0]
                hub.addr("add", index=index, address=str(address), prefixlen=24)
                hub.link("set", index=index, state="up")
        with inside(self.hub):
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def plug(self, number: int) -> tuple[str, IPv4Address]:
        """A new host's namespace and address. Every third one is in the other region."""
        region = int(number % 3 == 0)
        name, gateway = f"{self.tag}n{number}", _REGIONS[region]
        address = gateway + 10 + number
        self._make(name)
        with IPRoute() as here, NetNS(name) as there, NetNS(self.hub) as hub:
            outer, inner = f"{self.tag}o{number}", f"{self.tag}i{number}"
            here.link("add", ifname=outer, kind="veth", peer=inner)
            here.link("set", index=here.link_lookup(ifname=inner)[0], net_ns_fd=name)
            here.link("set", index=here.link_lookup(ifname=outer)[0], net_ns_fd=self.hub)
            bridge = hub.link_lookup(ifname=f"region{region}")[0]
            hub.link("set", index=hub.link_lookup(ifname=outer)[0], master=bridge, state="up")
            there.link("set", index=1, state="up")
            index = there.link_lookup(ifname=inner)[0]
            there.link("set", index=index, ifname="uplink")
            there.addr("add", index=index, address=str(address), prefixlen=24)
            there.link("set", index=index, state="up")
            there.route("add", dst="default", gateway=str(gateway))
        return name, address

    def cut(self, number: int, *, off: bool) -> None:
        """Pull a host's plug, or put it back."""
        with NetNS(self.hub) as hub:
            index = hub.link_lookup(ifname=f"{self.tag}o{number}")[0]
            hub.link("set", index=index, state="down" if off else "up")

    def remove(self) -> None:
        """All namespaces, with what is in them."""
        for name in reversed(self._made):
            netns.remove(name)

    def _make(self, name: str) -> None:
        netns.create(name)
        self._made.append(name)


class Node:
    """A host with a node manager. images: a folder with those that are built in"""

    def __init__(self, wire: Wire, number: int, home: Path, images: Path, *, virtual_machines: bool) -> None:
        self.name = f"node{number}"
        self.number = number
        namespace, self.address = wire.plug(number)
        self._lodging = Lodging(namespace)
        self.state = home / self.name
        self.log = home / f"{self.name}.log"
        self.images = folder_beside(images, home / f"{self.name}-images")
        self.process: subprocess.Popen[bytes] | None = None
        self._virtual_machines = virtual_machines
        self._hypervisor: list[subprocess.Popen[bytes]] = []

    def join(self, token: str) -> None:
        """Become one of the backend's hosts, with settings for this small world."""
        self._run("join", token, "--state", self.state)
        settings = {
            "image_folder": str(self.images),
            "publish_address": str(self.address),
            "underlay": str(self.address),
            "first_id": 1_000_000 + self.number * 100_000_000,
            "ports": 200,
            "memory_mib": 16384,
            "virtual_machines": self._virtual_machines,
        }
        file = self.state / "node.toml"
        text = file.read_text().replace("[settings]\n", "")
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        file.write_text("\n".join([text, "[settings]", *lines, ""]))

    def start(self) -> None:
        """Run the node manager, and the hypervisor when it needs one."""
        if self._virtual_machines and not self._hypervisor:
            with self._lodging.entered():
                self._hypervisor = start_own()
        with self.log.open("ab") as log:
            command = [PROGRAMS / "sfa-node", "run", "--state", self.state]
            with self._lodging.entered():
                self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> None:
        """As the kernel would: no goodbye."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Slivers go on."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            finally:
                self.process.kill()

    @property
    def containers(self) -> Path:
        """The folder in which its containers are known to their own tools."""
        return Runtime(Names.of_folder(self.state)).folder

    def left(self, *, slivers_only: bool = True) -> list[str]:
        """What is on this host."""
        with self._lodging.entered():
            return leftovers(self.state, slivers_only=slivers_only)

    def reboot(self) -> None:
        """Lose what a boot loses: processes, mounts, networks, rules. What is on disks stays."""
        self.stop()
        with self._lodging.entered():
            shut_down(self.state)
        self.start()

    def clean(self) -> None:
        """Remove what is on it."""
        with self._lodging.entered():
            clean(self.state)

    def leave(self) -> None:
        """End it: with its namespaces go the mounts that nobody removed."""
        end_own(self._hypervisor)
        self._lodging.end()

    def says(self, *command: str | Path) -> str:
        """What a program prints that runs on this host."""
        with self._lodging.entered():
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def image(self, command: str, *arguments: str | Path) -> None:
        """`sfa-node image` on it."""
        self._run("image", "--state", self.state, command, *arguments)

    def _run(self, *arguments: str | Path) -> None:
        with self._lodging.entered():
            command = [PROGRAMS / "sfa-node", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


class Cluster:
    """A server, a bus and hosts. To be used by a thread inside the hub: see `cluster`."""

    def __init__(self, home: Path, images: Path, wire: Wire, nodes: int, *, virtual_machines: bool) -> None:
        self.wire = wire
        self.server = RunningServer(
            home,
            images,
            **{
                "server.listen": '"0.0.0.0"',
                "server.public_host": f'"{HUB}"',
                "backend.bus": f'"{_BUS}"',
            },
        )
        self.home = home
        self.bus: subprocess.Popen[bytes] | None = None
        numbers = range(1, nodes + 1)
        self.nodes = [Node(wire, number, home, images, virtual_machines=virtual_machines) for number in numbers]

    def start(self) -> None:
        """Found everything and wait until all hosts are there."""
        said = self.server.sfa_am("bus", "init", "--url", _BUS)
        self._bus_file = next(line.rpartition(" ")[2] for line in said.splitlines() if "nats-server -c" in line)
        self.start_bus()
        self.server.start()
        for node in self.nodes:
            line = self.server.sfa_am("node", "invite", node.name).splitlines()[-1]
            node.join(line.split()[-1])
            node.start()
        self.wait_for_nodes(len(self.nodes))

    def start_bus(self) -> None:
        """Run its server."""
        with (self.home / "bus.log").open("ab") as log:
            self.bus = subprocess.Popen(["nats-server", "-c", self._bus_file], stdout=log, stderr=log)

    def kill_bus(self) -> None:
        """As the kernel would."""
        assert self.bus is not None
        self.bus.kill()
        self.bus.wait()

    def nodes_up(self) -> int:
        """How many offers can be had."""
        return sum(offer["up"] for offer in self.server.status()["offers"])

    def wait_for_nodes(self, wanted: int, timeout: float = 60) -> float:
        """Wait until so many are there; returns the seconds it took."""
        begin = time.monotonic()
        RunningServer.wait_for(lambda: self.nodes_up() == wanted, timeout)
        return time.monotonic() - begin

    def stop(self) -> None:
        """End all processes, remove all slivers; whatever fails, the rest is done."""
        with ExitStack() as steps:
            if self.bus is not None:
                steps.callback(self.kill_bus)
            for node in self.nodes:
                steps.callback(node.clean)
                steps.callback(node.stop)
            steps.callback(self.server.stop)

    def left(self, *, slivers_only: bool = True) -> list[str]:
        """What is on all hosts."""
        return [f"{node.name}: {line}" for node in self.nodes for line in node.left(slivers_only=slivers_only)]


@contextmanager
def cluster(home: Path, images: Path, nodes: int = 3, *, virtual_machines: bool = False) -> Iterator[Cluster]:
    """A running cluster, with this thread in its hub; afterwards nothing of it is left."""
    wire = Wire()
    try:
        with inside(wire.hub):
            running = Cluster(home, images, wire, nodes, virtual_machines=virtual_machines)
            try:
                running.start()
                yield running
            finally:
                running.stop()
                left = running.left(slivers_only=False)
                for node in running.nodes:
                    node.leave()
            assert left == []
    finally:
        wire.remove()
    assert not [name for name in netns.listnetns() if name.startswith(wire.tag)]


def request(lans: dict[str, tuple[int, ...]], virtual: Collection[int] = ()) -> str:
    """Machines m1, m2, ... with an interface on each of their LANs, spread over the hosts by number.

    virtual: numbers of those that are virtual machines; the others are containers
    """
    numbers = sorted({number for members in lans.values() for number in members})
    xml = ['<rspec type="request" xmlns="http://www.geni.net/resources/rspec/3">']
    for n in numbers:
        xml.append(f'<node client_id="m{n}" component_id="urn:publicid:IDN+plc+node+node{1 + n % 3}">')
        xml.append(f'<sliver_type name="{"vm-small" if n in virtual else "container"}"/>')
        for position, (name, members) in enumerate(lans.items()):
            if n in members:
                address = f'<ip address="10.20.{position}.{n}" netmask="255.255.255.0" type="ipv4"/>'
                xml.append(f'<interface client_id="m{n}:{name}">{address}</interface>')
        xml.append("</node>")
    for name, members in lans.items():
        ends = "".join(f'<interface_ref client_id="m{n}:{name}"/>' for n in members)
        xml.append(f'<link client_id="{name}">{ends}</link>')
    return "".join([*xml, "</rspec>"])


def running_on(node: Node) -> list[str]:
    """Names of the containers that run on a host, by their own tool."""
    return node.says("lxc-ls", "-P", node.containers, "-1", "--running").split()
