"""The native backend: the protocol's methods over the machines and networks of this host."""

import contextlib
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from backends.native.images import ImageFolder
from backends.native.journal import Journal, Record
from backends.native.names import Names
from backends.native.network import bridge
from backends.native.network.filter import Filter
from backends.native.network.links import LinkBridges
from backends.native.node.idmap import IdRanges
from backends.native.node.machine import Machines
from backends.native.node.watch import Watch
from backends.native.runtime import Runtime
from backends.native.settings import NativeSettings
from backends.protocol import (
    Context,
    Host,
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

_PROGRAMS = ("lxc-start", "lxc-stop", "lxc-attach", "nft", "tc", "unshare")
_MIB = 1024 * 1024
_CPU_OVERCOMMIT = 16
_DISK_OVERCOMMIT = 4


class NativeBackend:
    """Containers and links on this host. Implements `backends.protocol.Backend`."""

    def __init__(self, settings: NativeSettings, context: Context) -> None:
        self._settings = settings
        self._names = Names.of(context)
        self._journal = Journal(context.state / "slivers", self._names)
        self._runtime = Runtime(self._names)
        self._images = ImageFolder(settings.image_folder or context.state / "images")
        self._ids = IdRanges(settings.first_id)
        self._rules = Filter(self._names, settings.control_network, settings.publish_address, settings.uplink)
        self._locks: defaultdict[SliverId, threading.RLock] = defaultdict(threading.RLock)
        self._locks_lock = threading.Lock()
        self._links = LinkBridges(self._names, self._journal)
        self._host: Host | None = None
        self._watch: Watch | None = None
        self._machines: Machines | None = None

    # Life

    def start(self, host: Host) -> None:
        """Set up this host's networks, build the image if it is missing, adopt what runs."""
        if os.geteuid() != 0:
            raise Unavailable("containers on this host need root; run the server as root")
        if missing := [program for program in _PROGRAMS if shutil.which(program) is None]:
            raise Unavailable(f"programs are missing on this host: {', '.join(missing)}; see `sfa-am doctor`")
        for image in self._images.offered():
            self._images.build(image.name)
        self._host = host
        self._runtime.prepare()
        bridge.ensure_control_bridge(self._names.control_bridge, self._settings.control_network)
        if self._settings.uplink:
            for name in (self._names.control_bridge, self._settings.uplink):
                Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding").write_text("1")
        self._watch = Watch(self._ended)
        self._machines = Machines(
            self._settings,
            self._names,
            self._journal,
            self._runtime,
            self._images,
            self._ids,
            self._rules,
            self._links,
            self._watch,
        )
        for sliver in self._journal.strays():
            self._journal.close(sliver)
        self._links.remove_strays()
        machines = [r for r in self._journal.everything().values() if isinstance(r.spec.shape, Machine)]
        self._rules.install(self._machines.guest(record) for record in machines)
        for record in machines:
            self._machines.observe(record)  # begins to watch it

    def stop(self) -> None:
        """End; machines and links stay."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        self._ids.close()

    # What there is

    def offers(self) -> Sequence[Offer]:
        """This host, as one offer."""
        settings = self._settings
        return [
            Offer(
                name=settings.offer,
                sliver_types=settings.sliver_types,
                images=self._images.offered(),
                capacity={
                    "slivers": min(settings.ports, settings.control_network.num_addresses - 3),
                    "cpus": round(1000 * (settings.cpus or _CPU_OVERCOMMIT * (os.cpu_count() or 1))),
                    "memory_mib": settings.memory_mib or _memory_mib() * 3 // 4,
                    "disk_mib": settings.disk_mib or _DISK_OVERCOMMIT * _free_disk_mib(self._journal.folder),
                },
                location=settings.location,
            )
        ]

    def problems(self, specs: Sequence[SliverSpec]) -> Sequence[str]:
        """Images and types that are not here, and more memory than this host has."""
        images = {image.name for image in self._images.offered()}
        types = {kind.name for kind in self._settings.sliver_types}
        found = []
        for spec in specs:
            if not isinstance(spec.shape, Machine):
                continue
            if spec.shape.image not in images:
                found.append(f"image {spec.shape.image!r} is not offered here")
            if spec.shape.sliver_type not in types:
                found.append(f"sliver type {spec.shape.sliver_type!r} is not offered here")
            if spec.shape.memory_mib > _memory_mib():
                found.append(f"{spec.shape.memory_mib} MiB of memory are more than there is in one place")
        return found

    def limits(self) -> Mapping[str, int]:
        """As many at once as the settings say."""
        return {"converge": self._settings.parallel, "remove": self._settings.parallel}

    # Slivers

    def converge(self, spec: SliverSpec) -> Observation:
        """Make a machine or a link what its spec says."""
        with self._sliver(spec.sliver):
            record = self._journal.get(spec.sliver)
            if record is not None and record.spec.generation > spec.generation:
                return self._observed(record)
            if problems := self.problems([spec]):
                raise Impossible("; ".join(problems))
            if record is None:
                record = self._open(spec)
            elif record.spec != spec:
                record = self._journal.note(record, spec=spec)
            if isinstance(spec.shape, Segment):
                self._links.ensure(spec.sliver)
                record = self._journal.note(record, made=spec.generation)
                return self._observed(record)
            return self._running_machines().converge(record)

    def remove(self, sliver: SliverId) -> None:
        """Make a machine or a link not exist."""
        with self._sliver(sliver):
            record = self._journal.get(sliver)
            links: tuple[SliverId, ...] = ()
            if record is not None and isinstance(record.spec.shape, Machine):
                self._running_machines().remove(record)
                links = tuple(port.link for port in record.spec.shape.ports)
            self._journal.close(sliver)
            self._links.remove_idle({sliver, *links})

    def observe(self) -> Iterable[Observation]:
        """All machines and links of this backend."""
        return [self._observed(record) for record in self._journal.everything().values()]

    def console(self, sliver: SliverId) -> str:
        """What a machine has written to its console; a link has none."""
        record = self._journal.get(sliver)
        if record is None or not isinstance(record.spec.shape, Machine):
            return ""
        return self._running_machines().console(record)

    # Inside

    def _open(self, spec: SliverSpec) -> Record:
        if isinstance(spec.shape, Segment):
            return self._journal.open(spec, None, lambda slot: True)
        slots = range(min(self._settings.ports, self._settings.control_network.num_addresses - 3))
        return self._journal.open(spec, slots, self._running_machines().is_port_free)

    def _observed(self, record: Record) -> Observation:
        if isinstance(record.spec.shape, Machine):
            return self._running_machines().observe(record)
        there = self._links.exists(record.spec.sliver)
        return Observation(
            sliver=record.spec.sliver, generation=record.made, seen=Seen.RUNNING if there else Seen.ABSENT
        )

    def _ended(self, sliver: SliverId) -> None:
        """A machine's first process is gone. Whoever is at work on it knows; nobody else asked for it."""
        with self._sliver(sliver):
            record = self._journal.get(sliver)
            if record is None or not record.spec.running or self._host is None:
                return
            observation = self._observed(record)
            if observation.seen is not Seen.RUNNING:
                with contextlib.suppress(Exception):  # the next sweep sees it as well
                    self._host.report(observation)

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
