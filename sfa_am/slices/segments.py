"""What each link of a request will be: its capacity, its name, who is on it, what it does for them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface

from backends.protocol import Ability, Member, Port, Segment
from rspec import Lan, Link, Request
from sfa_am.errors import BadArgs, Reason, Unsupported
from sfa_am.slices.naming import labels

_ANSWERS = {None: False, "true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a link is asked to do for its machines.

    dhcp:    they ask for their addresses, and for names
    gateway: they have their way out there; only who asks is told of it
    """

    dhcp: bool = False
    gateway: bool = False


def served(link: Link) -> Served:
    """Read what a link should do. Raises BadArgs."""
    where = f"link {link.client_id!r}{f' (line {link.line})' if link.line else ''}"
    said = link.all(Lan)
    if not said:
        return Served()
    if len(said) > 1:
        raise BadArgs(f"{where}: there are {len(said)} elements lan; put all into one")
    lan = said[0]
    if lan.odd:
        raise BadArgs(f"{where}: a lan has no {lan.odd[0]!a:.60}; it has dhcp and gateway")
    dhcp, gateway = _yes(lan.dhcp, "dhcp", where), _yes(lan.gateway, "gateway", where)
    if gateway and not dhcp:
        raise BadArgs(f"{where}: machines hear of a gateway by DHCP; set dhcp to true as well")
    return Served(dhcp=dhcp, gateway=gateway)


def refuse_odd(request: Request) -> None:
    """Rather than pass over what somebody relies on. Raises BadArgs."""
    if request.first(Lan) is not None:
        raise BadArgs("an element lan is at the top of the request; it belongs into a link")
    for node in request.nodes:
        if any(one.first(Lan) is not None for one in (node, *node.interfaces)):
            raise BadArgs(f"an element lan is in node {node.client_id!r} (line {node.line}); it belongs into a link")


def refuse_unable(link: Link, abilities: Iterable[Ability]) -> None:
    """What nobody here can do. Raises Unsupported, and BadArgs as `served`."""
    wanted, where = served(link), f"link {link.client_id!r} (line {link.line})"
    if wanted.gateway and Ability.GATEWAY not in abilities:
        raise Unsupported(
            f"{where}: there is no way out by a link here; leave gateway out",
            reasons=[Reason(constraint="gateway", where=where, wanted="true", available="false", nearest="false")],
        )
    if wanted.dhcp and Ability.DHCP not in abilities:
        raise Unsupported(
            f"{where}: nothing here gives addresses by DHCP; leave dhcp out, and machines have theirs from the start",
            reasons=[Reason(constraint="dhcp", where=where, wanted="true", available="false", nearest="false")],
        )


def needed_by(link: Link) -> frozenset[Ability]:
    """What the places of its machines must be able to do."""
    wanted = served(link)
    asked = {Ability.DHCP: wanted.dhcp, Ability.GATEWAY: wanted.gateway}
    return frozenset(ability for ability, is_asked in asked.items() if is_asked)


def segments_of(
    request: Request,
    hostnames: Mapping[str, str],
    ports: Mapping[str, Sequence[Port]],
    servers: Mapping[str, IPv4Interface],
) -> dict[str, Segment]:
    """The links by client_id. hostnames, ports: of the nodes, by client_id. servers: addresses of links' servers."""
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
            server=servers.get(link.client_id),
            gateway=served(link).gateway,
        )
        for link in request.links
    }


def _capacity(link: Link) -> int | None:
    return max((asked for one in link.properties if (asked := one.capacity_kbps) is not None), default=None)


def _yes(written: str | None, attribute: str, where: str) -> bool:
    try:
        return _ANSWERS[written and written.strip().lower()]
    except KeyError:
        raise BadArgs(f"{where}: {attribute}={written!a:.40} is neither true nor false") from None
