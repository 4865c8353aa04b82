"""From the model to SFA version 1, as far as that goes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from credentials import URN, BadName
from rspec.extensions.nitos import GRAIN, Lease
from rspec.extensions.planetlab import InitScript, Tag
from rspec.model import Advertisement, Document, Element, Extension, Link, Node, SliverType
from rspec.sfa1.read import SLIVER

_NO_XML_NAME = set(" \t\n\r<>&\"'/=()[]{}+*,;!?@#$%^~`|\\:")


@dataclass(frozen=True, kw_only=True)
class Written:
    """The text of a document, and what of it version 1 can't say, in words."""

    text: str
    lost: tuple[str, ...]


def write(document: Document) -> Written:
    """A version 1 RSpec. Its requests name the nodes they want: a node that is bound to none is lost."""
    writer = _Writer(is_ad=isinstance(document, Advertisement))
    times = {"generated": document.generated, "expires": document.expires}
    told = {name: _time(at) for name, at in times.items() if at is not None}
    networks = "".join(writer.networks(document))
    writer.losses_of(document, "the document", Lease)
    text = f'<?xml version="1.0"?>\n<RSpec type="SFA"{_attributes(told)}>\n{networks}</RSpec>\n'
    return Written(text=text, lost=tuple(dict.fromkeys(writer.lost)))


class _Writer:
    def __init__(self, *, is_ad: bool) -> None:
        self._is_ad = is_ad
        self.lost: list[str] = []

    def networks(self, document: Document) -> Iterator[str]:
        """One for each aggregate that has a node; links and leases stand in the first."""
        groups: dict[str, list[Node]] = {}
        for node in document.nodes:
            if not node.component_id and not self._is_ad:
                self.lost.append(f"node {node.client_id!r}, which is bound to no component")
                continue
            groups.setdefault(_hrn(node.component_manager_id), []).append(node)
        if not groups:
            self.lost.extend(f"link {link.client_id or link.component_id!r}" for link in document.links)
        for number, (name, nodes) in enumerate(groups.items()):
            inside = [self._defaults(nodes), *map(self._node, nodes)]
            if number == 0:
                inside += [self._link(link) for link in document.links]
                inside += [_lease(lease) for lease in document.all(Lease)]
            yield f"  <network name={quoteattr(name)}>\n{''.join(inside)}  </network>\n"

    def losses_of(self, element: Element, where: str, *kept: type[Extension]) -> None:
        """Extensions and foreign attributes that go nowhere."""
        for extension in element.extensions:
            if not isinstance(extension, kept):
                self.lost.append(f"{_name(extension)} of {where}")
        for name, _ in element.attributes:
            self.lost.append(f"attribute {name.rpartition('}')[2]} of {where}")

    def _node(self, node: Node) -> str:
        where = f"node {node.client_id or node.component_name or node.component_id!r}"
        name = node.component_name or (node.component_id or "").rpartition("+")[2]
        own = {
            "component_manager_id": node.component_manager_id,
            "component_id": node.component_id,
            "component_name": name,
            "client_id": node.client_id or None,
            "boot_state": None if node.is_available in (None, True) else "disabled",
        }
        inside = [f"      <hostname>{escape(name)}</hostname>\n"]
        for location in node.locations:
            at = {"country": location.country, "longitude": location.longitude, "latitude": location.latitude}
            inside.append(f"      <location{_attributes(at)}/>\n")
        if node.exclusive is not None:
            inside.append(f"      <exclusive>{str(node.exclusive).upper()}</exclusive>\n")
        inside += [f"      <hardware_type name={quoteattr(one.name)}/>\n" for one in node.hardware_types]
        for interface in node.interfaces:
            ends = {
                "component_id": interface.component_id,
                "client_id": interface.client_id or None,
                "ipv4": interface.ips[0].address if interface.ips else None,
            }
            inside.append(f"      <interface{_attributes(ends)}/>\n")
            if len(interface.ips) > 1 or any(ip.netmask for ip in interface.ips):
                self.lost.append(f"netmasks and further addresses of {where}")
        inside += [self._tag(tag, where) for tag in node.all(Tag)]
        if not self._is_ad:
            inside += [self._sliver(kind, where) for kind in node.sliver_types]
        self._losses_of_node(node, where)
        return f"    <node{_attributes(own)}>\n{''.join(inside)}    </node>\n"

    def _losses_of_node(self, node: Node, where: str) -> None:
        fields = {
            "services": node.services,
            "relations": node.relations,
            "hosts": node.hosts,
            "sliver_id": node.sliver_id,
            "colocate": node.colocate,
        }
        self.lost.extend(f"{name} of {where}" for name, value in fields.items() if value)
        for kind in node.sliver_types:
            if kind.name != SLIVER:
                self.lost.append(f"sliver type {kind.name!r} of {where}")
            if kind.disk_images:
                self.lost.append(f"disk images of {where}")
        self.losses_of(node, where, Tag)

    def _sliver(self, kind: SliverType, where: str) -> str:
        inside = []
        for one in kind.extensions:
            if isinstance(one, InitScript):
                inside.append(f"        <initscript>{escape(one.name)}</initscript>\n")
            elif isinstance(one, Tag) and one.scope != "slice":
                inside.append(self._tag(one, where))
        self.losses_of(kind, where, Tag, InitScript)
        return f"      <sliver>\n{''.join(inside)}      </sliver>\n" if inside else "      <sliver/>\n"

    def _defaults(self, nodes: Iterable[Node]) -> str:
        """What holds for the whole slice stands in every sliver of the model, and here once."""
        found = {
            (one.name, one.value): one
            for node in nodes
            for kind in node.sliver_types
            for one in kind.all(Tag)
            if one.scope == "slice"
        }
        if not found or self._is_ad:
            return ""
        inside = "".join(self._tag(one, "the slice") for one in found.values())
        return f"    <sliver_defaults>\n{inside}    </sliver_defaults>\n"

    def _tag(self, tag: Tag, where: str) -> str:
        if not tag.name or _NO_XML_NAME & set(tag.name) or not (tag.name[0].isalpha() or tag.name[0] == "_"):
            self.lost.append(f"attribute {tag.name!a:.40} of {where}, whose name can't be that of an element")
            return ""
        return f"        <{tag.name}>{escape(tag.value)}</{tag.name}>\n"

    def _link(self, link: Link) -> str:
        own = {
            "component_name": link.component_name,
            "component_id": link.component_id,
            "client_id": link.client_id or None,
        }
        managers = [f"      <component_manager name={quoteattr(one.name)}/>\n" for one in link.component_managers]
        refs = [
            f"      <interface_ref{_attributes({'component_id': r.component_id, 'client_id': r.client_id or None})}/>\n"
            for r in link.interface_refs
        ]
        properties = [
            "      <property"
            + _attributes(
                {
                    "source_id": one.source_id,
                    "dest_id": one.dest_id,
                    "capacity": one.capacity,
                    "latency": one.latency,
                    "packet_loss": one.packet_loss,
                }
            )
            + "/>\n"
            for one in link.properties
        ]
        types = [f"      <link_type name={quoteattr(one.name)}/>\n" for one in link.link_types]
        where = f"link {link.client_id or link.component_id!r}"
        told = {"component hops": link.component_hops, "sliver_id": link.sliver_id, "vlantag": link.vlantag}
        self.lost.extend(f"{name} of {where}" for name, value in told.items() if value)
        self.losses_of(link, where)
        return f"    <link{_attributes(own)}>\n{''.join([*managers, *refs, *properties, *types])}    </link>\n"


def _lease(lease: Lease) -> str:
    begins_at, ends_at = lease.begins_at, lease.ends_at
    own = {
        "slice_id": lease.slice,
        "start_time": str(int(begins_at.timestamp())) if begins_at else None,
        "duration": str(round((ends_at - begins_at) / GRAIN)) if begins_at and ends_at else None,
    }
    nodes = "".join(f"      <node component_id={quoteattr(node)}/>\n" for node in lease.nodes)
    return f"    <lease{_attributes(own)}>\n{nodes}    </lease>\n"


def _hrn(manager: str | None) -> str:
    """What a network is called: its aggregate's HRN."""
    try:
        return URN.parse(manager or "").hrn
    except BadName:
        return manager or ""


def _name(extension: Extension) -> str:
    """The name of an extension's element, from its text."""
    return f"<{extension.source[1:].split(None, 1)[0].rstrip('/>').split('>')[0]}>"


def _attributes(values: Mapping[str, str | None]) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items() if value is not None)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
