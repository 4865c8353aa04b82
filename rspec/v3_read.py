"""Read GENI version 3 requests, strictly: what is accepted makes sense, and what is refused says where and why."""

import re
from collections.abc import Iterator
from ipaddress import ip_interface

from lxml import etree

from credentials import URN, BadName
from rspec.check import check
from rspec.document import GENI3, parse, root_of
from rspec.errors import Invalid
from rspec.model import Address, Execute, Install, Interface, Link, Node, Property, Request

_MAC = re.compile(r"[0-9a-f]{2}([:-]?)[0-9a-f]{2}(\1[0-9a-f]{2}){4}")
_LONGEST_CLIENT_ID = 200


def read_request(document: str | bytes) -> Request:
    """A GENI version 3 request. Raises Malformed, WrongVersion, Invalid."""
    root = root_of(document, "request")
    nodes: list[Node] = []
    links: list[Link] = []
    extra: list[str] = []
    for element in root.iterchildren(etree.Element):
        if element.tag == _NODE:
            nodes.append(_node(element))
        elif element.tag == _LINK:
            links.append(_link(element))
        else:
            extra.append(_source(element))
    request = Request(nodes=tuple(nodes), links=tuple(links), extra=tuple(extra))
    check(request)
    return request


def read_node(source: str) -> Node:
    """A node again, from its `source`. Raises as `read_request`."""
    return _node(parse(source))


def read_link(source: str) -> Link:
    """A link again, from its `source`. Raises as `read_request`."""
    return _link(parse(source))


def _tag(name: str) -> str:
    return f"{{{GENI3}}}{name}"


_NODE, _LINK, _INTERFACE = _tag("node"), _tag("link"), _tag("interface")


def _node(element: etree._Element) -> Node:
    client_id = _client_id(element, "node")
    where = f"node {client_id!r} (line {element.sourceline})"
    sliver_types = element.findall(_tag("sliver_type"))
    if len(sliver_types) > 1:
        raise Invalid(f"{where} has {len(sliver_types)} sliver_type elements; one is expected")
    sliver_type = sliver_types[0] if sliver_types else None
    image = sliver_type.find(_tag("disk_image")) if sliver_type is not None else None
    services = element.find(_tag("services"))
    return Node(
        client_id=client_id,
        component_id=_urn(element, "component_id", where),
        component_manager_id=_urn(element, "component_manager_id", where),
        component_name=element.get("component_name"),
        exclusive=_boolean(element, "exclusive", where),
        sliver_type=None if sliver_type is None else _needed(sliver_type, "name", where),
        disk_image=None if image is None else image.get("name") or image.get("url") or None,
        hardware_types=tuple(_needed(one, "name", where) for one in element.iterchildren(_tag("hardware_type"))),
        interfaces=tuple(_interface(one) for one in element.iterchildren(_INTERFACE)),
        installs=tuple(_installs(services)),
        executes=tuple(_executes(services)),
        line=_line(element),
        source=_source(element),
    )


def _interface(element: etree._Element) -> Interface:
    client_id = _client_id(element, "interface")
    where = f"interface {client_id!r} (line {element.sourceline})"
    mac = element.get("mac_address")
    return Interface(
        client_id=client_id,
        addresses=tuple(_address(one, where) for one in element.iterchildren(_tag("ip"))),
        mac=None if not mac else _mac(mac, where),
        line=_line(element),
    )


def _link(element: etree._Element) -> Link:
    client_id = _client_id(element, "link")
    where = f"link {client_id!r} (line {element.sourceline})"
    managers = [_needed(one, "name", where) for one in element.iterchildren(_tag("component_manager"))]
    return Link(
        client_id=client_id,
        interface_refs=tuple(_needed(one, "client_id", where) for one in element.iterchildren(_tag("interface_ref"))),
        component_managers=tuple(_parsed_urn(name, "component_manager", where) for name in managers),
        link_types=tuple(_needed(one, "name", where) for one in element.iterchildren(_tag("link_type"))),
        properties=tuple(_property(one, where) for one in element.iterchildren(_tag("property"))),
        line=_line(element),
        source=_source(element),
    )


def _installs(services: etree._Element | None) -> Iterator[Install]:
    for one in () if services is None else services.iterchildren(_tag("install")):
        yield Install(url=one.get("url") or "", install_path=one.get("install_path") or "/")


def _executes(services: etree._Element | None) -> Iterator[Execute]:
    for one in () if services is None else services.iterchildren(_tag("execute")):
        yield Execute(shell=one.get("shell") or "sh", command=one.get("command") or "")


def _property(element: etree._Element, where: str) -> Property:
    capacity = _number(element, "capacity", where)
    return Property(
        source_id=_needed(element, "source_id", where),
        dest_id=_needed(element, "dest_id", where),
        capacity_kbps=None if capacity is None else int(capacity),
        latency_ms=_number(element, "latency", where),
        packet_loss=_number(element, "packet_loss", where),
    )


def _client_id(element: etree._Element, what: str) -> str:
    client_id = element.get("client_id") or ""
    if not client_id:
        raise Invalid(
            f"line {element.sourceline}: a {what} has no client_id; give it one that is unique in the request"
        )
    if len(client_id) > _LONGEST_CLIENT_ID or not client_id.isprintable():
        raise Invalid(f"line {element.sourceline}: client_id {client_id[:40]!r} is too long or has control characters")
    return client_id


def _needed(element: etree._Element, attribute: str, where: str) -> str:
    value = element.get(attribute)
    if not value:
        name = etree.QName(element).localname
        raise Invalid(f"{where}: <{name}> on line {element.sourceline} needs the attribute {attribute}")
    return value


def _urn(element: etree._Element, attribute: str, where: str) -> URN | None:
    value = (element.get(attribute) or "").strip()
    return _parsed_urn(value, attribute, where) if value else None


def _parsed_urn(value: str, what: str, where: str) -> URN:
    try:
        return URN.parse(value.strip())
    except BadName as e:
        raise Invalid(f"{where}: {what} {value!r:.100} is not a URN: {e}") from e


def _boolean(element: etree._Element, attribute: str, where: str) -> bool | None:
    value = element.get(attribute)
    if value is None or not value.strip():
        return None
    if value.strip().lower() not in ("true", "false", "1", "0"):
        raise Invalid(f"{where}: {attribute}={value!r:.40} is neither true nor false")
    return value.strip().lower() in ("true", "1")


def _number(element: etree._Element, attribute: str, where: str) -> float | None:
    value = element.get(attribute)
    if value is None or not value.strip():
        return None
    try:
        number = float(value)
    except ValueError as e:
        raise Invalid(f"{where}: {attribute}={value!r:.40} is not a number") from e
    if not 0 <= number < 1e15:
        raise Invalid(f"{where}: {attribute}={value!r:.40} is out of range")
    return number


def _mac(value: str, where: str) -> str:
    lower = value.strip().lower()
    if not _MAC.fullmatch(lower):
        raise Invalid(f"{where}: mac_address {value!r:.40} is not six pairs of hex digits")
    digits = re.sub(r"[:-]", "", lower)
    if int(digits[:2], 16) & 1:
        raise Invalid(f"{where}: mac_address {value!r:.40} is a multicast address")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def _address(element: etree._Element, where: str) -> Address:
    """An address with its mask, which the field writes as 255.255.255.0, as /24, as 24, or not at all."""
    address = _needed(element, "address", where).strip()
    mask = (element.get("netmask") or "").strip().lstrip("/")
    if "/" in address:
        written = address
    elif mask:
        written = f"{address}/{mask}"
    else:
        written = f"{address}/{64 if ':' in address else 24}"
    try:
        parsed = ip_interface(written)
    except ValueError as e:
        raise Invalid(f"{where}: address {address!r:.60} with netmask {mask!r:.40} is not an IP address: {e}") from e
    if parsed.ip.is_multicast or parsed.ip.is_loopback or parsed.ip.is_unspecified:
        raise Invalid(f"{where}: {parsed.ip} can't be the address of an interface")
    return parsed


def _line(element: etree._Element) -> int:
    line: int = element.sourceline or 0  # type: ignore[assignment]  # the stubs leave it open
    return line


def _source(element: etree._Element) -> str:
    text: str = etree.tostring(element, encoding="unicode", with_tail=False)
    return text
