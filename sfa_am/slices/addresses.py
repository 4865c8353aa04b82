"""Addresses and hardware addresses on links: those of the request, and chosen ones for the rest.

Links are separate networks, so two slices may use the same addresses; within a slice each link gets a network of its
own, since a machine may be on several.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface

from rspec import Interface
from sfa_am.errors import BadArgs, NotFeasible

_POOL = IPv4Network("10.128.0.0/9")
"""Where networks for links without addresses come from; clear of 10.0.0.0/16 and 192.168.0.0/16, which requests use."""

_SMALL, _LARGE = 24, 20
_MOST_ON_A_SMALL_ONE = 250

Addresses = tuple[IPv4Interface | IPv6Interface, ...]


def mac_of(link: str, port: int) -> str:
    """A locally administered unicast address, the same each time it is computed for the same port of a link."""
    digest = hashlib.sha256(f"{link}/{port}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


@dataclass(frozen=True, slots=True)
class Given:
    """The addresses on one link: of its interfaces, by client_id, and of its server, where it was to have one."""

    ends: Mapping[str, Addresses]
    server: IPv4Interface | None


class AddressPlan:
    """Gives addresses to the links of one slice, one link after the other."""

    def __init__(self, used: Iterable[IPv4Network]) -> None:
        """used: networks that the slice's links have already."""
        self._used = set(used)
        self._next = int(_POOL.network_address)

    def complete(self, interfaces: Sequence[Interface], *, server: bool = False) -> Given:
        """Addresses for the interfaces of one link: those sent stay, the others get the next free ones.

        server: whether its machines ask for theirs, of a server that has one itself

        Raises NotFeasible when the link's network has no room for all, BadArgs when who asks could not be answered.
        """
        sent = _v4(interface.addresses for interface in interfaces)
        self._used.update(address.network for address in sent)
        own = sent[0].network if sent else self._free_network(len(interfaces) + server)
        taken = {address.ip for address in sent}
        at = _server(interfaces, own, taken) if server else None
        free = _hosts(own, taken | ({at.ip} if at else set()))
        result: dict[str, Addresses] = {}
        for interface in interfaces:
            if interface.addresses:
                result[interface.client_id] = tuple(interface.addresses)
                continue
            host = next(free, None)
            if host is None:
                raise NotFeasible(
                    f"interface {interface.client_id!r}: no address left in {own}, the network of its link"
                )
            result[interface.client_id] = (IPv4Interface((host, own.prefixlen)),)
        return Given(result, at)

    def _free_network(self, members: int) -> IPv4Network:
        prefix = _SMALL if members <= _MOST_ON_A_SMALL_ONE else _LARGE
        size = 1 << (32 - prefix)
        while True:
            start = -(-self._next // size) * size
            self._next = start + size
            if self._next > int(_POOL.broadcast_address) + 1:
                raise NotFeasible(f"no network left in {_POOL} for another link of this slice")
            candidate = IPv4Network((start, prefix))
            if not any(candidate.overlaps(other) for other in self._used):
                return candidate


def _server(interfaces: Sequence[Interface], own: IPv4Network, taken: set[IPv4Address]) -> IPv4Interface:
    """The last free address. It is told to nobody before, so it should be where nobody looks for machines."""
    for interface in interfaces:
        fours = _v4([interface.addresses])
        if [one for one in fours if one.network != own] or (interface.addresses and not fours):
            raise BadArgs(
                f"interface {interface.client_id!r}: its link gives addresses by DHCP, in {own} alone; give it one "
                "address of that network, or none"
            )
        if len(fours) > 1:
            raise BadArgs(f"interface {interface.client_id!r}: its link gives addresses by DHCP, one to each; keep one")
    last = int(own.broadcast_address) - 1
    for number in range(last, max(last - len(taken) - 1, int(own.network_address)), -1):
        if IPv4Address(number) not in taken:
            return IPv4Interface((number, own.prefixlen))
    raise NotFeasible(f"no address left in {own} for the server that gives addresses by DHCP; use a larger network")


def _v4(addresses: Iterable[Iterable[IPv4Interface | IPv6Interface]]) -> list[IPv4Interface]:
    return [a for several in addresses for a in several if isinstance(a, IPv4Interface)]


def _hosts(network: IPv4Network, taken: set[IPv4Address]) -> Iterator[IPv4Address]:
    return (host for host in network.hosts() if host not in taken)
