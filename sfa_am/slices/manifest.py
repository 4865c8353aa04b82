"""From sliver rows to a manifest RSpec: what was asked for, with what was granted filled in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from backends.protocol import Machine, Port, Segment
from rspec import (
    ComponentManager,
    DiskImage,
    Extension,
    Host,
    Interface,
    Ip,
    Lan,
    Link,
    Login,
    Manifest,
    Node,
    Publish,
    Services,
    ServicesUser,
    SliverType,
    read_link,
    read_node,
    write,
)
from sfa_am.slices.identity import Identity
from sfa_am.store.slivers import SliverRow

_NO_TAG = "any"
"""The schema wants a tag of each link; there is none here that anybody could use."""


def manifest_of(rows: Sequence[SliverRow], identity: Identity, *, now: datetime, extensions: Sequence[str] = ()) -> str:
    """The manifest of these slivers; valid without any. `extensions`: of the slice, as XML."""
    nodes = [_node(row, identity) for row in rows if row.kind == "node"]
    component_ids = {one.client_id: one.component_id for node in nodes for one in node.interfaces}
    links = [_link(row, component_ids, identity) for row in rows if row.kind == "link"]
    return write(
        Manifest(
            nodes=tuple(nodes),
            links=tuple(links),
            extensions=tuple(Extension(source=source) for source in extensions),
            generated=now,
            expires=min((row.expires_at for row in rows), default=None),
        )
    )


def _node(row: SliverRow, identity: Identity) -> Node:
    asked, machine = read_node(row.source), _machine(row)
    ports = {port.name: port for port in machine.ports}
    return replace(
        asked,
        sliver_id=str(identity.sliver(row.id)),
        component_id=str(identity.component(row.offer)),
        component_manager_id=str(identity.manager),
        component_name=row.offer,
        exclusive=False,
        sliver_types=(_sliver_type(asked, machine, identity),),
        hosts=(Host(name=machine.hostname),),
        interfaces=tuple(
            _interface(one, ports.get(f"eth{number}"), row, identity)
            for number, one in enumerate(asked.interfaces, start=1)
        ),
        services=_services(asked, row),
        extensions=tuple(_reached(one, row) if isinstance(one, Publish) else one for one in asked.extensions),
    )


def _reached(asked: Publish, row: SliverRow) -> Publish:
    """A published port, with where it is reached as soon as that is known."""
    protocol, port = asked.protocol or "tcp", asked.port or 0
    for one in row.published:
        if (one.traffic.value, one.port) == (protocol, port):
            return Publish.of(port, protocol=protocol, hostname=one.hostname, public_port=one.public_port)
    return Publish.of(port, protocol=protocol)


def _sliver_type(asked: Node, machine: Machine, identity: Identity) -> SliverType:
    kinds = asked.sliver_types or (SliverType(name=machine.sliver_type),)
    images = kinds[0].disk_images or (DiskImage(),)
    image = replace(images[0], name=str(identity.image(machine.image)), url=None)
    return replace(kinds[0], name=machine.sliver_type, disk_images=(image,))


def _interface(asked: Interface, port: Port | None, row: SliverRow, identity: Identity) -> Interface:
    """The n-th of the request is `eth<n>` of the machine, if it is on a link."""
    if port is None:
        return asked
    return replace(
        asked,
        component_id=str(identity.interface(row.offer, port.name)),
        sliver_id=str(identity.sliver(row.id)),
        mac_address=port.mac,
        ips=tuple(
            Ip(
                address=str(address.ip),
                netmask=str(address.netmask) if address.version == 4 else str(address.network.prefixlen),
                type=f"ipv{address.version}",
            )
            for address in port.addresses
        ),
    )


def _services(asked: Node, row: SliverRow) -> tuple[Services, ...]:
    """Those of the request, with the logins and accounts there are now instead of any that it named."""
    logins = tuple(
        Login(authentication="ssh-keys", hostname=one.hostname, port=one.port, username=one.username)
        for one in row.logins
    )
    users = tuple(ServicesUser.of(user.login, user.urn, user.keys) for user in row.users)
    if not (asked.services or logins or users):
        return ()
    first, *others = asked.services or (Services(),)
    kept = [tuple(e for e in one.extensions if not isinstance(e, ServicesUser)) for one in (first, *others)]
    return (
        replace(first, logins=logins, extensions=(*kept[0], *users)),
        *(replace(one, logins=(), extensions=extensions) for one, extensions in zip(others, kept[1:], strict=True)),
    )


def _link(row: SliverRow, component_ids: dict[str, str | None], identity: Identity) -> Link:
    asked = read_link(row.source)
    segment = row.shape
    if isinstance(segment, Segment) and segment.server is not None:
        lan = Lan.of(dhcp="true", gateway="true" if segment.gateway else None, server=str(segment.server.ip))
        asked = replace(asked, extensions=tuple(lan if isinstance(one, Lan) else one for one in asked.extensions))
    managers = asked.component_managers
    if not any(identity.is_ours(manager.name) for manager in managers):
        managers = (ComponentManager(name=str(identity.manager)), *managers)
    return replace(
        asked,
        sliver_id=str(identity.sliver(row.id)),
        vlantag=asked.vlantag or _NO_TAG,
        component_managers=managers,
        interface_refs=tuple(
            replace(ref, component_id=component_ids.get(ref.client_id) or ref.component_id)
            for ref in asked.interface_refs
        ),
    )


def _machine(row: SliverRow) -> Machine:
    if not isinstance(row.shape, Machine):
        raise TypeError(f"sliver {row.id} is a node, and its shape is no machine")
    return row.shape
