"""Write GENI version 3 manifests and advertisements.

A manifest is the request's own elements with what was granted filled in, so that everything we don't understand is
still there. Advertisements come from text templates: they may have many thousand nodes.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from credentials import URN
from rspec.document import GENI3, OPSTATE, USER, XSI, parse
from rspec.model import (
    Address,
    AdNode,
    GrantedInterface,
    GrantedLink,
    GrantedNode,
    OpAction,
    OpState,
    OpStateMachine,
)

# Manifests


def write_manifest(
    nodes: Sequence[GrantedNode],
    links: Sequence[GrantedLink],
    *,
    generated: datetime,
    expires: datetime | None,
    extra: Sequence[str] = (),
) -> str:
    """A manifest. `expires`: when the first sliver in it does; `extra`: top-level elements of the request."""
    root = etree.Element(_tag("rspec"), nsmap={None: GENI3, "xsi": XSI, "user": USER})  # type: ignore[dict-item]
    root.set(f"{{{XSI}}}schemaLocation", f"{GENI3} {GENI3}/manifest.xsd {USER} {USER}/manifest.xsd")
    root.set("type", "manifest")
    root.set("generated", _time(generated))
    if expires is not None:
        root.set("expires", _time(expires))
    root.extend(_manifest_node(node) for node in nodes)
    root.extend(_manifest_link(link) for link in links)
    root.extend(parse(element) for element in extra)
    etree.cleanup_namespaces(root, keep_ns_prefixes=["xsi", "user"])
    text: str = etree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _manifest_node(node: GrantedNode) -> etree._Element:
    element = parse(node.request.source)
    element.tail = None
    element.set("component_id", str(node.component_id))
    element.set("component_manager_id", str(node.component_manager_id))
    element.set("component_name", node.component_name)
    element.set("sliver_id", str(node.sliver_id))
    element.set("exclusive", _boolean(node.exclusive))
    sliver_type = _child(element, "sliver_type")
    sliver_type.set("name", node.sliver_type)
    image = _child(sliver_type, "disk_image")
    image.set("name", node.disk_image)
    if image.get("url") is not None:
        del image.attrib["url"]  # the schema has no such attribute
    granted = {interface.client_id: interface for interface in node.interfaces}
    for interface in element.findall(_tag("interface")):
        if (given := granted.get(interface.get("client_id", ""))) is not None:
            _fill_interface(interface, node.sliver_id, given)
    _fill_services(element, node)
    for host in element.findall(_tag("host")):
        element.remove(host)
    if node.host is not None:
        etree.SubElement(element, _tag("host"), name=node.host)
    return element


def _fill_interface(element: etree._Element, sliver_id: URN, given: GrantedInterface) -> None:
    element.set("component_id", str(given.component_id))
    element.set("sliver_id", str(sliver_id))
    element.set("mac_address", given.mac)
    for ip in element.findall(_tag("ip")):
        element.remove(ip)
    for address in given.addresses:
        etree.SubElement(element, _tag("ip"), _ip(address))


def _ip(address: Address) -> dict[str, str]:
    mask = str(address.netmask) if address.version == 4 else str(address.network.prefixlen)
    return {"address": str(address.ip), "netmask": mask, "type": f"ipv{address.version}"}


def _fill_services(element: etree._Element, node: GrantedNode) -> None:
    services = element.find(_tag("services"))
    if services is not None:
        for old in [*services.findall(_tag("login")), *services.findall(f"{{{USER}}}services_user")]:
            services.remove(old)
    if not node.logins and not node.users:
        return
    services = _child(element, "services")
    for login in node.logins:
        attributes = {
            "authentication": login.authentication,
            "hostname": login.hostname,
            "port": str(login.port),
            "username": login.username,
        }
        etree.SubElement(services, _tag("login"), attributes)
    for user in node.users:
        one = etree.SubElement(services, f"{{{USER}}}services_user", login=user.login, user_urn=user.urn)
        for key in user.keys:
            etree.SubElement(one, f"{{{USER}}}public_key").text = key


def _manifest_link(link: GrantedLink) -> etree._Element:
    element = parse(link.request.source)
    element.tail = None
    element.set("sliver_id", str(link.sliver_id))
    # The schema wants a tag of each link; there is none here that anybody could use.
    if element.get("vlantag") is None:
        element.set("vlantag", "any")
    ours = str(link.component_manager_id)
    if ours not in [one.get("name") for one in element.findall(_tag("component_manager"))]:
        element.insert(0, etree.Element(_tag("component_manager"), name=ours))
    granted = {interface.client_id: interface for interface in link.interfaces}
    for ref in element.findall(_tag("interface_ref")):
        if (given := granted.get(ref.get("client_id", ""))) is not None:
            ref.set("component_id", str(given.component_id))
    return element


def _child(element: etree._Element, name: str) -> etree._Element:
    found = element.find(_tag(name))
    return found if found is not None else etree.SubElement(element, _tag(name))


def _tag(name: str) -> str:
    return f"{{{GENI3}}}{name}"


# Advertisements


def write_advertisement(
    fragments: Iterable[str],
    *,
    aggregate: URN,
    opstates: Sequence[OpStateMachine],
    generated: datetime,
    expires: datetime,
) -> str:
    """An advertisement of nodes, each as `ad_node_fragment` makes it (which a caller may keep)."""
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<rspec xmlns="{GENI3}" xmlns:xsi="{XSI}" '
        f'xsi:schemaLocation="{GENI3} {GENI3}/ad.xsd {OPSTATE} {OPSTATE}/ad.xsd" '
        f'type="advertisement" generated="{_time(generated)}" expires="{_time(expires)}">\n'
    )
    machines = [_opstate(machine, aggregate) for machine in opstates]
    return "".join([head, *machines, *fragments, "</rspec>\n"])


def ad_node_fragment(node: AdNode) -> str:
    """The <node> element of one component."""
    parts = [
        f"<node component_id={quoteattr(str(node.component_id))}"
        f" component_manager_id={quoteattr(str(node.component_manager_id))}"
        f" component_name={quoteattr(node.component_name)} exclusive={quoteattr(_boolean(node.exclusive))}>\n"
    ]
    parts.extend(f"  <hardware_type name={quoteattr(name)}/>\n" for name in node.hardware_types)
    for kind in node.sliver_types:
        parts.append(f"  <sliver_type name={quoteattr(kind.name)}>\n")
        for image in kind.images:
            known = {"os": image.os, "version": image.version, "description": image.description}
            told = "".join(f" {name}={quoteattr(value)}" for name, value in known.items() if value)
            default = ' default="true"' if image.default else ""
            parts.append(f"    <disk_image name={quoteattr(image.name)}{told}{default}/>\n")
        parts.append("  </sliver_type>\n")
    parts.append(f'  <available now="{_boolean(node.available)}"/>\n')
    if node.location is not None:
        country, longitude, latitude = node.location
        parts.append(f'  <location country={quoteattr(country)} longitude="{longitude}" latitude="{latitude}"/>\n')
    parts.append("</node>\n")
    return "".join(parts)


def _opstate(machine: OpStateMachine, aggregate: URN) -> str:
    types = "".join(f"  <sliver_type name={quoteattr(name)}/>\n" for name in machine.sliver_types)
    states = "".join(_state(state) for state in machine.states)
    return (
        f'<rspec_opstate xmlns="{OPSTATE}" aggregate_manager_id={quoteattr(str(aggregate))}'
        f" start={quoteattr(machine.start)}>\n{types}{states}</rspec_opstate>\n"
    )


def _state(state: OpState) -> str:
    actions = "".join(_action(action) for action in state.actions)
    waits = "".join(f"    <wait type={quoteattr(w.type)} next={quoteattr(w.next)}/>\n" for w in state.waits)
    description = f"    <description>{escape(state.description)}</description>\n" if state.description else ""
    return f"  <state name={quoteattr(state.name)}>\n{actions}{waits}{description}  </state>\n"


def _action(action: OpAction) -> str:
    described = f"<description>{escape(action.description)}</description>" if action.description else ""
    return f"    <action name={quoteattr(action.name)} next={quoteattr(action.next)}>{described}</action>\n"


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
