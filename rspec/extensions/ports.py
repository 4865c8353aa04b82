"""Ours: ports of a machine that are reached from outside, beside the one of logins."""

from dataclasses import dataclass
from typing import Self

from lxml import etree

from rspec.extensions.reading import empty_element, integer, local, others, source_of
from rspec.model import Extension
from rspec.namespaces import PORTS

_KNOWN = ("protocol", "port", "hostname", "public_port")


@dataclass(frozen=True, kw_only=True)
class Publish(Extension):
    """On a node: one of its ports is to be reached from outside. Values are as sent.

    protocol:    "tcp" or "udp"; None for tcp
    port:        of the machine; None for what is no number
    hostname, public_port: in manifests, where it is reached
    odd:         names of attributes and elements that are not understood
    """

    protocol: str | None = None
    port: int | None = None
    hostname: str | None = None
    public_port: int | None = None
    odd: tuple[str, ...] = ()

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <publish>."""
        return cls(
            source=source_of(element),
            protocol=element.get("protocol"),
            port=integer(element.get("port")),
            hostname=element.get("hostname"),
            public_port=integer(element.get("public_port")),
            odd=(*others(element, _KNOWN), *map(local, element.iterchildren(etree.Element))),
        )

    @classmethod
    def of(
        cls, port: int, *, protocol: str = "tcp", hostname: str | None = None, public_port: int | None = None
    ) -> Self:
        """Anew."""
        said = {"protocol": protocol, "port": port, "hostname": hostname, "public_port": public_port}
        source = empty_element(PORTS, "publish", said)
        return cls(source=source, protocol=protocol, port=port, hostname=hostname, public_port=public_port)


READERS = {f"{{{PORTS}}}publish": Publish.read}
