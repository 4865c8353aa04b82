"""What each link of a request will be: its capacity, its name, and who is on it. Pure."""

from collections.abc import Mapping, Sequence

from backends.protocol import Member, Port, Segment
from rspec import Link, Request
from sfa_am.slices.naming import labels


def segments_of(
    request: Request, hostnames: Mapping[str, str], ports: Mapping[str, Sequence[Port]]
) -> dict[str, Segment]:
    """The links by client_id. hostnames, ports: of the nodes, by client_id."""
    names = labels(link.client_id for link in request.links)
    at = {
        interface.client_id: (node.client_id, f"eth{number}")
        for node in request.nodes
        for number, interface in enumerate(node.interfaces, start=1)
    }
    by_end = {(node, port.name): port for node, theirs in ports.items() for port in theirs}
    return {
        link.client_id: Segment(
            capacity_kbps=_capacity(link),
            name=names[link.client_id],
            members=tuple(
                Member(hostname=hostnames[at[end][0]], mac=by_end[at[end]].mac, addresses=by_end[at[end]].addresses)
                for end in link.ends
            ),
        )
        for link in request.links
    }


def _capacity(link: Link) -> int | None:
    return max((asked for one in link.properties if (asked := one.capacity_kbps) is not None), default=None)
