"""Stitching: links between aggregates, hop by hop. Version 2, and the older one that has the same elements.

https://groups.geni.net/geni/wiki/GeniNetworkStitching
"""

from dataclasses import dataclass
from typing import Self

from lxml import etree

from rspec.extensions.reading import local, source_of
from rspec.model import Extension
from rspec.namespaces import STITCH, STITCH_OLD


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchedLink:
    """The interface at which a path enters or leaves an aggregate.

    vlan_range:     tags that may be used, such as "100-200,300" or "any"
    suggested_vlan: the tag asked for, or granted
    capacity:       as sent; kbit/s unless it names a unit
    """

    id: str
    capacity: str | None
    vlan_range: str | None
    suggested_vlan: str | None
    vlan_translation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchedHop:
    """A step of a path. `next`: id of the next one; None at the end."""

    id: str
    link: StitchedLink | None
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchedPath:
    """How one link runs. `id`: the link's client_id."""

    id: str
    hops: tuple[StitchedHop, ...]


@dataclass(frozen=True, kw_only=True)
class Stitching(Extension):
    """At the top: the paths of the links that cross aggregates, or in an advertisement what could be one's ends.

    aggregates: URNs of those described in it
    """

    paths: tuple[StitchedPath, ...]
    aggregates: tuple[str, ...]

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <stitching>."""
        return cls(
            source=source_of(element),
            paths=tuple(_path(one) for one in _children(element, "path")),
            aggregates=tuple(one.get("id") or "" for one in _children(element, "aggregate")),
        )


def _path(element: etree._Element) -> StitchedPath:
    return StitchedPath(id=element.get("id") or "", hops=tuple(_hop(one) for one in _children(element, "hop")))


def _hop(element: etree._Element) -> StitchedHop:
    links, following = _children(element, "link"), _children(element, "nextHop")
    after = (following[0].text or "").strip() if following else ""
    return StitchedHop(
        id=element.get("id") or "",
        link=_hop_link(links[0]) if links else None,
        next=after if after and after.lower() != "null" else None,
    )


def _hop_link(element: etree._Element) -> StitchedLink:
    said = {local(one): (one.text or "").strip() for one in element.iter(etree.Element)}
    return StitchedLink(
        id=element.get("id") or "",
        capacity=said.get("capacity"),
        vlan_range=said.get("vlanRangeAvailability"),
        suggested_vlan=said.get("suggestedVLANRange"),
        vlan_translation=said.get("vlanTranslation", "").lower() == "true",
    )


def _children(element: etree._Element, name: str) -> list[etree._Element]:
    return [one for one in element.iterchildren(etree.Element) if local(one) == name]


READERS = {f"{{{namespace}}}stitching": Stitching.read for namespace in (STITCH, STITCH_OLD)}
