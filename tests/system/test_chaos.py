"""Whatever dies, and whenever: what was acknowledged holds, what should be is, and nothing else is left.

Users make, stop, start, and delete machines with links between hosts, while node managers, the controller, the bus and
the wires between them are killed and come back, in a random order that a number gives. SFA_CHAOS_STEPS=200 makes it
longer, SFA_CHAOS_SEED another one.
"""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from system.cluster import Cluster, Node, request, running_on
from system.machines import pings
from system.server import allocate, provision

from sfi_tool.errors import Refusal, Unreachable
from sfi_tool.slices import NOT_HERE, Slice

pytestmark = [pytest.mark.needs("root", "lxc", "nats-server"), pytest.mark.timeout(1500)]

STEPS = int(os.environ.get("SFA_CHAOS_STEPS", "60"))
SEED = int(os.environ.get("SFA_CHAOS_SEED", "1"))
SLICES = 4

ON, OFF = "geni_ready", "geni_notready"
LAYOUTS = (
    {"red": (1, 2)},
    {"red": (1, 2, 3)},
    {"red": (1, 4), "green": (1, 3)},
    {"red": (2, 3), "green": (2, 5), "blue": (3, 5)},
)


@dataclass
class Promise:
    """What users of a slice were told.

    states: by sliver, the states that its machines and links may be in when all is quiet
    layout: machines by number on each link, where something was made
    is_known: whether the last call about it was answered
    """

    slice_: Slice
    states: dict[str, set[str]] = field(default_factory=dict)
    layout: dict[str, tuple[int, ...]] = field(default_factory=dict)
    is_known: bool = True

    def call(self, do: Callable[[], None]) -> str:
        """A call and what is known after it: a refusal changes nothing, no answer leaves both possible."""
        try:
            do()
        except Refusal as e:
            return f"refused: {e.message}"
        except Unreachable:
            self.is_known = False
            return "no answer"
        return "done"

    def look(self) -> dict[str, tuple[str, str]]:
        """Allocation and operational state of its slivers."""
        try:
            there = self.slice_.call("Status", {})["geni_slivers"]
        except Refusal as e:
            if e.code != NOT_HERE:
                raise
            return {}
        return {
            s["geni_sliver_urn"]: (s["geni_allocation_status"], s["geni_operational_status"])
            for s in there
            if s["geni_allocation_status"] != "geni_unallocated"
        }

    def learn(self) -> None:
        """A call about it got no answer: whether it was done is what is there now."""
        found = self.look()
        if any(allocation != "geni_provisioned" for allocation, _ in found.values()):
            self.slice_.call("Delete", {})
            found = {}
        self.states = {urn: self.states.get(urn, {ON}) if urn in self.states else {ON, OFF} for urn in found}
        self.is_known = True


class Chaos:
    """A cluster, what its users were promised, and what is broken now."""

    def __init__(self, hosts: Cluster, dice: random.Random) -> None:
        self.hosts = hosts
        self.dice = dice
        self.promises = [Promise(hosts.server.add_slice(f"c{n}", "alice")) for n in range(SLICES)]
        self._mend: dict[str, Callable[[], None]] = {}

    def step(self) -> str:
        """Something happens; says what."""
        if self._mend and self.dice.random() < 0.35:
            return self._mend_one()
        if self.dice.random() < 0.25 and len(self._mend) < 2:
            return self._break_something()
        promise = self.dice.choice(self.promises)
        if "server" in self._mend:
            return "nobody can be asked"
        if not promise.is_known:
            return promise.call(promise.learn)
        if self.dice.random() < 0.2:
            return self._use_while_the_server_dies(promise)
        return f"{promise.slice_.name}: {self._use(promise)}"

    def quiet(self) -> None:
        """Everything is there again."""
        while self._mend:
            self._mend_one()
        self.hosts.wait_for_nodes(len(self.hosts.nodes))
        for promise in self.promises:
            if not promise.is_known:
                promise.learn()

    def differences(self) -> list[str]:
        """Where what is there is not what was promised."""
        found = []
        running = 0
        for promise in self.promises:
            there = promise.look()
            for urn in promise.states.keys() | there.keys():
                _, state = there.get(urn, ("", "gone"))
                if state not in promise.states.get(urn, {"gone"}):
                    found.append(f"{promise.slice_.name} {urn}: {state}, not {promise.states.get(urn, 'gone')}")
            running += sum(state == ON for urn, (_, state) in there.items()) - self._links(promise)
        on_hosts = sum(len(running_on(node)) for node in self.hosts.nodes)
        if on_hosts != running:
            found.append(f"{on_hosts} machines run, not {running}")
        return found

    def _links(self, promise: Promise) -> int:
        """How many of a slice's slivers are links: they are always on."""
        if not promise.states:
            return 0
        manifest = promise.slice_.describe()["geni_rspec"]
        return manifest.count("<link ")

    def dark_links(self) -> list[str]:
        """Machines on one link, all of them on, of which one can't reach the next."""
        found = []
        for promise in self.promises:
            if promise.states and all(states == {ON} for states in promise.states.values()):
                for position, members in enumerate(promise.layout.values()):
                    for a, b in pairwise(members):
                        if not pings(promise.slice_, f"m{a}", f"10.20.{position}.{b}"):
                            found.append(f"{promise.slice_.name}: m{a} does not reach m{b}")
        return found

    # What users do

    def _use(self, promise: Promise) -> str:
        if not promise.states:
            return f"make: {promise.call(lambda: self._make(promise))}"
        what = self.dice.choice(("stop", "start", "restart", "delete", "delete"))
        if what == "delete":
            return f"delete: {promise.call(lambda: self._delete(promise))}"
        urn = self.dice.choice(sorted(promise.states))
        before = promise.states[urn]
        promise.states[urn] = {ON, OFF}  # until it is answered
        said = promise.call(lambda: self._act(promise, urn, what))
        if said.startswith("refused"):
            promise.states[urn] = before
        return f"{what}: {said}"

    def _use_while_the_server_dies(self, promise: Promise) -> str:
        killer = threading.Timer(self.dice.uniform(0, 0.3), self.hosts.server.kill)
        killer.start()
        said = self._use(promise)
        killer.join()
        self._mend["server"] = self.hosts.server.start
        return f"{promise.slice_.name}: {said}; the server was killed meanwhile"

    def _make(self, promise: Promise) -> None:
        try:
            promise.layout = self.dice.choice(LAYOUTS)
            allocate(promise.slice_, request(promise.layout))
            provision(promise.slice_)
        except Refusal:
            if promise.look():
                promise.slice_.call("Delete", {})
            raise
        promise.states = {urn: {ON} for urn in promise.look()}

    def _delete(self, promise: Promise) -> None:
        promise.slice_.call("Delete", {})
        promise.states = {}

    def _act(self, promise: Promise, urn: str, what: str) -> None:
        promise.slice_.call("PerformOperationalAction", f"geni_{what}", {}, urns=[urn])
        promise.states[urn] = {OFF} if what == "stop" else {ON}

    # What breaks

    def _break_something(self) -> str:
        kinds = [kind for kind in self._breakages() if kind not in self._mend]
        kind = self.dice.choice(kinds)
        break_it, mend_it = self._breakages()[kind]
        break_it()
        self._mend[kind] = mend_it
        return f"broken: {kind}"

    def _mend_one(self) -> str:
        kind = self.dice.choice(sorted(self._mend))
        self._mend.pop(kind)()
        return f"mended: {kind}"

    def _breakages(self) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
        hosts = self.hosts
        found: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
            "server": (hosts.server.kill, hosts.server.start),
            "bus": (hosts.kill_bus, hosts.start_bus),
            "store": (self._hold_the_store, lambda: None),
        }
        for node in hosts.nodes:
            found[node.name] = (node.kill, node.start)
            found[f"wire of {node.name}"] = (self._cut(node, off=True), self._cut(node, off=False))
        return found

    def _cut(self, node: Node, *, off: bool) -> Callable[[], None]:
        return lambda: self.hosts.wire.cut(node.number, off=off)

    def _hold_the_store(self) -> None:
        """Somebody else writes to the store for a second."""
        connection = sqlite3.connect(self.hosts.server.state / "store.sqlite", timeout=30)
        try:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(1)
            connection.rollback()
        finally:
            connection.close()


def test_after_the_storm_everything_is_as_it_was_promised(hosts):
    chaos = Chaos(hosts, random.Random(SEED))  # noqa: S311 - to be repeated, not to be secret
    for number in range(STEPS):
        print(f"{time.strftime('%X')} {number}: {chaos.step()}", flush=True)
        time.sleep(chaos.dice.choice((0, 0.1, 1, 2)))  # in the middle of it, or when it is done
    chaos.quiet()
    begin = time.monotonic()
    try:
        hosts.server.wait_for(lambda: chaos.differences() == [], 120)
    finally:
        print(f"quiet after {time.monotonic() - begin:.1f} s; differences: {chaos.differences()}")
    assert chaos.dark_links() == []
    for promise in chaos.promises:
        if promise.states:
            promise.slice_.call("Delete", {})
    hosts.server.wait_for(lambda: hosts.left() == [], 120)
    assert hosts.server.used() == 0
