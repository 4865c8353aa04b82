"""Which of an offer's sliver types and images a node of a request could be. Pure."""

from backends.protocol import Ability, Offer, SliverType
from rspec import Node


def sliver_types(node: Node, offer: Offer, must: frozenset[Ability]) -> list[int]:
    """The sliver types by which an offer, or one like it, could make this node, by their numbers: one, or none.

    must: what the node's links need of its place
    """
    if not must.issubset(offer.abilities):
        return []
    if node.hardware_types and node.hardware_types[0].name not in offer.hardware_types:
        return []
    wanted, image = node.sliver_type, image_name(node)
    for number, kind in enumerate(offer.sliver_types):
        if wanted in (None, kind.name) and image_of(offer, kind, image):
            return [number]
    return []


def image_of(offer: Offer, kind: SliverType, wanted: str | None) -> str:
    """The image that a machine of this kind gets: the one wanted, or the first that is for such; empty without one."""
    for image in offer.images:
        if wanted in (None, image.name) and kind.form in image.forms:
            return image.name
    return ""


def image_name(node: Node) -> str | None:
    """The image's own name: requests write it alone or as a URN."""
    return node.disk_image.rsplit("+", 1)[-1] if node.disk_image else None
