"""From the security group of a request's node to what its backend is told. Pure."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network

from backends.protocol import CONTROL_INTERFACE, Machine, Opening, Rule, Sender, Traffic
from rspec import Node, Request, SecurityGroup, SecurityRule, read_node, write_node
from sfa_am.errors import BadArgs, Unsupported
from sfa_am.slices.publishing import openings_of

MOST_RULES = 64
"""Of one node: each is looked at for each packet."""

_SSH = Opening(traffic=Traffic.TCP, port=22)
_SENDERS = {"deny": Sender.OWN_ADDRESSES, "mac": Sender.OWN_MAC, "allow": Sender.ANYBODY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What a node's security group comes to."""

    sender: Sender = Sender.OWN_MAC
    rules: tuple[Rule, ...] = ()


def refuse_misplaced(request: Request) -> None:
    """Rather than pass over what somebody relies on. Raises BadArgs."""
    places = [("at the top of the request", request)] + [
        (f"in link {link.client_id!r} (line {link.line})", link) for link in request.links
    ]
    for where, element in places:
        if element.first(SecurityGroup) is not None:
            raise BadArgs(f"a security group is {where}; it belongs into a node, whose rules name an interface")


def joined(request: Request) -> frozenset[str]:
    """The interfaces that are on a link."""
    return frozenset(end for link in request.links for end in link.ends)


def security_of(node: Node, on_links: Collection[str]) -> Security:
    """Read a node's security group. `on_links`: interfaces that rules can be about.

    Raises BadArgs for what makes no sense, Unsupported for what would be of no use here.
    """
    where = f"node {node.client_id!r}{f' (line {node.line})' if node.line else ''}"
    inside = (*node.interfaces, *node.sliver_types, *node.services)
    if any(one.first(SecurityGroup) is not None for one in inside):
        raise BadArgs(f"{where}: a security group is inside another element; put it directly into the node")
    groups = node.all(SecurityGroup)
    if not groups:
        return Security()
    if len(groups) > 1:
        raise BadArgs(f"{where}: there are {len(groups)} security groups; put all rules into one")
    group = groups[0]
    if group.odd:
        raise BadArgs(f"{where}: a security group has no {group.odd[0]!a:.60}; it has spoofing, and rules in it")
    if (group.spoofing or "mac") not in _SENDERS:
        raise BadArgs(f"{where}: spoofing={group.spoofing!a:.40} is none of {', '.join(_SENDERS)}")
    if len(group.rules) > MOST_RULES:
        raise BadArgs(f"{where}: there are {len(group.rules)} rules; a node may have {MOST_RULES}")
    names = {one.client_id: f"eth{n}" for n, one in enumerate(node.interfaces, start=1) if one.client_id in on_links}
    openings = openings_of(node)
    return Security(
        sender=_SENDERS[group.spoofing or "mac"],
        rules=tuple(
            _rule(one, f"{where}, rule {number}", names, openings) for number, one in enumerate(group.rules, start=1)
        ),
    )


def regrouped(source: str, machine: Machine, group: SecurityGroup) -> tuple[str, Machine]:
    """A node that is there, as it was asked for and as it should be, with another security group.

    One that says nothing takes the old one away. Raises as `security_of`.
    """
    node = replace(read_node(source), line=0)
    others = [one for one in node.extensions if not isinstance(one, SecurityGroup)]
    says_something = group.rules or group.spoofing is not None
    node = replace(node, extensions=(*others, group) if says_something else tuple(others))
    plugged = {port.name for port in machine.ports}
    security = security_of(
        node, {one.client_id for n, one in enumerate(node.interfaces, start=1) if f"eth{n}" in plugged}
    )
    ports = tuple(replace(port, sender=security.sender) for port in machine.ports)
    return write_node(node), replace(machine, ports=ports, rules=security.rules)


def _rule(asked: SecurityRule, where: str, names: dict[str, str], openings: Collection[Opening]) -> Rule:
    if asked.odd:
        raise BadArgs(
            f"{where}: a rule has no {asked.odd[0]!a:.60}; it has action, protocol, ports, source and interface"
        )
    if asked.action not in ("allow", "deny"):
        raise BadArgs(f"{where}: action={asked.action!a:.40} is neither allow nor deny")
    try:
        traffic = Traffic(asked.protocol or "any")
    except ValueError:
        kinds = ", ".join(kind.value for kind in Traffic)
        raise BadArgs(f"{where}: protocol={asked.protocol!a:.40} is none of {kinds}") from None
    ports = _ports(asked.ports, where) if asked.ports is not None else None
    if ports is not None and traffic not in (Traffic.TCP, Traffic.UDP):
        raise BadArgs(f"{where}: ports are of tcp or udp; give the rule one of these protocols")
    if asked.interface is not None and asked.interface not in names:
        raise BadArgs(
            f"{where}: interface={asked.interface!a:.60} is on no link; {_offered(names)}, "
            "and a rule without an interface is about logins"
        )
    interface = CONTROL_INTERFACE if asked.interface is None else names[asked.interface]
    source = _source(asked.source_prefix, where) if asked.source_prefix is not None else None
    rule = Rule(allows=asked.action == "allow", traffic=traffic, ports=ports, source=source, interface=interface)
    if interface == CONTROL_INTERFACE:
        _refuse_useless(rule, where, openings)
    return rule


def _ports(written: str, where: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", written.strip(), re.ASCII)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise BadArgs(f"{where}: ports={written!a:.40} is no port and no range from 1 to 65535 such as 8000-8080")
    return first, last


def _source(written: str, where: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(written.strip())
    except ValueError as e:
        raise BadArgs(f"{where}: source={written!a:.60} is no prefix such as 192.0.2.0/24: {e}") from e


def _refuse_useless(rule: Rule, where: str, openings: Collection[Opening]) -> None:
    """What can't come in from outside whatever is allowed."""
    if rule.source is not None and rule.source.version != 4:
        raise Unsupported(f"{where}: logins come by IP version 4 here; give a source such as 192.0.2.0/24")
    reached = [_SSH, *openings]
    if rule.allows and rule.traffic is not Traffic.ICMP and not any(_is_about(rule, opening) for opening in reached):
        shown = " and ".join(f"{opening.traffic} port {opening.port}" for opening in reached)
        raise Unsupported(
            f"{where}: nothing but {shown.replace('tcp port 22', 'SSH (tcp, port 22)')} is reached from outside here; "
            "publish the port, leave the rule out, or name an interface that is on a link"
        )


def _is_about(rule: Rule, opening: Opening) -> bool:
    first, last = rule.ports or (opening.port, opening.port)
    return rule.traffic in (Traffic.ANY, opening.traffic) and first <= opening.port <= last


def _offered(names: Iterable[str]) -> str:
    known = ", ".join(map(repr, names))
    return f"on links are {known}" if known else "the node is on none"
