"""What a machine is made of on this host: a disk and something that runs on it, in one form or the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Protocol

from backends.image_library import Format
from backends.protocol import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """One interface: name inside, name outside, bridge, hardware address, addresses, largest payload of a frame.

    asks: whether the machine asks for its addresses of version 4 itself
    """

    name: str
    outside: str
    bridge: str
    mac: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    gateway: IPv4Address | None = None
    mtu: int = 1500
    asks: bool = False

    @property
    def given(self) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """The addresses that it is given without having to ask."""
        return tuple(one for one in self.addresses if not (self.asks and one.version == 4))


class Body(Protocol):
    """One machine's. Each method looks at what is there and does what is missing; all but the last raise BackendError
    or Unavailable when that fails."""

    def settings(self, machine: Machine, edition: str, plugs: Sequence[Plug]) -> str:
        """All that needs a restart when it changes, as text. The same machine gives the same text."""

    def has_disk(self) -> bool:
        """Whether there is a disk of the machine's own; it must be kept."""

    def make_disk(self, machine: Machine, edition: str, others: tuple[str, ...]) -> None:
        """A fresh disk that begins from an edition of an image. Nothing of an older one is left.

        others: lines about machines of its slice, see `hostnames`
        """

    def open_disk(self, machine: Machine, edition: str, plugs: Sequence[Plug], others: tuple[str, ...]) -> bool:
        """Have the disk where a start looks for it. Returns whether the start will tell the machine of the others."""

    def delete_disk(self) -> None:
        """Have none."""

    def start(self, settings: str) -> None:
        """Start it, with what `settings` gave."""

    def stop(self, *, gracefully: bool) -> None:
        """Stop it, after letting it shut down by itself if wanted; nothing happens when it is stopped."""

    def first_process(self) -> int:
        """The number of the process on this host that ends when the machine does; 0 or less when it does not run."""

    def plug(self, plug: Plug) -> None:
        """Give it an interface while it runs; one that is there is made anew."""

    def unplug(self, plug: Plug) -> None:
        """Take an interface from it while it runs; absent is fine."""

    def run(self, script: str) -> bool:
        """Run a shell script in it, as its root. False when a machine of this kind takes none now."""

    def stand_still(self) -> None:
        """Have nothing in it run until `go_on`; nothing happens when it is stopped."""

    def go_on(self) -> None:
        """Let it run again; nothing happens when it does, or is stopped."""

    def pack(self, edition: str, target: Path, largest: int) -> None:
        """Write its disk into a new file. It stands still, or is stopped.

        edition: that its disk began from. largest: octets. Raises BackendError, Impossible: this kind can't be packed.
        """

    def clean(self, packed: Path) -> Format:
        """Take out of what `pack` wrote what makes this machine itself; it may run again. Returns what the file is."""

    def console(self) -> str:
        """What it has written to its console since it was started, or the newest part of it."""
