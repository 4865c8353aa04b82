"""What must hold across a request, beyond each element by itself. One pass, in the order of the document."""

from collections.abc import Iterable
from ipaddress import ip_address

from rspec.errors import Invalid
from rspec.model import Interface, Link, Request


def check(request: Request) -> None:
    """Raises Invalid at the first thing that makes no sense."""
    _unique("node", ((node.client_id, node.line) for node in request.nodes))
    _unique("interface", ((i.client_id, i.line) for node in request.nodes for i in node.interfaces))
    _unique("link", ((link.client_id, link.line) for link in request.links))
    _distinct_kinds(request)
    interfaces = {i.client_id: i for node in request.nodes for i in node.interfaces}
    used: dict[str, str] = {}
    for link in request.links:
        _check_link(link, interfaces, used)


def _unique(what: str, named: Iterable[tuple[str, int]]) -> None:
    lines: dict[str, int] = {}
    for client_id, line in named:
        if client_id in lines:
            raise Invalid(f"line {line}: {what} {client_id!r} is there already, on line {lines[client_id]}")
        lines[client_id] = line


def _distinct_kinds(request: Request) -> None:
    """A node and a link become slivers of one slice, known by client_id: they need different ones."""
    nodes = {node.client_id for node in request.nodes}
    for link in request.links:
        if link.client_id in nodes:
            raise Invalid(f"line {link.line}: link {link.client_id!r} has the client_id of a node; use another")


def _check_link(link: Link, interfaces: dict[str, Interface], used: dict[str, str]) -> None:
    where = f"link {link.client_id!r} (line {link.line})"
    if not link.interface_refs:
        raise Invalid(f"{where} joins no interfaces; add <interface_ref client_id=.../> for each")
    addresses: dict[object, str] = {}
    for ref in link.interface_refs:
        if ref not in interfaces:
            raise Invalid(f"{where}: interface {ref!r} is on no node of the request")
        if ref in used:
            raise Invalid(
                f"{where}: interface {ref!r} is on link {used[ref]!r} already; give the node another interface"
            )
        used[ref] = link.client_id
        for address in interfaces[ref].addresses:
            ip = ip_address(address.ip)
            if ip in addresses:
                raise Invalid(f"{where}: interfaces {addresses[ip]!r} and {ref!r} both have address {ip}")
            addresses[ip] = ref
