"""Several hosts on this one: network namespaces on one wire, with a node manager in each; bus and controller in a hub.

The hosts share the file system and nothing of the network. A test's own thread enters the hub, and with it everything
it starts.
"""

import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from pyroute2 import IPRoute, NetNS, netns
from system.server import PROGRAMS, RunningServer

from backends.native.cleanup import clean, leftovers

_HUB = IPv4Address("10.199.0.1")
_BUS = f"nats://{_HUB}:4222"


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread, and what it starts, in a network namespace."""
    netns.pushns(namespace)
    try:
        yield
    finally:
        netns.popns()


class Wire:
    """Namespaces that reach each other: a hub with a bridge, and hosts that are plugged into it."""

    def __init__(self) -> None:
        self.tag = f"sfat{secrets.token_hex(2)}"
        self.hub = f"{self.tag}hub"
        self._made: list[str] = []
        self._make(self.hub)
        with NetNS(self.hub) as hub:
            hub.link("set", index=1, state="up")
            hub.link("add", ifname="wire", kind="bridge")
            self._bridge = hub.link_lookup(ifname="wire")[0]
            hub.addr("add", index=self._bridge, address=str(_HUB), prefixlen=24)
            hub.link("set", index=self._bridge, state="up")

    def plug(self, number: int) -> tuple[str, IPv4Address]:
        """A new host's namespace and address."""
        name, address = f"{self.tag}n{number}", _HUB + 10 + number
        self._make(name)
        with IPRoute() as here, NetNS(name) as there, NetNS(self.hub) as hub:
            outer, inner = f"{self.tag}o{number}", f"{self.tag}i{number}"
            here.link("add", ifname=outer, kind="veth", peer=inner)
            here.link("set", index=here.link_lookup(ifname=inner)[0], net_ns_fd=name)
            here.link("set", index=here.link_lookup(ifname=outer)[0], net_ns_fd=self.hub)
            hub.link("set", index=hub.link_lookup(ifname=outer)[0], master=self._bridge, state="up")
            there.link("set", index=1, state="up")
            index = there.link_lookup(ifname=inner)[0]
            there.link("set", index=index, ifname="uplink")
            there.addr("add", index=index, address=str(address), prefixlen=24)
            there.link("set", index=index, state="up")
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
    """A host with a node manager."""

    def __init__(self, wire: Wire, number: int, home: Path, images: Path) -> None:
        self.name = f"node{number}"
        self.number = number
        self.namespace, self.address = wire.plug(number)
        self.state = home / self.name
        self.log = home / f"{self.name}.log"
        self._images = images
        self.process: subprocess.Popen[bytes] | None = None

    def join(self, token: str) -> None:
        """Become one of the backend's hosts, with settings for this small world."""
        self._run("join", token)
        settings = {
            "image_folder": str(self._images),
            "publish_address": str(self.address),
            "underlay": str(self.address),
            "first_id": 1_000_000 + self.number * 100_000_000,
            "ports": 200,
            "memory_mib": 16384,
        }
        file = self.state / "node.toml"
        text = file.read_text().replace("[settings]\n", "")
        lines = [f"{key} = {value!r}".replace("'", '"') for key, value in settings.items()]
        file.write_text("\n".join([text, "[settings]", *lines, ""]))

    def start(self) -> None:
        """Run the node manager."""
        with self.log.open("ab") as log:
            command = [PROGRAMS / "sfa-node", "run", "--state", self.state]
            with inside(self.namespace):
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
            self.process.wait(timeout=30)

    def left(self, *, slivers_only: bool = True) -> list[str]:
        """What is on this host."""
        with inside(self.namespace):
            return leftovers(self.state, slivers_only=slivers_only)

    def clean(self) -> None:
        """Remove it."""
        with inside(self.namespace):
            clean(self.state)

    def _run(self, *arguments: str) -> None:
        with inside(self.namespace):
            command = [PROGRAMS / "sfa-node", *arguments, "--state", self.state]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


class Cluster:
    """A server, a bus and hosts. To be used by a thread inside the hub: see `cluster`."""

    def __init__(self, home: Path, images: Path, wire: Wire, nodes: int) -> None:
        self.wire = wire
        self.server = RunningServer(
            home,
            images,
            **{
                "server.listen": '"0.0.0.0"',
                "server.public_host": f'"{_HUB}"',
                "backend.bus": f'"{_BUS}"',
            },
        )
        self.home = home
        self.bus: subprocess.Popen[bytes] | None = None
        self.nodes = [Node(wire, number, home, images) for number in range(1, nodes + 1)]

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
        return sum(offer["state"] == "up" for offer in self.server.status()["offers"])

    def wait_for_nodes(self, wanted: int, timeout: float = 60) -> float:
        """Wait until so many are there; returns the seconds it took."""
        begin = time.monotonic()
        RunningServer.wait_for(lambda: self.nodes_up() == wanted, timeout)
        return time.monotonic() - begin

    def stop(self) -> None:
        """End all processes, remove all slivers."""
        self.server.stop()
        for node in self.nodes:
            node.stop()
            node.clean()
        if self.bus is not None and self.bus.poll() is None:
            self.bus.terminate()
            self.bus.wait(timeout=10)

    def left(self, *, slivers_only: bool = True) -> list[str]:
        """What is on all hosts."""
        return [f"{node.name}: {line}" for node in self.nodes for line in node.left(slivers_only=slivers_only)]


@contextmanager
def cluster(home: Path, images: Path, nodes: int = 3) -> Iterator[Cluster]:
    """A running cluster, with this thread in its hub; afterwards nothing of it is left."""
    wire = Wire()
    try:
        with inside(wire.hub):
            running = Cluster(home, images, wire, nodes)
            try:
                running.start()
                yield running
            finally:
                running.stop()
                left = running.left(slivers_only=False)
            assert left == []
    finally:
        wire.remove()
    assert not [name for name in netns.listnetns() if name.startswith(wire.tag)]
