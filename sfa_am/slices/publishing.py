"""Which ports of a node are to be reached from outside, as its request says. Pure."""

from collections.abc import Iterable

from backends.protocol import Ability, Opening, Traffic
from rspec import Element, Node, Publish, Request
from sfa_am.errors import BadArgs, Reason, Unsupported

MOST = 32
"""Of one node."""

_SSH = Opening(traffic=Traffic.TCP, port=22)


def openings_of(node: Node) -> tuple[Opening, ...]:
    """What a node publishes beside SSH. Raises BadArgs for what makes no sense."""
    where = f"node {node.client_id!r}{f' (line {node.line})' if node.line else ''}"
    found: list[Opening] = []
    for said in node.all(Publish):
        if said.odd:
            raise BadArgs(f"{where}: publish has no {said.odd[0]!a:.60}; it has protocol and port")
        if said.protocol not in (None, "tcp", "udp"):
            raise BadArgs(f"{where}: protocol={said.protocol!a:.40} can't be published; tcp and udp can")
        if said.port is None or not 1 <= said.port <= 65535:
            raise BadArgs(f"{where}: publish needs a port from 1 to 65535")
        opening = Opening(traffic=Traffic(said.protocol or "tcp"), port=said.port)
        if opening == _SSH:
            raise BadArgs(f"{where}: SSH (tcp, port 22) is published without being asked for; leave it out")
        if opening in found:
            raise BadArgs(f"{where}: {opening.traffic} port {opening.port} is published twice; once is enough")
        found.append(opening)
    if len(found) > MOST:
        raise BadArgs(f"{where}: {len(found)} ports are to be published; a node may have {MOST}")
    return tuple(found)


def refuse_misplaced_ports(request: Request) -> None:
    """Rather than pass over what somebody relies on. Raises BadArgs."""
    for where, element in (("at the top of the request", request), *_inside(request)):
        if element.first(Publish) is not None:
            raise BadArgs(f"an element publish is {where}; it belongs directly into a node")


def refuse_unpublished(node: Node, abilities: Iterable[Ability]) -> None:
    """What nobody here can do. Raises Unsupported, and BadArgs as `openings_of`."""
    if openings_of(node) and Ability.PUBLISH not in abilities:
        where = f"node {node.client_id!r} (line {node.line})"
        raise Unsupported(
            f"{where}: nothing but SSH can be published here; leave publish out, and reach the port through SSH",
            reasons=[Reason(constraint="publish", where=where, wanted="true", available="false", nearest="false")],
        )


def _inside(request: Request) -> Iterable[tuple[str, Element]]:
    for link in request.links:
        yield f"in link {link.client_id!r} (line {link.line})", link
    for node in request.nodes:
        for one in (*node.interfaces, *node.sliver_types, *node.services):
            yield f"inside another element of node {node.client_id!r} (line {node.line})", one
