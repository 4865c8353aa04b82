"""The node manager: everything that is on one host, made what it should be.

It knows of nobody who tells it what to do: it keeps what it was told last, and brings that back after a boot without
being told again.
"""

import contextlib
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from backends.native.images import DEBIAN_12, Holder, ImageFolder
from backends.native.images.travelling import Arrivals, Dispatch, tidy
from backends.native.journal import Journal, Record
from backends.native.messages import ImageLacking, ImageNamed, Inventory, Sight, Wiring
from backends.native.names import Names
from backends.native.network import bridge
from backends.native.network.filter import Filter
from backends.native.network.links import LinkBridges
from backends.native.network.server import PROGRAM as SERVER_PROGRAM
from backends.native.network.server import LinkServers
from backends.native.network.wirings import Wirings
from backends.native.node.bodies import Bodies
from backends.native.node.chores import Chores
from backends.native.node.machine import Machines
from backends.native.node.snapshots import Snapshots
from backends.native.node.tombstones import Tombstones
from backends.native.node.watch import Watch
from backends.native.runtime import Runtime
from backends.native.sense import problems
from backends.native.settings import NodeSettings
from backends.own_images import ImageSeen, ImageWish
from backends.protocol import (
    Ability,
    Form,
    Image,
    Impossible,
    Machine,
    Observation,
    Offer,
    Seen,
    Segment,
    SliverId,
    SliverSpec,
    Unavailable,
)

_PROGRAMS = ("lxc-start", "lxc-stop", "lxc-attach", "lxc-freeze", "nft", "nsenter", "tc", "unshare")
_PROGRAMS_OF_VMS = ("qemu-img", "qemu-system-x86_64", "xorrisofs")
_MIB = 1024 * 1024
_CPU_OVERCOMMIT = 16
_DISK_OVERCOMMIT = 4


class NodeManager:
    """Machines and links on this host. Safe to use from many threads."""

    def __init__(self, settings: NodeSettings, state: Path) -> None:
        """state: folder of its own, kept over restarts."""
        self._settings = settings
        self._names = Names.of_folder(state)
        self._journal = Journal(state / "slivers", self._names)
        self._tombstones = Tombstones(state / "gone")
        self._runtime = Runtime(self._names)
        self._images = ImageFolder(settings.image_folder or state / "images")
        self._holder = Holder(self._images, state)
        self._forms = (Form.CONTAINER, Form.VM) if settings.virtual_machines else (Form.CONTAINER,)
        self._bodies: Bodies | None = None
        self._rules = Filter(self._names, settings.control_network, settings.publish_address, settings.uplink)
        self._locks: defaultdict[SliverId, threading.RLock] = defaultdict(threading.RLock)
        self._locks_lock = threading.Lock()
        self._servers = LinkServers(self._names, settings, self._runtime.servers, self._rules)
        wirings = Wirings(state / "links")
        self._links = LinkBridges(self._names, self._journal, wirings, settings.underlay, self._servers)
        self._tell: Callable[[Observation], None] = _nobody
        self._disk_mib = _DISK_OVERCOMMIT * _free_disk_mib(self._journal.folder)
        self._watch: Watch | None = None
        self._server_watch: Watch | None = None
        self._machines: Machines | None = None
        self._snapshots: Snapshots | None = None
        self._packing = state / "packing"
        self.dispatch = Dispatch(self._images)
        """Of images that this host holds, to others."""
        self.arrivals = Arrivals(self._images)
        """Of images that others hold."""
        self._chores = Chores()

    @property
    def name(self) -> str:
        """Under which it is offered."""
        return self._settings.offer

    # Life

    def start(self, tell: Callable[[Observation], None]) -> None:
        """Set up this host's networks, build the image if it is missing, adopt what runs.

        tell: called with what was seen that nobody asked for, from any thread. Raises Unavailable.
        """
        if os.geteuid() != 0:
            raise Unavailable("containers on this host need root; run the server as root")
        programs = (*_PROGRAMS, *_PROGRAMS_OF_VMS) if Form.VM in self._forms else _PROGRAMS
        if missing := [program for program in programs if shutil.which(program) is None]:
            raise Unavailable(f"programs are missing on this host: {', '.join(missing)}; see `sfa-am doctor`")
        for form in self._forms:
            self._images.build(DEBIAN_12.name, form)
        bodies = Bodies(self._settings, self._names, self._journal, self._runtime, self._images)
        if Form.VM in self._forms:
            bodies.prepare_for_vms()
        self._bodies = bodies
        self._tell = tell
        self._runtime.prepare()
        self._server_watch = Watch(self._server_ended)
        self._servers.start(self._server_watch)
        bridge.ensure_control_bridge(self._names.control_bridge, self._settings.control_network)
        for name in self._ways_out():
            bridge.let_through(name)
        self._watch = Watch(self._ended)
        self._machines = Machines(
            self._settings,
            self._names,
            self._journal,
            self._runtime,
            self._holder,
            bodies.of,
            self._rules,
            self._links,
            self._watch,
        )
        for sliver in self._journal.strays():
            self._journal.close(sliver)
        bodies.remove_strays()
        self._holder.settle(self._journal.editions)
        self._images.collect()
        machines = [r for r in self._journal.everything().values() if isinstance(r.spec.shape, Machine)]
        self._rules.install((self._machines.guest(record) for record in machines), self._servers.gateways())
        self._links.restore()
        snapshots = Snapshots(self._packing, self._images, self._journal, bodies.of, self._sliver)
        snapshots.recover()
        self._snapshots = snapshots
        for record in machines:
            self._machines.observe(record)  # begins to watch it

    def _ways_out(self) -> set[str]:
        """Interfaces between which something is forwarded: none where logins are for this very host only."""
        ways = {self._settings.uplink} if self._settings.uplink else set()
        if not self._settings.publish_address.is_loopback:
            holder = bridge.holder_of(self._settings.publish_address)
            if holder is None:
                raise Unavailable(
                    f"this host has no address {self._settings.publish_address}: set `publish_address` to one it has"
                )
            ways.add(holder)
        return ways | {self._names.control_bridge} if ways else ways

    def stop(self) -> None:
        """End; machines and links stay."""
        self._servers.stop()
        if self._server_watch is not None:
            self._server_watch.stop()
            self._server_watch = None
        self._chores.stop()
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._bodies is not None:
            self._bodies.close()
            self._bodies = None

    # What there is

    def inventory(self) -> Inventory:
        """This host, as one offer, and how it works."""
        settings = self._settings
        offer = Offer(
            name=settings.offer,
            sliver_types=tuple(kind for kind in settings.sliver_types if kind.form in self._forms),
            images=self._images.offered(self._forms),
            capacity={
                "slivers": min(settings.ports, settings.control_network.num_addresses - 3),
                "cpus": round(1000 * (settings.cpus or _CPU_OVERCOMMIT * (os.cpu_count() or 1))),
                "memory_mib": settings.memory_mib or _memory_mib() * 3 // 4,
                "disk_mib": settings.disk_mib or self._disk_mib,
                "ports": len(settings.door_ports),
            },
            location=settings.location,
            abilities=tuple(self._abilities()),
        )
        private = self._images.of_slivers(self._forms)
        return Inventory(offer=offer, underlay=settings.underlay, parallel=settings.parallel, private=private)

    def _abilities(self) -> Iterator[Ability]:
        if shutil.which(SERVER_PROGRAM):
            yield Ability.DHCP
            if self._settings.uplink:
                yield Ability.GATEWAY
        if self._settings.door_ports:
            yield Ability.PUBLISH

    # Slivers

    def wire(self, wiring: Wiring) -> None:
        """Have a link lead where it should."""
        self._links.wire(wiring)
        if self._machines is not None:
            self._machines.shape(wiring.link)
            for sliver in self._machines.on_link(wiring.link):
                self._chores.put(sliver, partial(self._acquaint, sliver))

    def unwire(self, link: SliverId) -> None:
        """Forget a link, unless something here needs it."""
        self._links.remove_idle([link])

    def converge(self, spec: SliverSpec, edition: str = "") -> Observation:
        """Make a machine or a link what its spec says, unless something newer was said.

        edition: of another host, that a machine is to begin from when this host does not offer its image itself

        Raises as the protocol does; ImageLacking: the image is to be brought here first.
        """
        with self._sliver(spec.sliver):
            if spec.generation <= self._tombstones.generation(spec.sliver):
                return Observation(sliver=spec.sliver, generation=spec.generation, seen=Seen.ABSENT)
            record = self._journal.get(spec.sliver)
            if record is not None and record.spec.generation > spec.generation:
                return self._observed(record)
            self._refuse(spec, edition, has_begun=record is not None and record.has_begun)
            if record is None:
                record = self._open(spec)
            elif record.spec != spec:
                record = self._journal.note(record, spec=spec)
            if isinstance(spec.shape, Segment):
                self._links.ensure(spec.sliver)
                self._running_machines().shape(spec.sliver)
                record = self._journal.note(record, made=spec.generation)
                return self._observed(record)
            return self._running_machines().converge(record)

    def remove(self, sliver: SliverId, generation: int) -> None:
        """Make a machine or a link not exist. A wish that is not newer than `generation` won't bring it back."""
        with self._sliver(sliver):
            self._tombstones.set(sliver, generation)
            record = self._journal.get(sliver)
            links: tuple[SliverId, ...] = ()
            if record is not None and isinstance(record.spec.shape, Machine):
                self._running_machines().remove(record)
                links = tuple(port.link for port in record.spec.shape.ports)
            self._journal.close(sliver)
            if record is not None and record.has_begun:
                self._holder.settle(self._journal.editions)
            self._links.remove_idle({sliver, *links})

    def observe(self) -> Sight:
        """All machines and links on this host."""
        records = self._journal.everything().values()
        return Sight(observations=tuple(self._observed(record) for record in records), wirings=self._links.wirings())

    def heal(self) -> None:
        """Have everything run that should and doesn't: after a boot, and when nobody else sees to it."""
        tidy(self._images)
        for link in self._links.unserved():
            self._server_ended(link)
        for sliver, record in self._journal.everything().items():
            if isinstance(record.spec.shape, Machine) and record.spec.running and record.made:
                with self._sliver(sliver):
                    known = self._journal.get(sliver)
                    if known is not None and self._observed(known).seen is not Seen.RUNNING:
                        self._running_machines().converge(known)

    def console(self, sliver: SliverId) -> str:
        """What a machine has written to its console; a link has none."""
        record = self._journal.get(sliver)
        if record is None or not isinstance(record.spec.shape, Machine):
            return ""
        return self._running_machines().console(record)

    # Images made from slivers

    def make_image(self, wish: ImageWish) -> ImageSeen:
        """Begin to make an image of a machine here, or say how far it is."""
        if self._snapshots is None:
            raise Unavailable("this host is not ready yet; try again in a moment")
        return self._snapshots.make(wish)

    def drop_image(self, image: str) -> None:
        """Offer an image of a machine no more."""
        if self._snapshots is None:
            raise Unavailable("this host is not ready yet; try again in a moment")
        self._snapshots.drop(image)

    # Images that travel

    def edition_of(self, image: ImageNamed) -> str:
        """The edition that machines begin from now. Raises Impossible: it is not offered here any more."""
        return self._images.edition(image.name, image.form)

    # Inside

    def _refuse(self, spec: SliverSpec, edition: str, *, has_begun: bool) -> None:
        """What could never be made here. Raises Impossible, ImageLacking."""
        inventory = self.inventory()
        images = (*inventory.offer.images, *inventory.private)
        if edition and (copy := self._images.carried(edition)) is not None:
            images = (*images, Image(name=copy.name, forms=(copy.form,)))
        offer = replace(inventory.offer, images=images)
        if isinstance(spec.shape, Machine) and not has_begun:
            wanted, form = spec.shape.image, spec.shape.form
            if not any(image.name == wanted and form in image.forms for image in images):
                raise ImageLacking(f"image {wanted!r} is not offered here for sliver type {spec.shape.sliver_type!r}")
        if found := problems(spec, offer, has_begun=has_begun):
            raise Impossible("; ".join(found))

    def _open(self, spec: SliverSpec) -> Record:
        if isinstance(spec.shape, Segment):
            return self._journal.open(spec, None, lambda slot: True)
        slots = range(min(self._settings.ports, self._settings.control_network.num_addresses - 3))
        ways_out = {gateway.address for gateway in self._servers.gateways()}
        return self._journal.open(spec, slots, partial(self._running_machines().is_slot_free, ways_out))

    def _observed(self, record: Record) -> Observation:
        if isinstance(record.spec.shape, Machine):
            return self._running_machines().observe(record)
        there = self._links.exists(record.spec.sliver)
        return Observation(
            sliver=record.spec.sliver, generation=record.made, seen=Seen.RUNNING if there else Seen.ABSENT
        )

    def _acquaint(self, sliver: SliverId) -> None:
        with self._sliver(sliver):
            record = self._journal.get(sliver)
            if record is not None and record.made:
                self._running_machines().acquaint(record)

    def _server_ended(self, link: SliverId) -> None:
        self._chores.put(link, partial(self._links.serve, link))

    def _ended(self, sliver: SliverId) -> None:
        """A machine's first process is gone. Whoever is at work on it knows; nobody else asked for it."""
        with self._sliver(sliver):
            record = self._journal.get(sliver)
            if record is None or not record.spec.running:
                return
            observation = self._observed(record)
            if observation.seen is not Seen.RUNNING:
                with contextlib.suppress(Exception):  # the next sweep sees it as well
                    self._tell(observation)

    def _running_machines(self) -> Machines:
        if self._machines is None:
            raise Unavailable("this host is not ready yet; try again in a moment")
        return self._machines

    @contextmanager
    def _sliver(self, sliver: SliverId) -> Iterator[None]:
        """One at a time for each sliver."""
        with self._locks_lock:
            lock = self._locks[sliver]
        with lock:
            yield


def _memory_mib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MIB


def _free_disk_mib(folder: Path) -> int:
    return shutil.disk_usage(folder).free // _MIB


def _nobody(observation: Observation) -> None:
    """Whoever would be told is not there yet."""
