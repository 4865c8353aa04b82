"""What of a document is drawn: machines, what joins them, and the words on them."""

import re
from dataclasses import dataclass

from rspec.extensions.jfed import Drawn
from rspec.model import Document, Interface, Link, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A node. `words`: what kind it is and where; `at`: where a tool drew it, if one did."""

    name: str
    words: tuple[str, ...]
    manager: str
    at: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """A link. `ends`: (index of the machine, its address there or ""); `words`: its kind and speed."""

    name: str
    words: tuple[str, ...]
    ends: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A document as far as it is drawn."""

    machines: tuple[Machine, ...]
    joints: tuple[Joint, ...]


def topology_of(document: Document) -> Topology:
    """What is to be drawn. Ends of links that lead to no node of the document are left out."""
    home: dict[str, tuple[int, Interface]] = {}
    for number, node in enumerate(document.nodes):
        for interface in node.interfaces:
            for name in (interface.client_id, interface.component_id):
                if name:
                    home.setdefault(name, (number, interface))
    return Topology(
        machines=tuple(_machine(node) for node in document.nodes),
        joints=tuple(_joint(link, home) for link in document.links),
    )


def _machine(node: Node) -> Machine:
    drawn = node.first(Drawn)
    image = re.split(r"[+/]", node.disk_image or "")[-1] if node.client_id else ""
    words = (node.sliver_type or (node.hardware_types[0].name if node.hardware_types else ""), image)
    return Machine(
        name=plain(node.client_id or node.component_name or (node.component_id or "").rpartition("+")[2] or "?"),
        words=tuple(plain(word) for word in words if word),
        manager=plain(_authority(node.component_manager_id or "")),
        at=(drawn.x, drawn.y) if drawn is not None and drawn.x is not None and drawn.y is not None else None,
    )


def _joint(link: Link, home: dict[str, tuple[int, Interface]]) -> Joint:
    kinds = [one.name for one in link.link_types]
    speeds = {one.capacity for one in link.properties if one.capacity}
    words = [*kinds[:1], *(_speed(speed) for speed in sorted(speeds)[:1])]
    ends = [home[end] for ref in link.interface_refs for end in (ref.client_id or ref.component_id,) if end in home]
    return Joint(
        name=plain(link.client_id or link.component_name or (link.component_id or "").rpartition("+")[2] or "?"),
        words=tuple(plain(word) for word in words if word),
        ends=tuple((number, plain(interface.ips[0].address) if interface.ips else "") for number, interface in ends),
    )


def _authority(manager: str) -> str:
    """The name of an aggregate, of its URN."""
    return manager.removeprefix("urn:publicid:IDN+").partition("+")[0]


def _speed(kbps: str) -> str:
    """A capacity in words."""
    try:
        amount = float(kbps)
    except ValueError:
        return kbps
    for unit, size in (("Gbit/s", 1e6), ("Mbit/s", 1e3)):
        if amount >= size:
            return f"{amount / size:g} {unit}"
    return f"{amount:g} kbit/s"


def plain(text: str) -> str:
    """The text without what could steer a terminal, and of bearable length."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
