"""Emulab's own, and delay nodes: https://www.protogeni.net/ProtoGeni/wiki/RSpecExtensions"""

from dataclasses import dataclass
from typing import Self

from lxml import etree

from rspec.extensions.reading import empty_element, integer, number, source_of, true
from rspec.model import Extension
from rspec.namespaces import DELAY, EMULAB


@dataclass(frozen=True, kw_only=True)
class RoutableControlIp(Extension):
    """On a node: it wants an address of its own that can be reached from outside."""

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <routable_control_ip>."""
        return cls(source=source_of(element))

    @classmethod
    def of(cls) -> Self:
        """Anew."""
        return cls(source=empty_element(EMULAB, "routable_control_ip", {}))


@dataclass(frozen=True, kw_only=True)
class Xen(Extension):
    """In a sliver type: the size of a machine. `ram` in MiB, `disk` in GB; None where nothing is asked for."""

    cores: int | None
    ram: int | None
    disk: int | None

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <xen>."""
        cores, ram, disk = (integer(element.get(name)) for name in ("cores", "ram", "disk"))
        return cls(source=source_of(element), cores=cores, ram=ram, disk=disk)

    @classmethod
    def of(cls, *, cores: int | None = None, ram: int | None = None, disk: int | None = None) -> Self:
        """Anew."""
        source = empty_element(EMULAB, "xen", {"cores": cores, "ram": ram, "disk": disk})
        return cls(source=source, cores=cores, ram=ram, disk=disk)


@dataclass(frozen=True, kw_only=True)
class Blockstore(Extension):
    """On a node: storage.

    size:        as sent, such as "60GB"
    mountpoint:  where it is to be seen; None for a bare device
    store_class: "local" or "remote"
    dataset:     name of the persistent data in it
    """

    name: str
    size: str | None
    mountpoint: str | None
    store_class: str | None
    placement: str | None
    readonly: bool
    dataset: str | None

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <blockstore>."""
        return cls(
            source=source_of(element),
            name=element.get("name") or "",
            size=element.get("size"),
            mountpoint=element.get("mountpoint"),
            store_class=element.get("class"),
            placement=element.get("placement"),
            readonly=true(element.get("readonly")),
            dataset=element.get("dataset") or element.get("persistent"),
        )


@dataclass(frozen=True, kw_only=True)
class NodeType(Extension):
    """In an advertised hardware type: how many slivers go on one such node; None for any number."""

    type_slots: int | None
    static: bool

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <node_type>; "unlimited" stands for any number."""
        return cls(
            source=source_of(element),
            type_slots=integer(element.get("type_slots")),
            static=true(element.get("static")),
        )


@dataclass(frozen=True, kw_only=True)
class LinkFlag(Extension):
    """On a link: a word on how it may be made (`interswitch`, `trivial_ok`, `vlan_tagging`, ...)."""

    name: str
    enabled: bool

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From an element of that name; without an attribute it means yes."""
        said = element.get("enabled", element.get("allow", "true"))
        return cls(source=source_of(element), name=etree.QName(element).localname, enabled=true(said))


@dataclass(frozen=True, kw_only=True)
class Pipe(Extension):
    """One direction of a delay node. Capacity in kbit/s, latency in ms, loss from 0 to 1."""

    source_ref: str
    dest_ref: str
    capacity: float | None
    latency: float | None
    packet_loss: float | None


@dataclass(frozen=True, kw_only=True)
class Shaping(Extension):
    """In a sliver type "delay": how the node shapes what passes through it."""

    pipes: tuple[Pipe, ...]

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <sliver_type_shaping>."""
        return cls(
            source=source_of(element),
            pipes=tuple(
                Pipe(
                    source=source_of(pipe),
                    source_ref=pipe.get("source") or "",
                    dest_ref=pipe.get("dest") or "",
                    capacity=number(pipe.get("capacity")),
                    latency=number(pipe.get("latency")),
                    packet_loss=number(pipe.get("packet_loss")),
                )
                for pipe in element.iterchildren(f"{{{DELAY}}}pipe")
            ),
        )


_FLAGS = ("interswitch", "trivial_ok", "vlan_tagging", "link_multiplexing", "best_effort", "force_shaping")

READERS = {
    f"{{{EMULAB}}}routable_control_ip": RoutableControlIp.read,
    f"{{{EMULAB}}}xen": Xen.read,
    f"{{{EMULAB}}}blockstore": Blockstore.read,
    f"{{{EMULAB}}}node_type": NodeType.read,
    **{f"{{{EMULAB}}}{name}": LinkFlag.read for name in _FLAGS},
    f"{{{DELAY}}}sliver_type_shaping": Shaping.read,
}
