"""Hosts without a kernel for the tests of what tells hosts: they answer on the bus as a node manager does, remember
what they were told, and keep nothing but names.

    bus = LocalBus()
    backend = NativeBackend(bus, PREFIX)
    backend.start(Quiet())
    host = HostOfNames(bus, "a")
    host.beat()
"""

import random
import threading
import time
from ipaddress import IPv4Address

from backends.native.bus.local import LocalBus
from backends.native.messages import (
    Answer,
    Beat,
    Inventory,
    Neighbour,
    Order,
    Removal,
    Sight,
    Wiring,
    read,
    refusal,
    write,
)
from backends.protocol import (
    BackendError,
    Image,
    Machine,
    Observation,
    Offer,
    Port,
    Seen,
    Segment,
    SliceId,
    SliverId,
    SliverSpec,
    SliverType,
)

PREFIX = "sfa.tests"
UNDERLAYS = {name: IPv4Address("192.0.2.1") + position for position, name in enumerate("abcdef")}


def machine(name: str, node: str, *links: str, generation: int = 1) -> SliverSpec:
    """A wish for a machine with a port on each of these links."""
    ports = (
        Port(name=f"eth{n}", link=SliverId(link), mac=mac(name, n), addresses=()) for n, link in enumerate(links, 1)
    )
    shape = Machine(
        hostname=name,
        sliver_type="container",
        image="debian-12",
        cpus=1,
        memory_mib=512,
        disk_mib=1024,
        ports=tuple(ports),
    )
    return SliverSpec(sliver=SliverId(name), slice=SliceId("s"), offer=node, generation=generation, shape=shape)


def link(name: str, node: str, *, number: int = 7, generation: int = 1) -> SliverSpec:
    """A wish for a link."""
    return SliverSpec(
        sliver=SliverId(name), slice=SliceId("s"), offer=node, generation=generation, shape=Segment(number=number)
    )


def mac(name: str, port: int = 1) -> str:
    """Of a machine's port; no two have the same."""
    digits = f"{name.encode().hex()[-8:]:0>8}{port:02x}"
    return ":".join(["02", *(digits[n : n + 2] for n in range(0, 10, 2))])


def leads_to(node: str, *machines: str) -> Neighbour:
    """Another host that a link leads to, for machines with one port each."""
    return Neighbour(address=UNDERLAYS[node], macs=tuple(sorted(mac(name) for name in machines)))


class HostOfNames:
    """A host that does what it is told, in its own time."""

    def __init__(self, bus: LocalBus, name: str, *, slowest: float = 0) -> None:
        """slowest: seconds that it takes at most to take a wiring in"""
        self.name = name
        self.boot = "first"
        self.memory_mib = 8192
        self.is_silent = False
        self.wirings: dict[SliverId, Wiring] = {}
        self.slivers: dict[SliverId, SliverSpec] = {}
        self.told: list[tuple[str, object]] = []
        self.says: dict[str, bytes] = {}
        """What it answers in place of the truth, by verb."""
        self._gone: dict[SliverId, int] = {}
        self._slowest = slowest
        self._bus = bus
        self._lock = threading.Lock()
        bus.serve(f"{PREFIX}.node.{name}.*", self._hear)

    def beat(self) -> None:
        """Say that it is alive."""
        self.publish("beat", write(Beat(boot=self.boot, inventory=str(self.memory_mib))))

    def publish(self, kind: str, body: bytes) -> None:
        """Say something that nobody asked for."""
        self._bus.publish(f"{PREFIX}.{kind}.{self.name}", body)

    def asked(self, *verbs: str) -> list[object]:
        """What it was asked, in the order in which it was done."""
        return [message for verb, message in self.told if verb in verbs]

    def _hear(self, subject: str, body: bytes) -> bytes | None:
        if self.is_silent:
            return None
        verb = subject.rpartition(".")[2]
        try:
            reply = getattr(self, f"_{verb}")(body)
        except BackendError as e:
            return write(refusal(e))
        return self.says.get(verb) or write(Answer(body=write(reply).decode()))

    def _inventory(self, _: bytes) -> Inventory:
        self.told.append(("inventory", True))
        offer = Offer(
            name=self.name,
            sliver_types=(SliverType(name="container", cpus=1, memory_mib=512, disk_mib=1024),),
            images=(Image(name="debian-12"),),
            capacity={"slivers": 100, "cpus": 1000, "memory_mib": self.memory_mib, "disk_mib": 8192},
        )
        return Inventory(offer=offer, underlay=UNDERLAYS[self.name], parallel=4)

    def _wire(self, body: bytes) -> bool:
        wiring = read(Wiring, body)
        time.sleep(random.uniform(0, self._slowest))  # noqa: S311 - nothing is kept secret by it
        with self._lock:
            self.told.append(("wire", wiring))
            self.wirings[wiring.link] = wiring
        return True

    def _unwire(self, body: bytes) -> bool:
        with self._lock:
            self.told.append(("unwire", SliverId(read(str, body))))
            self._forget_idle()
        return True

    def _converge(self, body: bytes) -> Observation:
        spec = read(Order, body).spec
        with self._lock:
            self.told.append(("converge", spec))
            is_gone = spec.generation <= self._gone.get(spec.sliver, 0)
            if not is_gone:
                self.slivers[spec.sliver] = spec
        seen = Seen.ABSENT if is_gone else Seen.RUNNING
        return Observation(sliver=spec.sliver, generation=spec.generation, seen=seen)

    def _remove(self, body: bytes) -> bool:
        removal = read(Removal, body)
        with self._lock:
            self.told.append(("remove", removal))
            self._gone[removal.sliver] = removal.generation
            self.slivers.pop(removal.sliver, None)
            self._forget_idle()
        return True

    def _observe(self, _: bytes) -> Sight:
        with self._lock:
            found = (
                Observation(sliver=spec.sliver, generation=spec.generation, seen=Seen.RUNNING)
                for spec in self.slivers.values()
            )
            return Sight(observations=tuple(found), wirings=tuple(self.wirings.values()))

    def _console(self, body: bytes) -> str:
        return f"console of {read(str, body)} on {self.name}"

    def _forget_idle(self) -> None:
        needed = {spec.sliver for spec in self.slivers.values()}
        for spec in self.slivers.values():
            if isinstance(spec.shape, Machine):
                needed |= {port.link for port in spec.shape.ports}
        for known in set(self.wirings) - needed:
            del self.wirings[known]
