"""Names of what we make in the kernel, so that it can be told from everybody else's and found again.

Every name begins with the tag of this backend in this installation; nothing without it is ever touched. Interface
names have at most 15 characters: tag (5), kind (1), some of the sliver's digest, the number of the port.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from backends.protocol import Context, SliverId


@dataclass(frozen=True, slots=True)
class Names:
    """The names that one backend gives."""

    tag: str

    @classmethod
    def of(cls, context: Context) -> "Names":
        """The same for the same backend in the same state folder, always."""
        return cls.of_folder(context.state)

    @classmethod
    def of_folder(cls, state: Path) -> "Names":
        """As `of`; the folder is named after the backend."""
        return cls("n" + hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:4])

    @property
    def control_bridge(self) -> str:
        """The bridge between the host and its slivers."""
        return f"{self.tag}ctl"

    @property
    def table(self) -> str:
        """The nftables table, in families inet and bridge."""
        return f"sfa-{self.tag}"

    @property
    def container_prefix(self) -> str:
        """How the names of all machines begin, and no others do."""
        return f"{self.tag}-"

    def container(self, sliver: SliverId) -> str:
        """A container or virtual machine, its folder and its cgroup."""
        return f"{self.container_prefix}{sliver}"

    def sliver(self, container: str) -> SliverId | None:
        """The sliver of a container or folder name; None for what is not ours."""
        prefix = self.container_prefix
        return SliverId(container.removeprefix(prefix)) if container.startswith(prefix) else None

    @property
    def control_ports(self) -> str:
        """How the names of all control ports begin, and no others do."""
        return f"{self.tag}p"

    @property
    def link_ports(self) -> str:
        """How the names of all ports on links begin, and no others do."""
        return f"{self.tag}l"

    def port(self, sliver: SliverId, number: int) -> str:
        """The host's end of a machine's interface; number 0 is the control interface."""
        return (
            f"{self.control_ports}{_digest(sliver)}"
            if number == 0
            else f"{self.link_ports}{_digest(sliver)[:7]}{number}"
        )

    @staticmethod
    def number(interface: str, place: int) -> int:
        """The number of a machine's interface: that in its name, so that it stays when others come and go.

        place: among its interfaces, from 1, for one whose name has none
        """
        digits = interface.removeprefix("eth")
        return int(digits) if digits.isdecimal() and 0 < int(digits) < 100 else place

    @property
    def link_bridges(self) -> str:
        """How the names of all links' bridges begin, and no others do."""
        return f"{self.tag}b"

    def bridge(self, link: SliverId) -> str:
        """The bridge of a link."""
        return f"{self.link_bridges}{_digest(link)}"

    @property
    def link_tunnels(self) -> str:
        """How the names of all links' tunnels begin, and no others do."""
        return f"{self.tag}t"

    def tunnel(self, link: SliverId) -> str:
        """The way of a link to other hosts."""
        return f"{self.link_tunnels}{_digest(link)}"

    @property
    def link_servers(self) -> str:
        """How the names of all ports of links' servers begin, and no others do."""
        return f"{self.tag}s"

    def server(self, link: SliverId) -> str:
        """The host's end of a link's server for addresses and names."""
        return f"{self.link_servers}{_digest(link)}"

    def way_out(self, link: SliverId) -> str:
        """The host's end of the second foot of a link's server, on the control network."""
        return f"{self.control_ports}{_digest(SliverId(f'server/{link}'))}"

    def mac(self, link: SliverId) -> str:
        """The hardware address of a link's server: the same on all hosts, in all installations."""
        octets = hashlib.sha256(f"server/{link}".encode()).digest()[:5]
        return ":".join(f"{octet:02x}" for octet in (0x02, *octets))


def _digest(sliver: SliverId) -> str:
    return hashlib.sha256(sliver.encode()).hexdigest()[:8]
