"""From sliver rows to a manifest RSpec: what was asked for, with what was granted filled in."""

from collections.abc import Sequence
from datetime import datetime

from backends.protocol import Machine
from rspec import GrantedInterface, GrantedLink, GrantedNode, LoginService, Node, read_link, read_node, write_manifest
from sfa_am.slices.identity import Identity
from sfa_am.store.slivers import SliverRow


def manifest_of(rows: Sequence[SliverRow], identity: Identity, *, now: datetime) -> str:
    """The manifest of these slivers; valid without any."""
    nodes = [(row, read_node(row.source)) for row in rows if row.kind == "node"]
    interface_owner = {i.client_id: row for row, node in nodes for i in node.interfaces}
    return write_manifest(
        [_granted_node(row, node, identity) for row, node in nodes],
        [_granted_link(row, interface_owner, identity) for row in rows if row.kind == "link"],
        generated=now,
        expires=min((row.expires_at for row in rows), default=None),
    )


def _granted_node(row: SliverRow, node: Node, identity: Identity) -> GrantedNode:
    machine = row.shape
    if not isinstance(machine, Machine):
        raise TypeError(f"sliver {row.id} is a node and its shape is not a machine")
    ports = {port.name: port for port in machine.ports}
    interfaces = []
    for number, interface in enumerate(node.interfaces, start=1):
        port = ports.get(f"eth{number}")
        if port is not None:
            interfaces.append(
                GrantedInterface(
                    client_id=interface.client_id,
                    sliver_id=_interface_sliver(row, port.name, identity),
                    component_id=identity.interface(row.offer, port.name),
                    mac=port.mac,
                    addresses=port.addresses,
                )
            )
    host = (machine.hostname, row.logins[0].hostname) if row.logins else None
    return GrantedNode(
        request=node,
        sliver_id=identity.sliver(row.id),
        component_id=identity.component(row.offer),
        component_manager_id=identity.manager,
        component_name=row.offer,
        sliver_type=machine.sliver_type,
        disk_image=str(identity.image(machine.image)),
        exclusive=False,
        host=host,
        logins=[LoginService(username=lg.username, hostname=lg.hostname, port=lg.port) for lg in row.logins],
        interfaces=interfaces,
        users=[(user.login, user.keys, user.urn) for user in row.users],
    )


def _granted_link(row: SliverRow, interface_owner: dict[str, SliverRow], identity: Identity) -> GrantedLink:
    link = read_link(row.source)
    return GrantedLink(
        request=link,
        sliver_id=identity.sliver(row.id),
        component_manager_id=identity.manager,
    )


def _interface_sliver(row: SliverRow, port: str, identity: Identity):  # type: ignore[no-untyped-def]
    return identity.sliver(row.id)
