"""From SFA version 1 to the model.

A node's own elements (<hostname>, <location>, <exclusive>, ...) become its fields, all others are tags and become
PlanetLab attributes; so do the elements of a <sliver> and, for the whole slice, of <sliver_defaults>.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree

from credentials import URN, BadName
from rspec import model
from rspec.document import line_of
from rspec.errors import Odd
from rspec.extensions.nitos import Lease
from rspec.extensions.planetlab import InitScript, Tag
from rspec.model import Document, Extension
from rspec.vocabulary import DOCUMENTS, boolean, moment

SLIVER = "plab-vserver"
"""The one sliver type of PlanetLab, whatever its nodes run by now."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """A document, and what of it has no place in the model, in words."""

    document: Document
    lost: tuple[str, ...]


def read(root: etree._Element, kind: str) -> Read:
    """A version 1 RSpec that was taken for one of type `kind`. Nothing is refused: little is ruled out in it."""
    reader = _Reader(kind)
    networks = list(root.iterchildren("network"))
    nodes = [node for network in networks for node in reader.nodes(network)]
    links = [reader.link(link) for network in networks for link in network.iterchildren("link")]
    leases = [Lease.read(lease) for network in networks for lease in network.iterchildren("lease")]
    reader.rest(root, networks)
    values: dict[str, Any] = {name: _moment(root.get(name)) for name in ("generated", "expires")}
    document = DOCUMENTS[kind].kind(
        line=line_of(root),
        extensions=tuple(Lease.of(lease) for lease in leases),
        nodes=tuple(nodes),  # type: ignore[call-arg]  # documents have nodes and links
        links=tuple(links),
        **values,
    )
    assert isinstance(document, Document)  # noqa: S101 - for the types
    return Read(document=document, lost=tuple(dict.fromkeys(reader.lost)))


class _Reader:
    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.lost: list[str] = []

    def nodes(self, network: etree._Element) -> Iterator[model.Node]:
        """The nodes that count: all of an advertisement, elsewhere those with a sliver."""
        defaults = [
            attribute for one in network.iterchildren("sliver_defaults") for attribute in _attributes(one, "slice")
        ]
        for node in network.iterchildren("node"):
            if self._kind == "advertisement" or node.find("sliver") is not None:
                yield self._node(node, _manager(network), defaults)

    def link(self, element: etree._Element) -> model.Link:
        """A link as VINI has it."""
        name = element.get("client_id") or element.get("component_id") or element.get("component_name") or ""
        return model.Link(
            line=line_of(element),
            client_id="" if self._kind == "advertisement" else name,
            component_id=element.get("component_id"),
            component_name=element.get("component_name"),
            component_managers=tuple(
                model.ComponentManager(name=one.get("name") or "") for one in element.iterchildren("component_manager")
            ),
            interface_refs=tuple(
                model.InterfaceRef(client_id=one.get("client_id") or "", component_id=one.get("component_id"))
                for one in element.iterchildren("interface_ref")
            ),
            link_types=tuple(model.LinkType(name=one.get("name") or "") for one in element.iterchildren("link_type")),
            properties=tuple(
                model.Property(
                    source_id=one.get("source_id") or "",
                    dest_id=one.get("dest_id") or "",
                    capacity=one.get("capacity"),
                    latency=one.get("latency"),
                    packet_loss=one.get("packet_loss"),
                )
                for one in element.iterchildren("property")
            ),
        )

    def rest(self, root: etree._Element, networks: list[etree._Element]) -> None:
        """What of the whole has no place in the model."""
        if root.find("statistics") is not None:
            self.lost.append("statistics of the aggregates")
        read_here = ("node", "link", "lease", "sliver_defaults")
        for network in networks:
            self.lost.extend(
                f"<{one.tag}> of a network" for one in network.iterchildren("*") if one.tag not in read_here
            )

    def _node(self, element: etree._Element, manager: str | None, defaults: list[Extension]) -> model.Node:
        hostname = (element.findtext("hostname") or "").strip()
        name = element.get("component_name") or hostname
        boot_state = element.get("boot_state") or element.findtext("boot_state")
        is_ad = self._kind == "advertisement"
        slivers = [self._sliver(one, defaults) for one in element.iterchildren("sliver")]
        if boot_state and not is_ad:
            self.lost.append("boot_state of nodes")
        if element.get("site_id"):
            self.lost.append("site_id of nodes")
        for tag in ("granularity", "bw_limit", "services"):
            if element.find(tag) is not None:
                self.lost.append(f"<{tag}> of nodes")
        return model.Node(
            line=line_of(element),
            client_id="" if is_ad else element.get("client_id") or name,
            component_id=element.get("component_id"),
            component_manager_id=element.get("component_manager_id") or manager,
            component_name=name or None,
            exclusive=_truth(element.findtext("exclusive"), default=False if is_ad else None),
            hardware_types=tuple(
                model.HardwareType(name=one.get("name") or (one.text or "").strip())
                for one in element.iterchildren("hardware_type")
            ),
            sliver_types=(model.SliverType(name=SLIVER),) if is_ad else tuple(slivers),
            available=(model.Available(now=boot_state in (None, "boot")),) if is_ad else (),
            locations=tuple(_location(one) for one in element.iterchildren("location")),
            interfaces=tuple(self._interface(one) for one in element.iterchildren("interface")),
            extensions=tuple(
                Tag.of(str(one.tag), (one.text or "").strip())
                for one in element.iterchildren("*")
                if one.tag not in _OWN and not len(one)
            ),
        )

    def _interface(self, element: etree._Element) -> model.Interface:
        address = element.get("ipv4")
        client_id = element.get("client_id") or element.get("component_id") or ""
        return model.Interface(
            client_id="" if self._kind == "advertisement" else client_id,
            component_id=element.get("component_id"),
            ips=(model.Ip(address=address, type="ipv4"),) if address else (),
        )

    def _sliver(self, element: etree._Element, defaults: list[Extension]) -> model.SliverType:
        if element.get("name"):
            self.lost.append("name of slivers")
        return model.SliverType(name=SLIVER, extensions=(*defaults, *_attributes(element, "sliver")))


_OWN = frozenset(
    [
        "hostname",
        "location",
        "exclusive",
        "granularity",
        "interface",
        "bw_limit",
        "services",
        "sliver",
        "hardware_type",
        "boot_state",
    ]
)


def _attributes(element: etree._Element, scope: str) -> list[Extension]:
    """The elements of a sliver: each is an attribute with its name and text."""
    return [
        InitScript.of((one.text or "").strip())
        if one.tag == "initscript"
        else Tag.of(str(one.tag), (one.text or "").strip(), scope)
        for one in element.iterchildren("*")
    ]


def _location(element: etree._Element) -> model.Location:
    return model.Location(
        country=element.get("country") or "unknown",
        longitude=element.get("longitude"),
        latitude=element.get("latitude"),
    )


def _manager(network: etree._Element) -> str | None:
    """The aggregate that a network is, by its HRN."""
    try:
        return str(URN.from_hrn(network.get("name") or "", "authority+cm"))
    except BadName:
        return None


def _truth(text: str | None, *, default: bool | None) -> bool | None:
    try:
        return boolean(text) if text else default
    except Odd:
        return default


def _moment(text: str | None) -> Any:
    try:
        return moment(text) if text else None
    except Odd:
        return None
