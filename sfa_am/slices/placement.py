"""Placement: which offer makes which node, and what each sliver will be. Pure: a request and the stock in, a plan out.

All or nothing. Nodes that are joined by links stay within one backend, since no backend knows of another; within a
backend each node goes to the offer that the room holds for best. The plan is a proposal: the conditional updates of
`store.offers` decide.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from typing import Protocol

from backends.protocol import Ability, Machine, Port, Segment, SliverId, SliverType
from rspec import Interface, Link, Node, OpenFlow, Request, write_link, write_node
from sfa_am.errors import BadArgs, NotFeasible, Reason, Unavailable, Unsupported
from sfa_am.slices.addresses import Addresses, AddressPlan, mac_of
from sfa_am.slices.identity import Identity
from sfa_am.slices.matching import image_name, image_of, sliver_types
from sfa_am.slices.naming import labels
from sfa_am.slices.publishing import openings_of, refuse_misplaced_ports, refuse_unpublished
from sfa_am.slices.reasons import refusals_together, unknown
from sfa_am.slices.room import Room, Spot
from sfa_am.slices.security import joined, refuse_misplaced, security_of
from sfa_am.slices.segments import needed_by, refuse_odd, refuse_unable, segments_of, served
from sfa_am.slices.shortage import closed_sentence, no_place
from sfa_am.store.offers import Claim, Stock, needs
from sfa_am.store.slivers import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One sliver-to-be: what asked for it, where it goes, what it will be."""

    id: SliverId
    kind: str
    client_id: str
    source: str
    backend: str
    offer: str
    shape: Machine | Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Slivers in the order of the request, nodes before links, and what they take."""

    slivers: tuple[Placed, ...]
    claims: tuple[Claim, ...]


def own_part(request: Request, identity: Identity) -> Request:
    """The nodes and links of a request that are for this aggregate.

    Tools send one request to every aggregate it names, so what is bound to another one is left to it. Raises BadArgs
    when nothing is for us, Unsupported when a link would lead from here to another aggregate.
    """
    if (openflow := request.first(OpenFlow)) is not None:
        raise Unsupported(f"{openflow.name} at the top of the request: OpenFlow is not offered here; leave it out")
    managers = {node.component_manager_id for node in request.nodes} - {None, ""}
    others = {manager for manager in managers if manager and not identity.is_ours(manager)}
    foreign = [node for node in request.nodes if node.component_manager_id in others]
    nodes = tuple(node for node in request.nodes if node.component_manager_id not in others)
    if not nodes:
        if foreign:
            raise BadArgs(
                f"node {foreign[0].client_id!r} (line {foreign[0].line}) is bound to "
                f"{foreign[0].component_manager_id!a:.200} "
                f"and no node is for this aggregate, {identity.manager}"
            )
        raise BadArgs("the request names no node")
    theirs = {interface.client_id for node in foreign for interface in node.interfaces}
    links = []
    for link in request.links:
        away = [ref for ref in link.ends if ref in theirs]
        if not away:
            links.append(link)
        elif len(away) < len(link.ends):
            raise Unsupported(
                f"link {link.client_id!r} (line {link.line}) leads to interface {away[0]!r} at another aggregate; "
                "links between aggregates are not offered here"
            )
    return replace(request, nodes=nodes, links=tuple(links))


class Numbering(Protocol):
    """Where identifiers come from; a test hands in a predictable one."""

    def __call__(self) -> str:
        """A new identifier."""


def place(
    request: Request,
    room: Room,
    identity: Identity,
    addresses: AddressPlan,
    numbering: Numbering = new_id,
) -> Plan:
    """Find room for everything in `request`, and leave the room as it was.

    Raises BadArgs for what no offer knows (a type, an image, a component), Unsupported for what is done nowhere here,
    NotFeasible for what is not free, Unavailable when nothing answers or the operator keeps it closed.
    """
    if not room.backends:
        if room.closed:
            raise Unavailable(f"nothing can be placed now: {closed_sentence(room.closed)}; try again later")
        raise Unavailable("nothing can be placed now: no resource of this aggregate answers; try again later")
    on_links = joined(request)
    with refusals_together() as attempt:
        attempt(refuse_misplaced, request)
        for node in request.nodes:
            attempt(_refuse_unknown, node, room, identity)
            attempt(security_of, node, on_links)
            attempt(refuse_unpublished, node, room.abilities)
        for node in request.nodes:
            attempt(_refuse_closed, node, room.closed, identity)
        attempt(refuse_odd, request)
        attempt(refuse_misplaced_ports, request)
        for link in request.links:
            attempt(_refuse_impairments, link)
            attempt(refuse_unable, link, room.abilities)
    needs_of = _needs_of(request)
    home: dict[str, _Home] = {}
    try:
        with refusals_together() as attempt:
            for group in _joined(request):
                attempt(_place_group, group, needs_of, room, identity, home)
    finally:
        for at in home.values():
            room.give_back(at.spot, at.which)
    return _plan(request, home, addresses, numbering)


# What is asked for, against what anybody offers


def _refuse_unknown(node: Node, room: Room, identity: Identity) -> None:
    where = f"node {node.client_id!r} (line {node.line})"
    kinds, images, hardware_types = room.kinds, room.images, room.hardware
    if node.component_id is not None:
        name = identity.component_name(node.component_id)
        if name is None or name not in room.offers:
            raise BadArgs(
                f"{where}: component {node.component_id!a:.200} is not at this aggregate; see ListResources",
                reasons=[unknown(where, "component", name or node.component_id, list(room.offers))],
            )
        named = room.offers[name]
        kinds, images = {kind.name for kind in named.sliver_types}, {image.name for image in named.images}
        hardware_types = set(named.hardware_types)
    if node.exclusive:
        raise Unsupported(
            f"{where}: exclusive nodes are not offered here, since hosts are shared; leave exclusive out or set it to "
            "false, and ask for a larger sliver type",
            reasons=[Reason(constraint="exclusive", where=where, wanted="true", available="false", nearest="false")],
        )
    _known(where, "sliver type", node.sliver_type, kinds)
    _known(where, "disk image", image_name(node), images)
    for hardware in node.hardware_types[:1]:
        _known(where, "hardware type", hardware.name, hardware_types)


def _refuse_closed(node: Node, closed: Sequence[Stock], identity: Identity) -> None:
    """A component that was asked for by name and takes nothing new, as the operator wishes."""
    if node.component_id is None:
        return
    name = identity.component_name(node.component_id)
    if named := [stock for stock in closed if stock.offer.name == name]:
        where = f"node {node.client_id!r} (line {node.line})"
        raise Unavailable(
            f"{where}: {closed_sentence(named)}; leave component_id out to be placed elsewhere, or try again later",
            reasons=[
                Reason(constraint="state", where=f"component {name}", wanted="up", available=named[0].wanted.value)
            ],
        )


def _refuse_impairments(link: Link) -> None:
    """Rather than a link without the delay or loss that somebody's results would be based on."""
    where = f"link {link.client_id!r} (line {link.line})"
    for one in link.properties:
        for quantity, wanted in (("latency", one.latency), ("packet_loss", one.packet_loss)):
            if wanted and float(wanted):
                raise Unsupported(
                    f"{where}: {quantity} is not offered here; leave it out, or ask for a capacity alone",
                    reasons=[Reason(constraint=quantity, where=where, wanted=wanted, available="0", nearest="0")],
                )


def _known(where: str, what: str, name: str | None, known: set[str]) -> None:
    if name is not None and name not in known:
        raise BadArgs(
            f"{where}: {what} {name!r} is not offered here; offered are: {', '.join(sorted(known))}",
            reasons=[unknown(where, what, name, sorted(known))],
        )


# Groups of nodes that must stay together


def _joined(request: Request) -> list[list[Node]]:
    """Nodes in groups joined by links, both in the order of the request."""
    owner = {interface.client_id: node.client_id for node in request.nodes for interface in node.interfaces}
    leader = {node.client_id: node.client_id for node in request.nodes}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for link in request.links:
        ends = [find(owner[ref]) for ref in link.ends]
        for other in ends[1:]:
            leader[find(other)] = find(ends[0])
    groups: dict[str, list[Node]] = defaultdict(list)
    for node in request.nodes:
        groups[find(node.client_id)].append(node)
    return list(groups.values())


def _needs_of(request: Request) -> dict[str, frozenset[Ability]]:
    """What each node and its links need of its place."""
    result: dict[str, frozenset[Ability]] = {}
    owner = {interface.client_id: node.client_id for node in request.nodes for interface in node.interfaces}
    for node in request.nodes:
        if openings_of(node):
            result[node.client_id] = frozenset({Ability.PUBLISH})
    for link in request.links:
        if needed := needed_by(link):
            for name in {owner[ref] for ref in link.ends}:
                result[name] = result.get(name, frozenset()) | needed
    return result


# Where each goes


@dataclass(frozen=True, slots=True)
class _Home:
    """Where a node goes, and as which of the sliver types there."""

    spot: Spot
    which: int
    image: str

    @property
    def stock(self) -> Stock:
        return self.spot.stock

    @property
    def kind(self) -> SliverType:
        return self.stock.offer.sliver_types[self.which]


def _place_group(
    group: list[Node],
    needs_of: Mapping[str, frozenset[Ability]],
    room: Room,
    identity: Identity,
    home: dict[str, _Home],
) -> None:
    """Find room for a whole group in one backend; the first backend that has it wins. What is found is taken.

    needs_of: what the links of nodes need of their places, by client_id
    """
    refusals: list[NotFeasible] = []
    for backend in room.backends:
        chosen: dict[str, _Home] = {}
        try:
            for node in group:
                at = chosen[node.client_id] = _best(
                    node, needs_of.get(node.client_id, frozenset()), backend, room, identity
                )
                room.take(at.spot, at.which)
        except NotFeasible as refusal:
            for at in chosen.values():
                room.give_back(at.spot, at.which)
            refusals.append(refusal)
        else:
            home.update(chosen)
            return
    raise NotFeasible(str(refusals[0]), reasons=[reason for refusal in refusals for reason in refusal.reasons])


def _best(node: Node, must: frozenset[Ability], backend: str, room: Room, identity: Identity) -> _Home:
    """The best offer of a backend that can make this node."""
    found = None
    if node.component_id is None:
        families = room.families(backend)
        found = room.best((family, which) for family in families for which in sliver_types(node, family.offer, must))
    elif (spot := room.spot(backend, identity.component_name(node.component_id) or "")) is not None:
        fitting = (
            which
            for which in sliver_types(node, spot.stock.offer, must)
            if spot.fits(spot.stock.offer.sliver_types[which])
        )
        found = next(((spot, which) for which in fitting), None)
    if found is None:
        raise no_place(node, must, backend, room, identity)
    spot, which = found
    offer = spot.stock.offer
    return _Home(spot, which, image_of(offer, offer.sliver_types[which], image_name(node)))


# The plan


def _plan(request: Request, home: Mapping[str, _Home], addresses: AddressPlan, numbering: Numbering) -> Plan:
    wanted: list[Node | Link] = [*request.nodes, *request.links]
    ids = {item.client_id: SliverId(numbering()) for item in wanted}
    ports, servers = _ports(request, ids, addresses)
    on_links = joined(request)
    hostnames = labels([node.client_id for node in request.nodes])
    segments = segments_of(request, hostnames, ports, servers)
    slivers: list[Placed] = []
    claims: list[Claim] = []
    for node in request.nodes:
        at = home[node.client_id]
        security = security_of(node, on_links)
        machine = Machine(
            hostname=hostnames[node.client_id],
            form=at.kind.form,
            sliver_type=at.kind.name,
            image=at.image,
            cpus=at.kind.cpus,
            memory_mib=at.kind.memory_mib,
            disk_mib=at.kind.disk_mib,
            ports=tuple(replace(port, sender=security.sender) for port in ports[node.client_id]),
            rules=security.rules,
            openings=openings_of(node),
        )
        slivers.append(_placed(node, "node", ids, at.stock, machine))
        amounts = needs(at.kind) | ({"ports": len(machine.openings)} if machine.openings else {})
        claims.extend(
            Claim(
                sliver_id=ids[node.client_id],
                backend=at.stock.backend,
                offer=at.stock.offer.name,
                resource=resource,
                amount=amount,
            )
            for resource, amount in amounts.items()
        )
    owner = {interface.client_id: node.client_id for node in request.nodes for interface in node.interfaces}
    for link in request.links:
        first = home[owner[link.ends[0]]].stock
        slivers.append(_placed(link, "link", ids, first, segments[link.client_id]))
    return Plan(slivers=tuple(slivers), claims=tuple(claims))


def _placed(
    item: Node | Link, kind: str, ids: Mapping[str, SliverId], stock: Stock, shape: Machine | Segment
) -> Placed:
    return Placed(
        id=ids[item.client_id],
        kind=kind,
        client_id=item.client_id,
        source=write_node(item) if isinstance(item, Node) else write_link(item),
        backend=stock.backend,
        offer=stock.offer.name,
        shape=shape,
    )


def _ports(
    request: Request, ids: Mapping[str, SliverId], addresses: AddressPlan
) -> tuple[dict[str, list[Port]], dict[str, IPv4Interface]]:
    """The ports of each node, in the order of its interfaces; an interface on no link has none. And where the servers
    of links are."""
    interfaces: dict[str, Interface] = {i.client_id: i for node in request.nodes for i in node.interfaces}
    plugged: dict[str, tuple[Link, int]] = {}
    given: dict[str, Addresses] = {}
    servers = {}
    for link in request.links:
        asks = served(link).dhcp
        found = addresses.complete([interfaces[ref] for ref in link.ends], server=asks)
        given.update(found.ends)
        if found.server is not None:
            servers[link.client_id] = found.server
        plugged.update({ref: (link, place_in_link) for place_in_link, ref in enumerate(link.ends)})
    result: dict[str, list[Port]] = {}
    for node in request.nodes:
        result[node.client_id] = []
        for number, interface in enumerate(node.interfaces, start=1):
            if interface.client_id not in plugged:
                continue
            link, place_in_link = plugged[interface.client_id]
            result[node.client_id].append(
                Port(
                    name=f"eth{number}",
                    link=ids[link.client_id],
                    mac=interface.mac or mac_of(ids[link.client_id], place_in_link),
                    addresses=given[interface.client_id],
                    asks=link.client_id in servers,
                )
            )
    return result, servers
