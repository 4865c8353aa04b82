"""The bridges of links. Which there are follows from the slivers: each exists while a link or a port needs it."""

import threading
from collections.abc import Iterable

from backends.native.journal import Journal
from backends.native.names import Names
from backends.native.network import bridge
from backends.protocol import Machine, SliverId


class LinkBridges:
    """The bridges of one backend's links. Safe to use from many threads."""

    def __init__(self, names: Names, journal: Journal) -> None:
        self._names = names
        self._journal = journal
        # Held while deciding and deleting, so that none goes away under a machine whose record was just opened.
        self._lock = threading.Lock()

    def name(self, link: SliverId) -> str:
        """The bridge of a link."""
        return self._names.bridge(link)

    def ensure(self, link: SliverId) -> None:
        """Make a link's bridge; the record of who needs it must be open."""
        with self._lock:
            bridge.ensure_link_bridge(self.name(link))

    def exists(self, link: SliverId) -> bool:
        """Whether it is there."""
        return bridge.exists(self.name(link))

    def remove_idle(self, links: Iterable[SliverId]) -> None:
        """Delete those of these bridges that nothing needs any more."""
        with self._lock:
            needed = self._needed()
            for link in links:
                if link not in needed:
                    bridge.remove(self.name(link))

    def remove_strays(self) -> None:
        """Delete bridges of links that nothing needs: what a removal left that was cut short after its record went."""
        with self._lock:
            needed = {self.name(link) for link in self._needed()}
            for name in bridge.names_beginning(self._names.link_bridges):
                if name not in needed:
                    bridge.remove(name)

    def _needed(self) -> set[SliverId]:
        """Links that are there, and those that a machine has a port on."""
        records = self._journal.everything()
        ports = (
            port
            for record in records.values()
            if isinstance(record.spec.shape, Machine)
            for port in record.spec.shape.ports
        )
        return {*records, *(port.link for port in ports)}
