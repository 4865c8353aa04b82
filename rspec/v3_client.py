"""Read manifests and advertisements as a client does: leniently, taking what is there and skipping what is odd.

Aggregates of the field write more than the schema knows and less than it asks; a client that refuses them is of no use.
"""

from collections.abc import Iterator
from ipaddress import ip_interface

from lxml import etree

from rspec.document import GENI3, root_of
from rspec.model import (
    Address,
    AdvertisedNode,
    Advertisement,
    Interface,
    LoginService,
    Manifest,
    ManifestLink,
    ManifestNode,
)

_SSH = 22


def read_manifest(document: str | bytes) -> Manifest:
    """What a client needs of a manifest. Raises Malformed, WrongVersion."""
    root = root_of(document, "manifest")
    nodes = tuple(
        ManifestNode(
            client_id=node.get("client_id") or "",
            sliver_id=node.get("sliver_id"),
            component_id=node.get("component_id"),
            sliver_type=_name(node.find(_tag("sliver_type"))),
            logins=tuple(_logins(node)),
            interfaces=tuple(_interface(one) for one in node.findall(_tag("interface"))),
        )
        for node in root.findall(_tag("node"))
    )
    links = tuple(
        ManifestLink(
            client_id=link.get("client_id") or "",
            sliver_id=link.get("sliver_id"),
            interface_refs=tuple(ref.get("client_id") or "" for ref in link.findall(_tag("interface_ref"))),
        )
        for link in root.findall(_tag("link"))
    )
    return Manifest(nodes=nodes, links=links)


def read_advertisement(document: str | bytes) -> Advertisement:
    """What a client needs of an advertisement. Raises Malformed, WrongVersion."""
    root = root_of(document, "advertisement")
    return Advertisement(nodes=tuple(_advertised(node) for node in root.findall(_tag("node"))))


def _advertised(node: etree._Element) -> AdvertisedNode:
    available = node.find(_tag("available"))
    kinds = node.findall(_tag("sliver_type"))
    images = [image.get("name") or image.get("url") for kind in kinds for image in kind.findall(_tag("disk_image"))]
    return AdvertisedNode(
        component_id=node.get("component_id") or "",
        component_name=node.get("component_name"),
        component_manager_id=node.get("component_manager_id"),
        exclusive=_boolean(node.get("exclusive")),
        available=None if available is None else _boolean(available.get("now")),
        hardware_types=tuple(filter(None, (_name(one) for one in node.findall(_tag("hardware_type"))))),
        sliver_types=tuple(filter(None, (_name(kind) for kind in kinds))),
        images=tuple(dict.fromkeys(image for image in images if image)),
    )


def _logins(node: etree._Element) -> Iterator[LoginService]:
    for login in node.iterfind(f"{_tag('services')}/{_tag('login')}"):
        port = login.get("port") or ""
        yield LoginService(
            username=login.get("username") or "",
            hostname=login.get("hostname") or "",
            port=int(port) if port.isdecimal() else _SSH,
            authentication=login.get("authentication") or "ssh-keys",
        )


def _interface(element: etree._Element) -> Interface:
    return Interface(
        client_id=element.get("client_id") or "",
        mac=element.get("mac_address"),
        addresses=tuple(_addresses(element)),
    )


def _addresses(element: etree._Element) -> Iterator[Address]:
    for ip in element.findall(_tag("ip")):
        address, mask = ip.get("address") or "", ip.get("netmask")
        try:
            yield ip_interface(f"{address}/{mask}" if mask else address)
        except ValueError:
            continue


def _boolean(value: str | None) -> bool | None:
    return None if value is None else value.strip().lower() in ("true", "1")


def _name(element: etree._Element | None) -> str | None:
    return None if element is None else element.get("name")


def _tag(name: str) -> str:
    return f"{{{GENI3}}}{name}"
