"""Ours: what a link does for the machines on it, beside joining them."""

from dataclasses import dataclass
from typing import Self

from lxml import etree

from rspec.extensions.reading import empty_element, local, others, source_of
from rspec.model import Extension
from rspec.namespaces import LAN

_KNOWN = ("dhcp", "gateway", "server")


@dataclass(frozen=True, kw_only=True)
class Lan(Extension):
    """On a link: its machines ask for their addresses there, and for each other's names. Values are as sent.

    dhcp:    "true" or "false"; None for false
    gateway: whether it is their way out, too; "true" or "false", None for false
    server:  in manifests, the address where they ask
    odd:     names of attributes and elements that are not understood
    """

    dhcp: str | None = None
    gateway: str | None = None
    server: str | None = None
    odd: tuple[str, ...] = ()

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <lan>."""
        return cls(
            source=source_of(element),
            dhcp=element.get("dhcp"),
            gateway=element.get("gateway"),
            server=element.get("server"),
            odd=(*others(element, _KNOWN), *map(local, element.iterchildren(etree.Element))),
        )

    @classmethod
    def of(cls, *, dhcp: str | None = None, gateway: str | None = None, server: str | None = None) -> Self:
        """Anew."""
        source = empty_element(LAN, "lan", {"dhcp": dhcp, "gateway": gateway, "server": server})
        return cls(source=source, dhcp=dhcp, gateway=gateway, server=server)


READERS = {f"{{{LAN}}}lan": Lan.read}
