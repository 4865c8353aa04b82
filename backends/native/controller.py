"""The native backend: the protocol's methods over node managers that are reached by a bus.

It keeps nothing: which sliver should be where it is told by the aggregate manager, what there is it asks the nodes.
A node that has not been heard for some seconds is away: its slivers are left in peace, and nobody waits for it.
"""

import random
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import TypeVar

import structlog

from backends.native import messages
from backends.native.bus import Bus, NobodyAnswers
from backends.native.carrying import Carrier, Trip, holds, with_each_others_images
from backends.native.messages import (
    AWAY_AFTER,
    Answer,
    Beat,
    ImageLacking,
    ImageNamed,
    Inventory,
    Order,
    Removal,
    Sight,
    Unreadable,
    Wiring,
)
from backends.native.node.agent import Agent
from backends.native.sense import problems
from backends.native.topology import Topology
from backends.own_images import ImageSeen, ImageWish
from backends.protocol import (
    BackendError,
    Host,
    Impossible,
    Machine,
    Observation,
    Offer,
    Seen,
    SliverId,
    SliverSpec,
    Unavailable,
)

log = structlog.get_logger()

T = TypeVar("T")

_PATIENCE = 50.0
"""Seconds for a request that changes something: less than the lease of the operation behind it."""
_SHORT_PATIENCE = 10.0
"""Seconds for a request that only looks."""

_AWAY = "the place where this is does not answer now; it will be tried again"


@dataclass
class _Node:
    """A node as the controller knows it.

    heard:  when it was last heard, on the clock that only goes forwards
    wired:  what it was last told of links, by link
    telling: held from finding out what to tell it of a link until it has answered, so that news never come after newer;
             one for all of a node's lives, since what was sent to the former one may arrive in this one
    """

    name: str
    beat: Beat
    inventory: Inventory
    heard: float
    is_up: bool = True
    wired: dict[SliverId, Wiring] = field(default_factory=dict)
    telling: threading.Lock = field(default_factory=threading.Lock)


class NativeBackend:
    """Implements `backends.protocol.Backend` and `backends.own_images.ImageMaker`."""

    def __init__(self, bus: Bus, prefix: str, own: Agent | None = None) -> None:
        """own: the node in this very process, where there is one; it is not watched, since it can't be lost alone."""
        self._bus = bus
        self._prefix = prefix
        self._own = own
        self._nodes: dict[str, _Node] = {}
        self._asking: set[str] = set()
        """Nodes that are being asked what they are."""
        self._lock = threading.Lock()
        self._topology = Topology()
        self._host: Host | None = None
        self._stopping = threading.Event()
        self._watchdog: threading.Thread | None = None
        self._carrier = Carrier(self._request, self._stopping)

    # Life

    def start(self, host: Host) -> None:
        """Begin to listen for nodes."""
        self._stopping.clear()
        self._host = host
        self._topology = Topology(host.desired())
        self._bus.serve(f"{self._prefix}.beat.*", self._on_beat)
        self._bus.serve(f"{self._prefix}.seen.*", self._on_seen)
        if self._own is not None:
            self._own.start()
        else:
            self._watchdog = threading.Thread(target=self._watch, name="node-watch", daemon=True)
            self._watchdog.start()

    def stop(self) -> None:
        """End; nodes and slivers go on."""
        self._stopping.set()
        if self._watchdog is not None:
            self._watchdog.join()
        if self._own is not None:
            self._own.stop()
        self._bus.close()

    # What there is

    def offers(self) -> Sequence[Offer]:
        """The nodes that are there, in the order of their names. An image that one has can be had at all of them."""
        with self._lock:
            offers = [node.inventory.offer for _, node in sorted(self._nodes.items()) if node.is_up]
        return with_each_others_images(offers)

    def problems(self, specs: Sequence[SliverSpec]) -> Sequence[str]:
        """What the nodes they are for have not got."""
        offers = {offer.name: offer for offer in self.offers()}
        for spec in specs:
            self._node(spec.offer)
        return [problem for spec in specs if spec.offer in offers for problem in problems(spec, offers[spec.offer])]

    def limits(self) -> Mapping[str, int]:
        """As many at once as all nodes together take."""
        with self._lock:
            together = sum(node.inventory.parallel for node in self._nodes.values() if node.is_up)
        return {"converge": max(1, together), "remove": max(1, together)}

    # Slivers

    def converge(self, spec: SliverSpec) -> Observation:
        """Have the spec's node make it so, and the other nodes of its links know of it."""
        node = self._node(spec.offer)
        if found := problems(spec, node.inventory.offer, has_begun=True):  # its node knows whether it has
            raise Impossible("; ".join(found))
        for link in self._topology.put(spec):
            self._wire_all(link)
        observation = self._order(node, spec)
        if observation.seen is Seen.ABSENT:  # a removal overtook this wish
            self._rewire(self._topology.drop(spec.sliver, spec.generation), node)
        return replace(observation, offer=node.name)

    def remove(self, sliver: SliverId, offer: str, generation: int) -> None:
        """Have its node remove it, and the other nodes of its links forget it; these at once, whether it answers."""
        node = self._nodes.get(offer)
        if node is None or not node.is_up:
            for link in self._topology.drop(sliver, generation):
                self._wire_all(link)
            raise Unavailable(_AWAY)
        with node.telling:  # whoever tells it of its links now has done so before it forgets them
            links = self._topology.drop(sliver, generation)
        self._ask(node, "remove", Removal(sliver=sliver, generation=generation), bool, _PATIENCE)
        self._rewire(links, node)

    def observe(self) -> Iterable[Observation]:
        """Everything on the nodes that are there. What they know of links is put right on the way."""
        with self._lock:
            nodes = [node for node in self._nodes.values() if node.is_up]
        found: list[Observation] = []
        for node in nodes:
            try:
                sight = self._ask(node, "observe", True, Sight, _SHORT_PATIENCE)
            except Unavailable:
                self._lost(node)
                continue
            found.extend(replace(observation, offer=node.name) for observation in sight.observations)
            with node.telling:
                node.wired = {wiring.link: wiring for wiring in sight.wirings}
            for link in self._topology.links_at(node.name) | set(node.wired):
                self._wire(node, link)
        return found

    def console(self, sliver: SliverId) -> str:
        """What a machine has written to its console."""
        spec = self._topology.get(sliver)
        if spec is None:
            return ""
        return self._ask(self._node(spec.offer), "console", sliver, str, _SHORT_PATIENCE)

    # Images made from slivers

    def make_image(self, wish: ImageWish) -> ImageSeen:
        """On the node where the machine is. See `ImageMaker`."""
        return self._ask(self._node(wish.offer), "make-image", wish, ImageSeen, _SHORT_PATIENCE)

    def drop_image(self, image: str, offer: str) -> None:
        """On the node where it was made. See `ImageMaker`."""
        self._ask(self._node(offer), "drop-image", image, bool, _PATIENCE)

    # Images that are held elsewhere

    def _order(self, node: _Node, spec: SliverSpec) -> Observation:
        """Have a node make it so, with the image brought there first if need be."""
        try:
            return self._ask(node, "converge", Order(spec=spec), Observation, _PATIENCE)
        except ImageLacking:
            if not isinstance(spec.shape, Machine) or (holder := self._holder(spec.shape, node)) is None:
                raise
            image = ImageNamed(name=spec.shape.image, form=spec.shape.form)
            edition = self._ask(holder, "edition-of", image, str, _SHORT_PATIENCE)
        try:
            return self._ask(node, "converge", Order(spec=spec, edition=edition), Observation, _PATIENCE)
        except ImageLacking:
            self._carrier.carry(Trip(edition, holder=holder.name, target=node.name))
            return Observation(sliver=spec.sliver, generation=0, seen=Seen.MAKING)

    def _holder(self, machine: Machine, but: _Node) -> _Node | None:
        """Another node that has a machine's image; None when none has. Raises Unavailable when one has that is away."""
        with self._lock:
            found = [node for node in self._nodes.values() if node is not but and holds(node.inventory, machine)]
        up = [node for node in found if node.is_up]
        if found and not up:
            raise Unavailable("the place that holds the image does not answer now; it will be tried again")
        return random.choice(up) if up else None  # noqa: S311 - so that they share the work

    # Nodes that come and go

    def _on_beat(self, subject: str, body: bytes) -> None:
        name, beat = subject.rpartition(".")[2], messages.read(Beat, body)
        with self._lock:
            node = self._nodes.get(name)
            if node is not None and node.beat == beat and node.is_up:
                node.heard = time.monotonic()
                return
            if name in self._asking:
                return
            self._asking.add(name)
        try:
            inventory = self._request(name, "inventory", True, Inventory, _SHORT_PATIENCE)
            with self._lock:
                telling = node.telling if node is not None else threading.Lock()
                self._nodes[name] = _Node(
                    name=name, beat=beat, inventory=inventory, heard=time.monotonic(), telling=telling
                )
        except Unavailable:
            return  # gone again; its next beat comes if it isn't
        finally:
            self._asking.discard(name)
        log.info("a node is there", node=name, was_known=node is not None)
        self._changed()

    def _on_seen(self, subject: str, body: bytes) -> None:
        name = subject.rpartition(".")[2]
        observation = messages.read(Observation, body)
        spec = self._topology.get(observation.sliver)
        if self._host is not None and spec is not None and spec.offer == name:
            self._host.report(replace(observation, offer=name))

    def _watch(self) -> None:
        """Notice who has gone silent."""
        while not self._stopping.wait(AWAY_AFTER / 6):
            silent_since = time.monotonic() - AWAY_AFTER
            with self._lock:
                silent = [node for node in self._nodes.values() if node.is_up and node.heard < silent_since]
            for node in silent:
                self._lost(node)

    def _lost(self, node: _Node) -> None:
        if node.is_up:
            node.is_up = False
            log.warning("a node is away", node=node.name)
            self._changed()

    def _changed(self) -> None:
        if self._host is not None:
            self._host.changed()

    # Links between nodes

    def _wiring(self, link: SliverId, node: _Node) -> Wiring:
        return self._topology.wiring(link, node.name, self._underlay)

    def _underlay(self, name: str) -> IPv4Address | None:
        node = self._nodes.get(name)
        return node.inventory.underlay if node else None

    def _wire_all(self, link: SliverId) -> None:
        """Have all nodes of a link know where it leads now."""
        for name in sorted(self._topology.nodes_of(link)):
            node = self._nodes.get(name)
            if node is not None and node.is_up:
                self._wire(node, link)

    def _wire(self, node: _Node, link: SliverId) -> None:
        """Tell a node of a link, or that it is of no concern there any more, unless it knows.

        One that can't be told now is told by the next sweep, or when it is back.
        """
        with node.telling:
            is_there = node.name in self._topology.nodes_of(link)
            wiring = self._wiring(link, node) if is_there else None
            if node.wired.get(link) == wiring:
                return
            node.wired.pop(link, None)
            try:
                if wiring is None:
                    self._ask(node, "unwire", link, bool, _SHORT_PATIENCE)
                else:
                    self._ask(node, "wire", wiring, bool, _SHORT_PATIENCE)
                    node.wired[link] = wiring
            except BackendError as e:
                log.warning("a node could not be told of a link", node=node.name, link=link, reason=str(e))

    def _rewire(self, links: Iterable[SliverId], node: _Node) -> None:
        """A sliver on these links is gone from a node, which may have forgotten them with it."""
        for link in links:
            with node.telling:
                node.wired.pop(link, None)
            self._wire_all(link)

    # Requests

    def _node(self, name: str) -> _Node:
        node = self._nodes.get(name)
        if node is None or not node.is_up:
            raise Unavailable(_AWAY)
        return node

    def _ask(self, node: _Node, verb: str, message: object, kind: type[T], patience: float) -> T:
        return self._request(node.name, verb, message, kind, patience)

    def _request(self, name: str, verb: str, message: object, kind: type[T], patience: float) -> T:
        """A node's answer. Raises what it refuses with; Unavailable when it gives none, or one that can't be read."""
        try:
            reply = self._bus.request(f"{self._prefix}.node.{name}.{verb}", messages.write(message), patience)
            return messages.read(kind, messages.opened(messages.read(Answer, reply)))
        except NobodyAnswers as e:
            raise Unavailable(_AWAY) from e
        except Unreadable as e:  # one host of another release, or a broken one, is no reason to lose the others
            log.warning("a node's answer can't be read", node=name, verb=verb, reason=str(e))
            raise Unavailable(_AWAY) from e
