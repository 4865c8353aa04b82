"""Which sliver is on which node, and so which nodes a link leads to. In memory, and made from the wishes alone."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address

from backends.native.messages import Neighbour, Wiring
from backends.protocol import Machine, Segment, SliverId, SliverSpec


class Topology:
    """The newest wish for each sliver of a backend. Safe to use from many threads."""

    def __init__(self, specs: Iterable[SliverSpec] = ()) -> None:
        self._lock = threading.Lock()
        self._specs: dict[SliverId, SliverSpec] = {}
        self._on_link: defaultdict[SliverId, set[SliverId]] = defaultdict(set)
        for spec in specs:
            self.put(spec)

    def get(self, sliver: SliverId) -> SliverSpec | None:
        """The newest wish for a sliver."""
        return self._specs.get(sliver)

    def put(self, spec: SliverSpec) -> tuple[SliverId, ...]:
        """A wish; one that is older than what is known changes nothing. Returns the links that it is or was on."""
        with self._lock:
            known = self._specs.get(spec.sliver)
            if known is not None and known.generation > spec.generation:
                return links_of(known)
            self._forget(spec.sliver)
            self._specs[spec.sliver] = spec
            for link in links_of(spec):
                self._on_link[link].add(spec.sliver)
        return tuple(dict.fromkeys((*(links_of(known) if known else ()), *links_of(spec))))

    def drop(self, sliver: SliverId, generation: int) -> tuple[SliverId, ...]:
        """Nothing up to a generation is wished for a sliver any more. Returns the links that it was on."""
        with self._lock:
            spec = self._specs.get(sliver)
            if spec is None or spec.generation > generation:
                return ()
            self._forget(sliver)
        return links_of(spec)

    def links_at(self, node: str) -> set[SliverId]:
        """The links that a node has something of."""
        with self._lock:
            return {link for spec in self._specs.values() if spec.offer == node for link in links_of(spec)}

    def nodes_of(self, link: SliverId) -> set[str]:
        """The nodes that have something of a link: machines on it, or the link itself."""
        with self._lock:
            specs = [self._specs[sliver] for sliver in self._on_link.get(link, ())]
        return {spec.offer for spec in specs}

    def wiring(self, link: SliverId, node: str, address_of: Callable[[str], IPv4Address | None]) -> Wiring:
        """What a node has to know of a link. address_of: where a node's tunnels end, if they do."""
        with self._lock:
            known = self._specs.get(link)
            on_it = [self._specs[sliver] for sliver in self._on_link.get(link, ()) if sliver != link]
        macs: defaultdict[str, set[str]] = defaultdict(set)
        for spec in on_it:
            if spec.offer != node and isinstance(spec.shape, Machine):
                macs[spec.offer] |= {port.mac for port in spec.shape.ports if port.link == link}
        neighbours = []
        for other in sorted(macs):
            address = address_of(other)
            if address is not None:
                neighbours.append(Neighbour(address=address, macs=tuple(sorted(macs[other]))))
        segment = known.shape if known is not None and isinstance(known.shape, Segment) else None
        return Wiring(link=link, segment=segment, neighbours=tuple(neighbours))

    def _forget(self, sliver: SliverId) -> None:
        spec = self._specs.pop(sliver, None)
        for link in links_of(spec) if spec else ():
            self._on_link[link].discard(sliver)
            if not self._on_link[link]:
                del self._on_link[link]


def links_of(spec: SliverSpec) -> tuple[SliverId, ...]:
    """The links that a sliver is on; a link is on itself."""
    if isinstance(spec.shape, Machine):
        return tuple(dict.fromkeys(port.link for port in spec.shape.ports))
    return (spec.sliver,)
