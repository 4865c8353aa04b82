"""Nodes that ask for an image made from a sliver: who may have it is decided here, for each request, since what is
advertised is the same for everybody. They are placed where the image is held while there is room, and elsewhere in the
same backend, which then brings it there, when there is none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from backends.protocol import Machine
from credentials import URN
from rspec import Node, Request, write_node
from sfa_am.errors import AMError, BadArgs, NotFeasible, Unavailable
from sfa_am.slices.identity import Identity
from sfa_am.slices.placement import Plan
from sfa_am.slices.reasons import refusals_together
from sfa_am.store import own_images
from sfa_am.store.own_images import OwnImage, State


@dataclass(frozen=True, slots=True)
class Begun:
    """A request with such nodes, and what they begin from.

    preferred: the request with each of them bound to where its image is, unless it is bound already
    anywhere:  the request as it may be placed otherwise
    images:    by client_id: the node as it was asked for, and the image that it begins from
    """

    preferred: Request
    anywhere: Request
    images: Mapping[str, tuple[Node, OwnImage]]

    def placed(self, place: Callable[[Request], Plan]) -> Plan:
        """The plan, with the images and what was sent. place: raises AMError where there is no room.

        Raises what `place` raises; BadArgs: another form of machine.
        """
        try:
            plan = place(self.preferred)
        except AMError:
            if self.preferred == self.anywhere:
                raise
            plan = place(self.anywhere)
        return _with_images(plan, self.images)


def begun(tx: Connection, request: Request, actor: URN, identity: Identity) -> Begun:
    """Find the images of a request. Raises BadArgs: none such for this user; NotFeasible, Unavailable: not ready."""
    images: dict[str, tuple[Node, OwnImage]] = {}
    with refusals_together() as attempt:
        for node in request.nodes:
            if node.disk_image is not None and "//" in node.disk_image.rpartition("+")[2]:
                attempt(_find, tx, node, str(actor).lower(), identity, images)
    anywhere = [_without_image(node) if node.client_id in images else node for node in request.nodes]
    preferred = [
        replace(node, component_id=str(identity.component(images[node.client_id][1].offer)))
        if node.client_id in images and node.component_id is None
        else node
        for node in anywhere
    ]
    return Begun(
        preferred=replace(request, nodes=tuple(preferred)),
        anywhere=replace(request, nodes=tuple(anywhere)),
        images=images,
    )


def _with_images(plan: Plan, images: Mapping[str, tuple[Node, OwnImage]]) -> Plan:
    slivers = []
    for placed in plan.slivers:
        if placed.client_id in images and isinstance(placed.shape, Machine):
            node, image = images[placed.client_id]
            if placed.shape.form is not image.form:
                raise BadArgs(
                    f"{_where(node)}: disk image {image.name!r} is not for sliver type {placed.shape.sliver_type!r}; "
                    "ask for a type such as that of the node it was made from"
                )
            if placed.backend != image.backend:
                raise NotFeasible(
                    f"{_where(node)}: there is room for it, but none where disk image {image.name!r} can be brought; "
                    "try again later"
                )
            shape = replace(placed.shape, image=image.name)
            placed = replace(placed, shape=shape, source=write_node(node))
        slivers.append(placed)
    return replace(plan, slivers=tuple(slivers))


def _find(tx: Connection, node: Node, actor: str, identity: Identity, images: dict[str, tuple[Node, OwnImage]]) -> None:
    wanted = node.disk_image or ""
    name = wanted.rpartition("+")[2]
    image = own_images.by_name(tx, name) if wanted in (name, str(identity.image(name))) else None
    if image is None or not image.may_be_used_by(actor):
        raise BadArgs(f"{_where(node)}: there is no disk image {wanted!a:.200} here that you may use; see ListImages")
    if image.state is State.FAILED:
        raise NotFeasible(f"{_where(node)}: disk image {name!r} could not be made: {image.fault}; make it anew")
    if image.state is State.MAKING:
        raise Unavailable(f"{_where(node)}: disk image {name!r} is still being made; ListImages says when it is ready")
    images[node.client_id] = (node, image)


def _without_image(node: Node) -> Node:
    """What is offered to everybody is looked for by placement, and this is not among it."""
    return replace(node, sliver_types=tuple(replace(kind, disk_images=()) for kind in node.sliver_types))


def _where(node: Node) -> str:
    return f"node {node.client_id!r} (line {node.line})"
