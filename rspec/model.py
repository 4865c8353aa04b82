"""What an RSpec says, as values. One vocabulary for all versions; `read` makes it, `write` prints it.

The elements and attributes are those of GENI RSpec version 3 (https://groups.geni.net/geni/wiki/GENIExperimenter/RSpecs).
Requests and manifests share theirs: a manifest is a request with what was granted filled in. Identifiers and addresses
are the strings that were sent, since the field writes them in many ways; None means that an attribute is not there.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import TypeVar

Address = IPv4Interface | IPv6Interface


@dataclass(frozen=True, kw_only=True)
class Extension:
    """An element of another namespace, kept as it came and written back so; subclasses say what they mean.

    source: the element's text, with the namespace declarations it needs
    """

    source: str


E = TypeVar("E", bound=Extension)


@dataclass(frozen=True, kw_only=True)
class Element:
    """What every element may carry beside its own.

    attributes: of other namespaces, as ("{namespace}name", value)
    extensions: elements of other namespaces, in their order
    line:       where it began in the document; 0 when it came from none; no part of its value
    """

    attributes: tuple[tuple[str, str], ...] = ()
    extensions: tuple[Extension, ...] = ()
    line: int = field(default=0, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Forget what says nothing: it is found in the class, as the default. What is left is what is written."""
        said = self.__dict__
        for name in [name for name, value in said.items() if value in ((), None, getattr(type(self), name, None))]:
            del said[name]

    def all(self, kind: type[E]) -> tuple[E, ...]:
        """Its extensions of one kind, such as `rspec.RoutableControlIp`."""
        return tuple(one for one in self.extensions if isinstance(one, kind))

    def first(self, kind: type[E]) -> E | None:
        """The first of them, if any."""
        return next(iter(self.all(kind)), None)


# What nodes are made of


@dataclass(frozen=True, kw_only=True)
class Ip(Element):
    """An address of an interface. `type`: ipv4 or ipv6."""

    address: str
    netmask: str | None = None
    type: str | None = None

    @property
    def interface(self) -> Address:
        """The address with its mask, which the field writes as 255.255.255.0, as /24, as 24, or not at all.

        Raises ValueError; not for the addresses of a request that was read, which have been tried.
        """
        address, mask = self.address.strip(), (self.netmask or "").strip().lstrip("/")
        if "/" not in address:
            address = f"{address}/{mask or (64 if ':' in address else 24)}"
        return ip_interface(address)


@dataclass(frozen=True, kw_only=True)
class Host(Element):
    """A name under which a machine, or one of its interfaces, can be reached."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Monitoring(Element):
    """Whether an advertised interface carries traffic of users that can be watched."""

    user_traffic: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Interface(Element):
    """A node's end of a link. Requests and manifests name it by `client_id`, advertisements by `component_id`.

    role: "control", "experimental" or "mixed"
    """

    client_id: str = ""
    component_id: str | None = None
    component_name: str | None = None
    sliver_id: str | None = None
    mac_address: str | None = None
    role: str | None = None
    public_ipv4: str | None = None
    ips: tuple[Ip, ...] = ()
    hosts: tuple[Host, ...] = ()
    monitoring: tuple[Monitoring, ...] = ()

    @property
    def mac(self) -> str | None:
        """Its hardware address in lower-case hex pairs joined by colons; None when it isn't said."""
        digits = re.sub(r"[^0-9a-f]", "", (self.mac_address or "").lower())
        return ":".join(digits[i : i + 2] for i in range(0, 12, 2)) if digits else None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Its addresses with their masks. Raises ValueError, as `Ip.interface`."""
        return tuple(ip.interface for ip in self.ips)


@dataclass(frozen=True, kw_only=True)
class DiskImage(Element):
    """What a machine's disk begins as. `url`: not in the schema and common in the field, instead of `name`."""

    name: str = ""
    url: str | None = None
    os: str | None = None
    version: str | None = None
    description: str | None = None
    default: str | None = None


@dataclass(frozen=True, kw_only=True)
class SliverType(Element):
    """A kind of machine."""

    name: str
    default: str | None = None
    disk_images: tuple[DiskImage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HardwareType(Element):
    """A kind of hardware."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Location(Element):
    """Where a machine stands. `country`: ISO 3166, two letters; the others are degrees."""

    country: str
    longitude: str | None = None
    latitude: str | None = None


@dataclass(frozen=True, kw_only=True)
class User(Element):
    """A name under which one can log in."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Login(Element):
    """A way to log in. `authentication`: "ssh-keys" and others."""

    authentication: str
    hostname: str | None = None
    port: int | None = None
    username: str | None = None
    users: tuple[User, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Install(Element):
    """An archive to be unpacked on a machine. `file_type`: in advertisements, such as tar.gz."""

    url: str = ""
    install_path: str | None = None
    file_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class Execute(Element):
    """A command to be run on a machine after its first start."""

    shell: str = "sh"
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Services(Element):
    """What is done to a machine, and what it offers."""

    logins: tuple[Login, ...] = ()
    installs: tuple[Install, ...] = ()
    executes: tuple[Execute, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Relation(Element):
    """How a node stands to another one; advertisements name it by `component_id`."""

    type: str
    client_id: str | None = None
    component_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Available(Element):
    """Whether an advertised node can be had now."""

    now: bool


@dataclass(frozen=True, kw_only=True)
class Cloud(Element):
    """Says that an advertised node stands for a whole network."""


@dataclass(frozen=True, kw_only=True)
class Node(Element):
    """A machine: asked for (`client_id`), granted (`sliver_id` as well), or on offer (`component_id`).

    exclusive: whether it is not, or must not be, shared
    colocate:  nodes with the same word are to be on the same host
    """

    client_id: str = ""
    component_id: str | None = None
    component_manager_id: str | None = None
    component_name: str | None = None
    exclusive: bool | None = None
    colocate: str | None = None
    sliver_id: str | None = None
    hardware_types: tuple[HardwareType, ...] = ()
    sliver_types: tuple[SliverType, ...] = ()
    available: tuple[Available, ...] = ()
    clouds: tuple[Cloud, ...] = ()
    relations: tuple[Relation, ...] = ()
    locations: tuple[Location, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    services: tuple[Services, ...] = ()
    hosts: tuple[Host, ...] = ()

    @property
    def sliver_type(self) -> str | None:
        """The name of its sliver type; of the first, where an advertised node has several."""
        return self.sliver_types[0].name if self.sliver_types else None

    @property
    def disk_image(self) -> str | None:
        """The image asked for: its name, a URN or a plain one, or else its URL."""
        images = self.sliver_types[0].disk_images if self.sliver_types else ()
        return (images[0].name or images[0].url) if images else None

    @property
    def is_available(self) -> bool | None:
        """Whether an advertised node can be had now; None when it isn't said."""
        return self.available[0].now if self.available else None

    @property
    def logins(self) -> tuple[Login, ...]:
        """All ways to log in."""
        return tuple(login for services in self.services for login in services.logins)

    @property
    def installs(self) -> tuple[Install, ...]:
        """All archives to be unpacked, in their order."""
        return tuple(install for services in self.services for install in services.installs)

    @property
    def executes(self) -> tuple[Execute, ...]:
        """All commands to be run, in their order."""
        return tuple(execute for services in self.services for execute in services.executes)


# What links are made of


@dataclass(frozen=True, kw_only=True)
class Property(Element):
    """What one direction of a link should be, or is like. Capacity in kbit/s, latency in ms, loss from 0 to 1."""

    source_id: str
    dest_id: str
    capacity: str | None = None
    latency: str | None = None
    packet_loss: str | None = None

    @property
    def capacity_kbps(self) -> int | None:
        """The capacity as a number; None when none is asked for, as by 0. Raises ValueError, as `Ip.interface`."""
        return int(float(self.capacity or 0)) or None


@dataclass(frozen=True, kw_only=True)
class LinkType(Element):
    """How a link carries its traffic, such as "lan", "vlan" or "gre-tunnel"."""

    name: str
    link_class: str | None = None


@dataclass(frozen=True, kw_only=True)
class InterfaceRef(Element):
    """An end of a link: an interface of one of the nodes."""

    client_id: str = ""
    component_id: str | None = None
    component_manager_id: str | None = None
    sliver_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ComponentManager(Element):
    """An aggregate that has a part in a link."""

    name: str


@dataclass(frozen=True, kw_only=True)
class ComponentHop(Element):
    """A part of the path that a link takes."""

    component_id: str | None = None
    component_managers: tuple[ComponentManager, ...] = ()
    interface_refs: tuple[InterfaceRef, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Link(Element):
    """A link or LAN: asked for (`client_id`), granted (`sliver_id` as well), or on offer (`component_id`).

    vlantag: of a granted link, where it has one that means something to others
    """

    client_id: str = ""
    component_id: str | None = None
    component_name: str | None = None
    sliver_id: str | None = None
    vlantag: str | None = None
    component_managers: tuple[ComponentManager, ...] = ()
    interface_refs: tuple[InterfaceRef, ...] = ()
    link_types: tuple[LinkType, ...] = ()
    properties: tuple[Property, ...] = ()
    component_hops: tuple[ComponentHop, ...] = ()

    @property
    def ends(self) -> tuple[str, ...]:
        """The interfaces it joins, as `interface_refs` name them."""
        return tuple(ref.client_id or ref.component_id or "" for ref in self.interface_refs)


# Documents


@dataclass(frozen=True, kw_only=True)
class ExternalRef(Element):
    """A component of another aggregate, which an advertised link leads to."""

    component_id: str
    component_manager_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class TypeRelation(Element):
    """Which hardware types, sliver types and images of an aggregate go together."""

    hardware_types: tuple[HardwareType, ...] = ()
    sliver_types: tuple[SliverType, ...] = ()
    disk_images: tuple[DiskImage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Document(Element):
    """What all three types of document have. Times are aware; those without a zone were taken for UTC."""

    nodes: tuple[Node, ...] = ()
    links: tuple[Link, ...] = ()
    generated: datetime | None = None
    generated_by: str | None = None
    expires: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Request(Document):
    """What somebody asks for."""


@dataclass(frozen=True, kw_only=True)
class Manifest(Document):
    """What somebody has."""


@dataclass(frozen=True, kw_only=True)
class Advertisement(Document):
    """What there is."""

    external_refs: tuple[ExternalRef, ...] = ()
    type_relations: tuple[TypeRelation, ...] = ()
