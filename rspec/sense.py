"""What must hold across a request beyond its schema: names that are there once, references that lead somewhere,
addresses that are some. One pass, in the order of the document; everything that is wrong is told, not only the first.
"""

import re
import socket
from collections.abc import Mapping
from ipaddress import ip_interface

from rspec.errors import Problem
from rspec.model import Interface, Ip, Link, Node, Request

_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-]?)[0-9A-Fa-f]{2}(\1[0-9A-Fa-f]{2}){4}")
_MASKS = frozenset({None, *(str(ip_interface(f"0.0.0.0/{length}").netmask) for length in range(1, 33))})
_LONGEST_CLIENT_ID = 200
_MOST_TOLD = 100
"""Problems. Somebody who has more of them starts with these."""

_QUANTITIES = (("capacity", 1e15, "in kbit/s"), ("latency", 1e9, "in ms"), ("packet_loss", 1.0, "from 0 to 1"))
"""Attribute of a link's property, the most it can be, and its unit."""


def problems(request: Request) -> tuple[Problem, ...]:
    """What is wrong, sorted by line; empty when the request makes sense."""
    found = _Sense(request).found
    return tuple(sorted(found, key=lambda problem: problem.line)[:_MOST_TOLD])


class _Sense:
    def __init__(self, request: Request) -> None:
        self.found: list[Problem] = []
        self._nodes: dict[str, Node] = {}
        self._interfaces: dict[str, Interface] = {}
        self._home: dict[str, Node] = {}
        self._links: dict[str, Link] = {}
        self._joined: dict[str, str] = {}
        for node in request.nodes:
            self._node(node)
        for link in request.links:
            self._link(link)

    def _wrong(self, line: int, message: str, hint: str = "") -> None:
        self.found.append(Problem(line, message, hint))

    def _named(self, what: str, client_id: str, line: int, known: Mapping[str, Node | Link | Interface]) -> None:
        """Every client_id is there once, and can be spoken of."""
        if client_id in known:
            before = known[client_id].line
            self._wrong(
                line, f"{what} {client_id!r} is there already, on line {before}", "each client_id is there once"
            )
        elif not client_id:
            self._wrong(line, f"a {what} has an empty client_id", "give it a name of its own")
        elif len(client_id) > _LONGEST_CLIENT_ID or not client_id.isprintable():
            self._wrong(line, f"client_id {client_id[:40]!a} is too long or has control characters")

    def _node(self, node: Node) -> None:
        self._named("node", node.client_id, node.line, self._nodes)
        self._nodes.setdefault(node.client_id, node)
        if len(node.sliver_types) > 1:
            several = len(node.sliver_types)
            self._wrong(node.line, f"node {node.client_id!r} has {several} sliver types", "keep one of them")
        for interface in node.interfaces:
            self._named("interface", interface.client_id, interface.line, self._interfaces)
            self._interfaces.setdefault(interface.client_id, interface)
            self._home.setdefault(interface.client_id, node)
            if interface.mac_address:
                self._mac(interface.mac_address.strip(), interface.line)
            for ip in interface.ips:
                if not _is_usual(ip):
                    self._address(ip)

    def _mac(self, written: str, line: int) -> None:
        if not _MAC.fullmatch(written):
            self._wrong(line, f"mac_address {written!a:.40} is not six pairs of hex digits")
        elif int(written[:2], 16) & 1:
            self._wrong(line, f"mac_address {written!a:.40} is a multicast address", "its first byte is even")

    def _address(self, ip: Ip) -> None:
        try:
            address = ip.interface.ip
        except ValueError:
            mask = f" with netmask {ip.netmask!a:.40}" if ip.netmask else ""
            hint = 'such as address="10.0.0.1" netmask="255.255.255.0"'
            self._wrong(ip.line, f"{ip.address!a:.60}{mask} is not an IP address", hint)
            return
        if address.is_multicast or address.is_loopback or address.is_unspecified:
            self._wrong(ip.line, f"{address} can't be the address of an interface", "use one of a private network")

    def _link(self, link: Link) -> None:
        name = link.client_id
        self._named("link", name, link.line, self._links)
        self._links.setdefault(name, link)
        if name in self._nodes:
            # Both become slivers of one slice, known by client_id.
            self._wrong(link.line, f"link {name!r} has the client_id of a node", "use another")
        if not link.interface_refs:
            self._wrong(link.line, f"link {name!r} joins no interfaces", "add <interface_ref client_id=.../> for each")
        self._ends(link)
        if link.component_managers:
            self._managers(link)
        for prop in link.properties:
            for quantity, most, unit in _QUANTITIES:
                value = getattr(prop, quantity)
                if value and not _is_within(value, most):
                    self._wrong(prop.line, f"link {name!r}: {quantity}={value!a:.40} makes no sense", unit)

    def _ends(self, link: Link) -> None:
        where = f"link {link.client_id!r}"
        addresses: dict[str, str] = {}
        for ref in link.interface_refs:
            end = ref.client_id
            interface = self._interfaces.get(end)
            if interface is None:
                self._wrong(ref.line, f"{where}: interface {end!r} is on no node of the request", self._meant(end))
                continue
            if end in self._joined:
                hint = "give the node another interface"
                self._wrong(ref.line, f"{where}: interface {end!r} is on link {self._joined[end]!r} already", hint)
            self._joined[end] = link.client_id
            for ip in interface.ips:
                first = addresses.setdefault(ip.address, end)
                if first != end:
                    self._wrong(ref.line, f"{where}: interfaces {first!r} and {end!r} both have address {ip.address}")

    def _meant(self, end: str) -> str:
        alike = [known for known in self._interfaces if known.lower() == end.strip().lower()]
        return f"is {alike[0]!r} meant?" if alike else 'an <interface client_id="..."> in a node declares one'

    def _managers(self, link: Link) -> None:
        """A link that says which aggregates have a part in it names one where it ends. Some tools don't name all."""
        at = {_manager(self._home[ref.client_id]) for ref in link.interface_refs if ref.client_id in self._home} - {""}
        named = {manager.name.strip().lower() for manager in link.component_managers}
        if at and not at & named:
            message = f"link {link.client_id!r} names component managers and not {min(at)}, where it ends"
            self._wrong(link.line, message, f'add <component_manager name="{min(at)}"/>')


def _manager(node: Node) -> str:
    return (node.component_manager_id or "").strip().lower()


def _is_usual(ip: Ip) -> bool:
    """Whether it is an ordinary address with an ordinary mask; quickly, since a request may have thousands."""
    try:
        first = socket.inet_pton(socket.AF_INET, ip.address)[0]
    except (OSError, ValueError):
        return False
    return 0 < first < 224 and first != 127 and ip.netmask in _MASKS


def _is_within(value: str, most: float) -> bool:
    try:
        return 0 <= float(value) <= most
    except ValueError:
        return False
