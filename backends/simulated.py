"""A backend that makes nothing: slivers are entries in memory. For scale and for faults, never for the main job.

It keeps the protocol's rules as a real one must (`backends.conformance` proves both), and can be told to be slow, to
fail, or to be away. Settings: ``capacity`` (slivers), ``offers`` (how many), ``delay`` (seconds for each change).
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from backends.own_images import ImageSeen, ImageWish, Progress
from backends.protocol import (
    Ability,
    Backend,
    Context,
    Host,
    Image,
    Impossible,
    Login,
    Machine,
    Observation,
    Offer,
    Published,
    Seen,
    SliverId,
    SliverSpec,
    SliverType,
    Unavailable,
)

IMAGE = Image(name="debian-12", os="Linux", version="12")
SMALL = SliverType(name="container", cpus=1, memory_mib=512, disk_mib=1024)
LARGE = SliverType(name="container-large", cpus=4, memory_mib=4096, disk_mib=8192)

_FIRST_PORT = 22000
_MOST_PORTS = 8
"""For all slivers of an offer together, beside those of logins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A sliver that exists, if only here. `starts`: how often it was started, `disks`: how many it has had."""

    spec: SliverSpec
    port: int
    starts: int = 0
    disks: int = 1


class SimulatedBackend:
    """Implements `backends.protocol.Backend` and `backends.own_images.ImageMaker`, with handles for tests beside it."""

    def __init__(self, *, capacity: int = 100, offers: int = 1, delay: float = 0.0) -> None:
        self._capacity = capacity
        self._offers = offers
        self._delay = delay
        self._lock = threading.Lock()
        self.things: dict[SliverId, Thing] = {}
        self._gone: dict[SliverId, int] = {}
        self.images: dict[str, str] = {}
        """Names of images made from slivers, by their identifiers."""
        self.is_away = False
        self.abilities = tuple(Ability)
        self.failures: list[Exception] = []
        """Raised by the next calls of `converge` and `remove`, one each."""
        self.host: Host | None = None

    def start(self, host: Host) -> None:
        """Nothing to adopt."""
        self.host = host

    def stop(self) -> None:
        """Things stay."""

    def offers(self) -> Sequence[Offer]:
        """As many alike as the settings say."""
        self._work()
        totals = {
            "slivers": self._capacity,
            "cpus": self._capacity * 1000,
            "memory_mib": self._capacity * SMALL.memory_mib,
            "disk_mib": self._capacity * SMALL.disk_mib,
            "ports": _MOST_PORTS,
        }
        return [
            Offer(
                name=f"node{number}",
                sliver_types=(SMALL, LARGE),
                images=(IMAGE,),
                capacity=totals,
                abilities=self.abilities,
            )
            for number in range(1, self._offers + 1)
        ]

    def problems(self, specs: Sequence[SliverSpec]) -> Sequence[str]:
        """An image that is not there."""
        return [
            f"image {spec.shape.image!r} is not offered here"
            for spec in specs
            if isinstance(spec.shape, Machine) and spec.shape.image not in (IMAGE.name, *self.images.values())
        ]

    def converge(self, spec: SliverSpec) -> Observation:
        """Make the entry what the spec says."""
        self._work()
        self._fail_if_told()
        if problems := self.problems([spec]):
            raise Impossible("; ".join(problems))
        with self._lock:
            if spec.generation <= self._gone.get(spec.sliver, 0):
                return Observation(sliver=spec.sliver, generation=spec.generation, seen=Seen.ABSENT)
            thing = self.things.get(spec.sliver)
            if thing is not None and thing.spec.generation > spec.generation:
                return self._seen(thing)
            self.things[spec.sliver] = made = self._changed(thing, spec)
            return self._seen(made)

    def remove(self, sliver: SliverId, offer: str, generation: int) -> None:
        """Delete the entry."""
        self._work()
        self._fail_if_told()
        with self._lock:
            self._gone[sliver] = max(generation, self._gone.get(sliver, 0))
            self.things.pop(sliver, None)

    def observe(self) -> Iterable[Observation]:
        """All entries."""
        self._work()
        with self._lock:
            return [self._seen(thing) for thing in self.things.values()]

    def console(self, sliver: SliverId) -> str:
        """A line for each start."""
        self._work()
        with self._lock:
            thing = self.things.get(sliver)
        if thing is None or not isinstance(thing.spec.shape, Machine):
            return ""
        return "".join(f"{thing.spec.shape.hostname}: start {n}\n" for n in range(1, thing.starts + 1))

    def make_image(self, wish: ImageWish) -> ImageSeen:
        """A name, while the sliver is there."""
        self._work()
        with self._lock:
            if wish.image not in self.images and wish.sliver not in self.things:
                return ImageSeen(progress=Progress.FAILED, fault="the machine is not there any more")
            self.images[wish.image] = wish.name
        return ImageSeen(progress=Progress.READY, size=1)

    def drop_image(self, image: str, offer: str) -> None:
        """Forget the name."""
        self._work()
        with self._lock:
            self.images.pop(image, None)

    def limits(self) -> Mapping[str, int]:
        """Many."""
        return {"converge": 8, "remove": 8}

    def _changed(self, thing: Thing | None, spec: SliverSpec) -> Thing:
        if thing is None:
            used = {other.port for other in self.things.values()}
            port = next(p for p in range(_FIRST_PORT, _FIRST_PORT + len(used) + 1) if p not in used)
            return Thing(spec=spec, port=port, starts=1 if spec.running else 0)
        starts, disks = thing.starts, thing.disks
        if spec.reloads > thing.spec.reloads:
            disks += 1
        if spec.running and (
            not thing.spec.running or spec.restarts > thing.spec.restarts or spec.reloads > thing.spec.reloads
        ):
            starts += 1
        return replace(thing, spec=spec, starts=starts, disks=disks)

    def _seen(self, thing: Thing) -> Observation:
        spec = thing.spec
        is_machine = isinstance(spec.shape, Machine)
        if is_machine and not spec.running:
            return Observation(sliver=spec.sliver, generation=spec.generation, seen=Seen.STOPPED)
        accounts = spec.shape.accounts if isinstance(spec.shape, Machine) else ()
        logins = tuple(Login(username=a.name, hostname="192.0.2.1", port=thing.port) for a in accounts)
        openings = spec.shape.openings if isinstance(spec.shape, Machine) else ()
        published = tuple(
            Published(traffic=one.traffic, port=one.port, hostname="192.0.2.1", public_port=40000 + one.port % 10000)
            for one in openings
        )
        seen = Seen.RUNNING
        return Observation(
            sliver=spec.sliver, generation=spec.generation, seen=seen, logins=logins, published=published
        )

    def _work(self) -> None:
        if self.is_away:
            raise Unavailable("nothing answers there now")
        if self._delay:
            time.sleep(self._delay)

    def _fail_if_told(self) -> None:
        with self._lock:
            failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure


def create(settings: Mapping[str, object], context: Context) -> Backend:
    """The entry point. Raises ValueError for unknown settings."""
    if unknown := settings.keys() - {"capacity", "offers", "delay"}:
        raise ValueError(f"no such setting: {', '.join(sorted(unknown))}; known are capacity, offers, delay")
    return SimulatedBackend(**settings)  # type: ignore[arg-type]  # checked above; a wrong type raises TypeError
