"""From sliver rows to a manifest RSpec: what was asked for, with what was granted filled in."""

from collections.abc import Sequence
from datetime import datetime

from backends.protocol import Machine
from rspec import (
    GrantedInterface,
    GrantedLink,
    GrantedNode,
    LoginService,
    LoginUser,
    Node,
    read_link,
    read_node,
    write_manifest,
)
from sfa_am.slices.identity import Identity
from sfa_am.store.slivers import SliverRow


def manifest_of(rows: Sequence[SliverRow], identity: Identity, *, now: datetime) -> str:
    """The manifest of these slivers; valid without any."""
    nodes = [(row, read_node(row.source)) for row in rows if row.kind == "node"]
    interfaces = {row.id: _interfaces(row, node, identity) for row, node in nodes}
    by_client_id = {interface.client_id: interface for some in interfaces.values() for interface in some}
    return write_manifest(
        [_node(row, node, interfaces[row.id], identity) for row, node in nodes],
        [_link(row, by_client_id, identity) for row in rows if row.kind == "link"],
        generated=now,
        expires=min((row.expires_at for row in rows), default=None),
    )


def _node(row: SliverRow, node: Node, interfaces: Sequence[GrantedInterface], identity: Identity) -> GrantedNode:
    machine = _machine(row)
    return GrantedNode(
        request=node,
        sliver_id=identity.sliver(row.id),
        component_id=identity.component(row.offer),
        component_manager_id=identity.manager,
        component_name=row.offer,
        sliver_type=machine.sliver_type,
        disk_image=str(identity.image(machine.image)),
        host=machine.hostname,
        logins=[LoginService(username=lg.username, hostname=lg.hostname, port=lg.port) for lg in row.logins],
        interfaces=interfaces,
        users=[LoginUser(login=user.login, urn=user.urn, keys=user.keys) for user in row.users],
    )


def _interfaces(row: SliverRow, node: Node, identity: Identity) -> list[GrantedInterface]:
    """The interfaces that are on a link; the n-th of the request is `eth<n>` of the machine."""
    ports = {port.name: port for port in _machine(row).ports}
    return [
        GrantedInterface(
            client_id=interface.client_id,
            component_id=identity.interface(row.offer, port.name),
            mac=port.mac,
            addresses=port.addresses,
        )
        for number, interface in enumerate(node.interfaces, start=1)
        if (port := ports.get(f"eth{number}")) is not None
    ]


def _link(row: SliverRow, interfaces: dict[str, GrantedInterface], identity: Identity) -> GrantedLink:
    link = read_link(row.source)
    return GrantedLink(
        request=link,
        sliver_id=identity.sliver(row.id),
        component_manager_id=identity.manager,
        interfaces=[interfaces[ref] for ref in link.interface_refs if ref in interfaces],
    )


def _machine(row: SliverRow) -> Machine:
    if not isinstance(row.shape, Machine):
        raise TypeError(f"sliver {row.id} is a node, and its shape is no machine")
    return row.shape
