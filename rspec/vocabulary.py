"""Which element becomes which value: the names of RSpec documents beside those of `model`.

One table serves reading and writing, GENI version 3 and ProtoGENI version 2, whose elements have the same names.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from rspec import model
from rspec.errors import Odd
from rspec.model import Element


@dataclass(frozen=True, eq=False)
class Form:
    """How one kind of element is written.

    kind:       what it becomes
    attributes: name in the document -> field, in the order in which they are written
    children:   name in the document -> (field, form)
    """

    tag: str
    kind: type[Element]
    attributes: Mapping[str, str]
    children: Mapping[str, tuple[str, "Form"]]

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The fields that must be given; all of them are text, or a truth."""
        return tuple(one.name for one in fields(self.kind) if one.default is MISSING)

    @cached_property
    def typed(self) -> tuple[tuple[str, Callable[[str], Any]], ...]:
        """The fields that are no text, with what reads them."""
        return tuple((name, _READERS[name]) for name in self.attributes.values() if name in _READERS)


def boolean(text: str) -> bool:
    """True or false in any case, or 1 or 0: the field writes "True" as well. Raises Odd."""
    word = text.strip().lower()
    if word not in ("true", "false", "1", "0"):
        raise Odd(f"{text!a:.40} is neither true nor false")
    return word in ("true", "1")


def moment(text: str) -> datetime:
    """A time as XML Schema writes it; UTC when it names no zone. Raises Odd."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as e:
        raise Odd(f"{text!a:.40} is not a time; one is written 2026-01-31T12:00:00Z") from e
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _port(text: str) -> int:
    """The number of a TCP port. Raises Odd."""
    if not text.strip().isascii() or not text.strip().isdecimal() or not 0 < int(text) < 1 << 16:
        raise Odd(f"{text!a:.40} is not the number of a port")
    return int(text)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "exclusive": boolean,
    "now": boolean,
    "user_traffic": boolean,
    "port": _port,
    "generated": moment,
    "expires": moment,
}


def _form(tag: str, kind: type[Element], attributes: str = "", **children: tuple[str, Form]) -> Form:
    """`attributes`: names in the document, with the field after a colon where that has another name."""
    pairs = (word.partition(":") for word in attributes.split())
    return Form(tag, kind, {name: field or name for name, _, field in pairs}, children)


_HOST = _form("host", model.Host, "name")
_IP = _form("ip", model.Ip, "address netmask type")
_MONITORING = _form("monitoring", model.Monitoring, "user_traffic")
_INTERFACE = _form(
    "interface",
    model.Interface,
    "client_id component_id component_name sliver_id mac_address role public_ipv4",
    ip=("ips", _IP),
    host=("hosts", _HOST),
    monitoring=("monitoring", _MONITORING),
)
_DISK_IMAGE = _form("disk_image", model.DiskImage, "name url os version description default")
_SLIVER_TYPE = _form("sliver_type", model.SliverType, "name default", disk_image=("disk_images", _DISK_IMAGE))
_HARDWARE_TYPE = _form("hardware_type", model.HardwareType, "name")
_LOCATION = _form("location", model.Location, "country longitude latitude")
_RELATION = _form("relation", model.Relation, "type client_id component_id")
_USER = _form("user", model.User, "name")
_LOGIN = _form("login", model.Login, "authentication hostname port username", user=("users", _USER))
_INSTALL = _form("install", model.Install, "url install_path file_type")
_EXECUTE = _form("execute", model.Execute, "shell command")
SERVICES = _form(
    "services",
    model.Services,
    login=("logins", _LOGIN),
    install=("installs", _INSTALL),
    execute=("executes", _EXECUTE),
)
_AVAILABLE = _form("available", model.Available, "now")
_CLOUD = _form("cloud", model.Cloud)
NODE = _form(
    "node",
    model.Node,
    "client_id component_id component_manager_id component_name exclusive colocate sliver_id",
    hardware_type=("hardware_types", _HARDWARE_TYPE),
    sliver_type=("sliver_types", _SLIVER_TYPE),
    available=("available", _AVAILABLE),
    cloud=("clouds", _CLOUD),
    relation=("relations", _RELATION),
    location=("locations", _LOCATION),
    interface=("interfaces", _INTERFACE),
    services=("services", SERVICES),
    host=("hosts", _HOST),
)
_COMPONENT_MANAGER = _form("component_manager", model.ComponentManager, "name")
_INTERFACE_REF = _form("interface_ref", model.InterfaceRef, "client_id component_id component_manager_id sliver_id")
_LINK_TYPE = _form("link_type", model.LinkType, "name class:link_class")
_PROPERTY = _form("property", model.Property, "source_id dest_id capacity latency packet_loss")
_HOP = _form(
    "component_hop",
    model.ComponentHop,
    "component_id",
    component_manager=("component_managers", _COMPONENT_MANAGER),
    interface_ref=("interface_refs", _INTERFACE_REF),
)
LINK = _form(
    "link",
    model.Link,
    "client_id component_id component_name sliver_id vlantag",
    component_manager=("component_managers", _COMPONENT_MANAGER),
    interface_ref=("interface_refs", _INTERFACE_REF),
    link_type=("link_types", _LINK_TYPE),
    property=("properties", _PROPERTY),
    component_hop=("component_hops", _HOP),
)
_EXTERNAL_REF = _form("external_ref", model.ExternalRef, "component_id component_manager_id")
_TYPE_RELATION = _form(
    "type_relation",
    model.TypeRelation,
    hardware_type=("hardware_types", _HARDWARE_TYPE),
    sliver_type=("sliver_types", _SLIVER_TYPE),
    disk_image=("disk_images", _DISK_IMAGE),
)

_DOCUMENT = "generated generated_by expires"
REQUEST = _form("rspec", model.Request, _DOCUMENT, node=("nodes", NODE), link=("links", LINK))
MANIFEST = _form("rspec", model.Manifest, _DOCUMENT, node=("nodes", NODE), link=("links", LINK))
ADVERTISEMENT = _form(
    "rspec",
    model.Advertisement,
    _DOCUMENT,
    node=("nodes", NODE),
    link=("links", LINK),
    external_ref=("external_refs", _EXTERNAL_REF),
    type_relation=("type_relations", _TYPE_RELATION),
)
DOCUMENTS: Mapping[str, Form] = {"request": REQUEST, "manifest": MANIFEST, "advertisement": ADVERTISEMENT}
