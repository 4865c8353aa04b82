"""Why a node has no place: a sentence for people, and a tree of reasons for programs. Pure."""

from collections.abc import Sequence

from backends.protocol import Ability, SliverType
from rspec import Node
from sfa_am.errors import NotFeasible, Reason
from sfa_am.slices.identity import Identity
from sfa_am.slices.matching import sliver_types
from sfa_am.slices.reasons import first_few
from sfa_am.slices.room import Room, Spot
from sfa_am.store.offers import Stock, Wanted, needs

_NAMED = 3
"""So many components are named in a sentence, and the others counted."""


def no_place(node: Node, must: frozenset[Ability], backend: str, room: Room, identity: Identity) -> NotFeasible:
    """The refusal of a node for which a backend has no room.

    must: what the node's links need of its place
    """
    name = None if node.component_id is None else identity.component_name(node.component_id)
    possible = [
        (spot, spot.stock.offer.sliver_types[which])
        for spot in room.spots(backend)
        if name in (None, spot.stock.offer.name)
        for which in sliver_types(node, spot.stock.offer, must)
    ]
    could = [
        stock
        for stock in room.closed
        if stock.backend == backend and name in (None, stock.offer.name) and sliver_types(node, stock.offer, must)
    ]
    return NotFeasible(_too_big(node, possible, could), reasons=[_no_room(node, backend, possible, room)])


def _too_big(node: Node, possible: Sequence[tuple[Spot, SliverType]], could: Sequence[Stock]) -> str:
    """Why a node fits nowhere: per resource that is short, what it needs and the most that is free.

    could: offers that are closed and could make it otherwise
    """
    where = f"node {node.client_id!r} (line {node.line})"
    if not possible and could:
        closed = closed_sentence(could)
        return f"{where}: {closed}, and nothing else that answers has all of what it asks for; try again later"
    if not possible:
        return f"{where}: what it asks for is offered here, but nothing that answers now has all of it together"
    spot, kind = max(possible, key=lambda one: one[0].has("memory_mib"))
    short = [
        f"{amount} {_unit(resource)} needed, {spot.has(resource)} free"
        for resource, amount in needs(kind).items()
        if spot.has(resource) < amount
    ]
    more = f"; {closed_sentence(could)}" if could else ""
    return f"{where}: not enough left here for sliver type {kind.name!r}: {'; '.join(short)}{more}; see ListResources"


def _no_room(node: Node, backend: str, possible: Sequence[tuple[Spot, SliverType]], room: Room) -> Reason:
    """The same for programs: per component, what it lacks; and the largest kind of machine that would have fitted."""
    wanted = node.sliver_type or (possible[0][1].name if possible else "")
    smaller = [
        kind
        for spot in room.spots(backend)
        for kind in spot.stock.offer.sliver_types
        if spot.fits(kind) and kind.name != wanted
    ]
    nearest = max(smaller, key=lambda kind: (kind.memory_mib, kind.cpus), default=None)
    lacking = [
        Reason(
            constraint=resource,
            where=f"component {spot.stock.offer.name}",
            wanted=amount,
            available=spot.has(resource),
        )
        for spot, kind in possible
        for resource, amount in needs(kind).items()
        if spot.has(resource) < amount
    ]
    return Reason(
        constraint="room",
        where=f"node {node.client_id!r} (line {node.line})",
        wanted=wanted,
        available=sum(spot.fits(kind) for spot, kind in possible),
        nearest=nearest.name if nearest else "",
        reasons=first_few(lacking),
    )


def _unit(resource: str) -> str:
    return {
        "slivers": "more slivers",
        "cpus": "thousandths of a core",
        "memory_mib": "MiB of memory",
        "disk_mib": "MiB of disk",
    }.get(resource, resource)


def closed_sentence(stocks: Sequence[Stock]) -> str:
    """Components that take nothing new, and why, as part of a sentence."""
    few = ", ".join(stock.offer.name for stock in stocks[:_NAMED])
    names = few if len(stocks) <= _NAMED else f"{few} and {len(stocks) - _NAMED} more"
    what, verb, them = ("component", "takes", "it") if len(stocks) == 1 else ("components", "take", "them")
    if any(stock.wanted is Wanted.MAINTENANCE for stock in stocks):
        why = "because of maintenance"
    else:
        why = f"since the operator is taking {them} out of service"
    return f"{what} {names} {verb} nothing new now, {why}"
