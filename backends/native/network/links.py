"""The networks of links on this host. Which there are follows from the slivers: each exists while a link or a port
needs it. It is a bridge, and where machines on other hosts are on the link too, a tunnel to those."""

import threading
from collections.abc import Iterable
from ipaddress import IPv4Address

from backends.native.journal import Journal
from backends.native.messages import Wiring
from backends.native.names import Names
from backends.native.network import bridge, tunnel
from backends.native.network.server import LinkServers
from backends.native.network.wirings import Wirings
from backends.protocol import Machine, Segment, SliverId


class LinkBridges:
    """The links of one node. Safe to use from many threads."""

    def __init__(
        self,
        names: Names,
        journal: Journal,
        wirings: Wirings,
        underlay: IPv4Address | None,
        servers: LinkServers,
    ) -> None:
        """underlay: this host's ends of tunnels; None when its links go nowhere else."""
        self._names = names
        self._journal = journal
        self._wirings = wirings
        self._underlay = underlay
        self._servers = servers
        # Held while deciding and changing, so that none goes away under a machine whose record was just opened.
        self._lock = threading.Lock()

    def name(self, link: SliverId) -> str:
        """The bridge of a link."""
        return self._names.bridge(link)

    def mtu(self) -> int:
        """Of all links: what fits where any of them may lead. Raises Unavailable."""
        return tunnel.mtu_of(self._underlay)

    def segment(self, link: SliverId) -> Segment | None:
        """What a link should be, as far as this host was told."""
        wiring = self._wirings.get(link)
        return wiring.segment if wiring else None

    def wire(self, wiring: Wiring) -> None:
        """Have a link lead where it should; it is made when a port needs it."""
        with self._lock:
            self._wirings.put(wiring)
            if bridge.exists(self.name(wiring.link)):
                self._lead(wiring.link)

    def ensure(self, link: SliverId) -> None:
        """Make a link's network; the record of who needs it must be open."""
        with self._lock:
            bridge.ensure_link_bridge(self.name(link), self.mtu())
            self._lead(link)

    def exists(self, link: SliverId) -> bool:
        """Whether it is there."""
        return bridge.exists(self.name(link))

    def wirings(self) -> tuple[Wiring, ...]:
        """What this host knows of links."""
        return self._wirings.everything()

    def remove_idle(self, links: Iterable[SliverId]) -> None:
        """Delete those of these networks that nothing needs any more."""
        with self._lock:
            needed = self._needed()
            for link in links:
                if link not in needed:
                    self._remove(link)
                elif not self._has_machines(link):
                    self._servers.remove(link)

    def restore(self) -> None:
        """Have those that are needed and no others: after a boot, and after a removal that was cut short."""
        with self._lock:
            needed = self._needed()
            for wiring in self._wirings.everything():
                if wiring.link not in needed:
                    self._remove(wiring.link)
            self._servers.remove_others(needed)
            kept = {name for link in needed for name in (self.name(link), self._names.tunnel(link))}
            for prefix in (self._names.link_tunnels, self._names.link_bridges):
                for name in bridge.names_beginning(prefix):
                    if name not in kept:
                        bridge.remove(name)
        for link in needed:
            self.ensure(link)

    def serve(self, link: SliverId) -> None:
        """Have a link's server run, if it should have one: it may have ended."""
        with self._lock:
            if link in self._needed() and bridge.exists(self.name(link)):
                self._serve(link)

    def unserved(self) -> list[SliverId]:
        """Links whose server should run and doesn't."""
        asked = [w.link for w in self._wirings.everything() if w.segment is not None and w.segment.server is not None]
        return [link for link in asked if self._has_machines(link) and not self._servers.is_there(link)]

    def _serve(self, link: SliverId) -> None:
        segment = self.segment(link)
        if segment is not None and self._has_machines(link):
            self._servers.ensure(link, segment, self.mtu())
        else:
            self._servers.remove(link)

    def _lead(self, link: SliverId) -> None:
        self._serve(link)
        wiring, name = self._wirings.get(link), self._names.tunnel(link)
        if wiring is None or wiring.segment is None or not wiring.neighbours or self._underlay is None:
            bridge.remove(name)
            return
        number = wiring.segment.number
        neighbours = wiring.neighbours
        tunnel.ensure(name, self.name(link), number=number, local=self._underlay, neighbours=neighbours, mtu=self.mtu())

    def _remove(self, link: SliverId) -> None:
        self._servers.remove(link)
        bridge.remove(self._names.tunnel(link))
        bridge.remove(self.name(link))
        self._wirings.drop(link)

    def _has_machines(self, link: SliverId) -> bool:
        """Whether a machine here is on a link: others are answered where they are."""
        shapes = (record.spec.shape for record in self._journal.everything().values())
        return any(isinstance(shape, Machine) and any(port.link == link for port in shape.ports) for shape in shapes)

    def _needed(self) -> set[SliverId]:
        """Links that are there, and those that a machine has a port on."""
        records = self._journal.everything().values()
        links = {record.spec.sliver for record in records if isinstance(record.spec.shape, Segment)}
        ports = (
            port for r in records if isinstance(r.spec.shape, Machine) for port in (*r.spec.shape.ports, *r.plugged)
        )
        return links | {port.link for port in ports}
