"""What an RSpec says, as values: requests in, manifests and advertisements out.

GENI RSpec version 3 (https://groups.geni.net/geni/wiki/GENIExperimenter/RSpecs). What the reader does not understand is
kept in `source`, the element's own text, from which the manifest is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface

from credentials import URN

Address = IPv4Interface | IPv6Interface

# Requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A node's end of a link. `mac`: lower-case hex pairs joined by colons; None when not asked for."""

    client_id: str
    addresses: tuple[Address, ...] = ()
    mac: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """An archive to be unpacked on a node."""

    url: str
    install_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute:
    """A command to be run on a node after its first start."""

    shell: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine asked for.

    component_id, component_manager_id: where it must be, if anywhere
    exclusive:  whether it must not be shared; None when not said
    disk_image: as sent, a URN or a plain name
    line:       in the document; 0 when read from `source`
    source:     the element itself, with the namespace declarations it needs
    """

    client_id: str
    component_id: URN | None = None
    component_manager_id: URN | None = None
    component_name: str | None = None
    exclusive: bool | None = None
    sliver_type: str | None = None
    disk_image: str | None = None
    hardware_types: tuple[str, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    installs: tuple[Install, ...] = ()
    executes: tuple[Execute, ...] = ()
    line: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """What one direction of a link should be like; None where nothing is asked for."""

    source_id: str
    dest_id: str
    capacity_kbps: int | None = None
    latency_ms: float | None = None
    packet_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link or LAN asked for; `interface_refs` are client_ids of interfaces."""

    client_id: str
    interface_refs: tuple[str, ...]
    component_managers: tuple[URN, ...] = ()
    link_types: tuple[str, ...] = ()
    properties: tuple[Property, ...] = ()
    line: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """All that one request asks for. `extra`: top-level elements that mean nothing here, as XML."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...] = ()
    extra: tuple[str, ...] = ()


# Manifests, as an aggregate writes them


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginService:
    """One way to log in."""

    username: str
    hostname: str
    port: int
    authentication: str = "ssh-keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginUser:
    """A person with a login and keys, for the GENI user extension."""

    login: str
    urn: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedInterface:
    """What an interface of the request became."""

    client_id: str
    component_id: URN
    mac: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedNode:
    """What a node of the request became.

    host: name by which the machine knows itself; None to leave it out
    """

    request: Node
    sliver_id: URN
    component_id: URN
    component_manager_id: URN
    component_name: str
    sliver_type: str
    disk_image: str
    exclusive: bool = False
    host: str | None = None
    logins: Sequence[LoginService] = ()
    interfaces: Sequence[GrantedInterface] = ()
    users: Sequence[LoginUser] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedLink:
    """What a link of the request became."""

    request: Link
    sliver_id: URN
    component_manager_id: URN
    interfaces: Sequence[GrantedInterface] = ()


# Advertisements, as an aggregate writes them


@dataclass(frozen=True, slots=True, kw_only=True)
class AdImage:
    """A disk image on offer."""

    name: str
    os: str = ""
    version: str = ""
    description: str = ""
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AdSliverType:
    """A kind of sliver on offer."""

    name: str
    images: tuple[AdImage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdNode:
    """A component on offer. `location`: country, longitude, latitude."""

    component_id: URN
    component_manager_id: URN
    component_name: str
    exclusive: bool
    available: bool
    hardware_types: tuple[str, ...] = ()
    sliver_types: tuple[AdSliverType, ...] = ()
    location: tuple[str, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpAction:
    """An operational action possible in a state, and the state it leads to."""

    name: str
    next: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpWait:
    """A state that is left by itself: to `next`, when `type` ("geni_success", "geni_failure") happens."""

    type: str
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpState:
    """One operational state."""

    name: str
    description: str = ""
    actions: tuple[OpAction, ...] = ()
    waits: tuple[OpWait, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpStateMachine:
    """The operational states of some sliver types, after Provision beginning with `start`."""

    sliver_types: tuple[str, ...]
    start: str
    states: tuple[OpState, ...]


# Manifests and advertisements, as a client reads them


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestNode:
    """A node of a manifest."""

    client_id: str
    sliver_id: str | None
    component_id: str | None
    sliver_type: str | None
    logins: tuple[LoginService, ...] = ()
    interfaces: tuple[Interface, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestLink:
    """A link of a manifest."""

    client_id: str
    sliver_id: str | None
    interface_refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a client needs of a manifest."""

    nodes: tuple[ManifestNode, ...]
    links: tuple[ManifestLink, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvertisedNode:
    """What a client needs of an advertised node; identifiers as sent, since the field writes them in many ways."""

    component_id: str
    component_name: str | None
    component_manager_id: str | None
    exclusive: bool | None
    available: bool | None
    hardware_types: tuple[str, ...] = ()
    sliver_types: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """What a client needs of an advertisement."""

    nodes: tuple[AdvertisedNode, ...] = field(default=())
