"""PlanetLab's: attributes (tags) of nodes and slivers, init scripts, and firewall rules of its OpenStack testbeds."""

from dataclasses import dataclass
from typing import Self

from lxml import etree

from rspec.extensions.reading import empty_element, local, source_of
from rspec.model import Extension
from rspec.namespaces import PLANETLAB, PLOS


@dataclass(frozen=True, kw_only=True)
class Tag(Extension):
    """On a node a tag of it; in a sliver type an attribute of the sliver, or of all of the slice ("scope").

    scope: "slice", "sliver", "nodegroup", "unknown", or None
    """

    name: str
    value: str
    scope: str | None

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <attribute>, or from an element whose name is the attribute's: <fcdistro>, <pldistro>, <arch>."""
        named = local(element)
        return cls(
            source=source_of(element),
            name=element.get("name") or named if named == "attribute" else named,
            value=element.get("value") or (element.text or "").strip() or element.get("name") or "",
            scope=element.get("scope"),
        )

    @classmethod
    def of(cls, name: str, value: str, scope: str | None = None) -> Self:
        """Anew."""
        source = empty_element(PLANETLAB, "attribute", {"name": name, "value": value, "scope": scope})
        return cls(source=source, name=name, value=value, scope=scope)


@dataclass(frozen=True, kw_only=True)
class InitScript(Extension):
    """In a sliver type: the registered script that the sliver runs when it starts."""

    name: str

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <initscript>."""
        return cls(source=source_of(element), name=element.get("name") or "")

    @classmethod
    def of(cls, name: str) -> Self:
        """Anew."""
        return cls(source=empty_element(PLANETLAB, "initscript", {"name": name}), name=name)


@dataclass(frozen=True, kw_only=True)
class FirewallRule(Extension):
    """In a sliver type: what may come in. `port_range`: "first:last"; `cidr_ip`: from where."""

    protocol: str
    port_range: str | None
    cidr_ip: str | None

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <fw_rule>."""
        return cls(
            source=source_of(element),
            protocol=element.get("protocol") or "",
            port_range=element.get("port_range"),
            cidr_ip=element.get("cidr_ip"),
        )


READERS = {
    **{f"{{{PLANETLAB}}}{name}": Tag.read for name in ("attribute", "fcdistro", "pldistro", "arch")},
    f"{{{PLANETLAB}}}initscript": InitScript.read,
    f"{{{PLOS}}}fw_rule": FirewallRule.read,
}
