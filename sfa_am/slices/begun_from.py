"""Nodes that ask for an image made from a sliver: who may have it is decided here, for each request, since what is
advertised is the same for everybody. They are placed where the image is held.
"""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from backends.protocol import Machine
from credentials import URN
from rspec import Node, Request, write_node
from sfa_am.errors import BadArgs, NotFeasible, Unavailable
from sfa_am.slices.identity import Identity
from sfa_am.slices.placement import Plan
from sfa_am.slices.reasons import refusals_together
from sfa_am.store import own_images
from sfa_am.store.own_images import OwnImage, State

Begun = Mapping[str, tuple[Node, OwnImage]]
"""By client_id: the node as it was asked for, and the image that it begins from."""


def bound(tx: Connection, request: Request, actor: URN, identity: Identity) -> tuple[Request, Begun]:
    """The request with such nodes bound to where their image is, and what they begin from.

    Raises BadArgs: no such image for this user, or another component; NotFeasible, Unavailable: it is not ready.
    """
    begun: dict[str, tuple[Node, OwnImage]] = {}
    nodes = []
    with refusals_together() as attempt:
        for node in request.nodes:
            if node.disk_image is not None and "//" in node.disk_image.rpartition("+")[2]:
                attempt(_find, tx, node, str(actor).lower(), identity, begun)
            nodes.append(_bound(node, begun[node.client_id][1], identity) if node.client_id in begun else node)
    return replace(request, nodes=tuple(nodes)), begun


def with_images(plan: Plan, begun: Begun) -> Plan:
    """The plan for a bound request, with the images and what was sent. Raises BadArgs: another form of machine."""
    if not begun:
        return plan
    slivers = []
    for placed in plan.slivers:
        if placed.client_id in begun and isinstance(placed.shape, Machine):
            node, image = begun[placed.client_id]
            if placed.shape.form is not image.form:
                raise BadArgs(
                    f"{_where(node)}: disk image {image.name!r} is not for sliver type {placed.shape.sliver_type!r}; "
                    "ask for a type such as that of the node it was made from"
                )
            shape = replace(placed.shape, image=image.name)
            placed = replace(placed, shape=shape, source=write_node(node))
        slivers.append(placed)
    return replace(plan, slivers=tuple(slivers))


def _find(tx: Connection, node: Node, actor: str, identity: Identity, begun: dict[str, tuple[Node, OwnImage]]) -> None:
    wanted = node.disk_image or ""
    name = wanted.rpartition("+")[2]
    image = own_images.by_name(tx, name) if wanted in (name, str(identity.image(name))) else None
    if image is None or not image.may_be_used_by(actor):
        raise BadArgs(f"{_where(node)}: there is no disk image {wanted!a:.200} here that you may use; see ListImages")
    if image.state is State.FAILED:
        raise NotFeasible(f"{_where(node)}: disk image {name!r} could not be made: {image.fault}; make it anew")
    if image.state is State.MAKING:
        raise Unavailable(f"{_where(node)}: disk image {name!r} is still being made; ListImages says when it is ready")
    if node.component_id is not None and identity.component_name(node.component_id) != image.offer:
        raise BadArgs(
            f"{_where(node)}: disk image {name!r} is held at {identity.component(image.offer)}; "
            "ask for that component, or leave component_id out"
        )
    begun[node.client_id] = (node, image)


def _bound(node: Node, image: OwnImage, identity: Identity) -> Node:
    kinds = tuple(replace(kind, disk_images=()) for kind in node.sliver_types)
    return replace(node, component_id=str(identity.component(image.offer)), sliver_types=kinds)


def _where(node: Node) -> str:
    return f"node {node.client_id!r} (line {node.line})"
