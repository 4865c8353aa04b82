"""Commands about what may come in to nodes that run, and as whom these may send: `sfi rules`.

The aggregate takes a node's whole security group anew, so each change reads the manifest, and says all of it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from sfi_tool import output
from sfi_tool.identity import Session
from sfi_tool.invocation import pass_session
from sfi_tool.options import slice_argument
from sfi_tool.slices import Slice
from sfi_tool.state_text import print_states

if TYPE_CHECKING:
    from rspec import Node, SecurityGroup, SecurityRule

_COLUMNS = ("node", "number", "action", "protocol", "ports", "source", "interface")

_node_argument = click.argument("node_name", metavar="NODE")


@click.group()
def rules() -> None:
    """What may come in to nodes that run. The first rule that fits decides."""


@rules.command()
@slice_argument
@click.argument("node_names", metavar="[NODE...]", nargs=-1)
@output.json_option
@pass_session
def show(session: Session, slice_name: str, node_names: tuple[str, ...], as_json: bool) -> None:
    """List the rules of NODEs, or of all, in the order in which they are looked at."""
    it = Slice(session, slice_name)
    nodes = [_node(it, name) for name in node_names] if node_names else _nodes(it)
    if as_json:
        output.print_json({node.client_id: _struct(_group(node)) for node in nodes})
        return
    lines = [
        [node.client_id, str(number), *_words(rule)]
        for node in nodes
        for number, rule in enumerate(_group(node).rules, start=1)
    ]
    output.table(_COLUMNS, lines)
    for node in nodes:
        if (spoofing := _group(node).spoofing) is not None:
            click.echo(f"spoofing of {node.client_id}: {spoofing}")


@rules.command()
@slice_argument
@_node_argument
@click.argument("action", type=click.Choice(["allow", "deny"]))
@click.option("--protocol", type=click.Choice(["any", "tcp", "udp", "icmp"]), help="What kind. [default: any]")
@click.option("--ports", metavar="FIRST[-LAST]", help="Ports of tcp or udp. [default: all]")
@click.option("--source", metavar="PREFIX", help="Where from, such as 192.0.2.0/24. [default: anywhere]")
@click.option("--interface", metavar="NAME", help="The node's interface on a link. [default: where one logs in]")
@click.option("--at", "place", type=click.IntRange(min=1), help="Number that it gets. [default: the last]")
@output.json_option
@pass_session
def add(
    session: Session,
    slice_name: str,
    node_name: str,
    action: str,
    protocol: str | None,
    ports: str | None,
    source: str | None,
    interface: str | None,
    place: int | None,
    as_json: bool,
) -> None:
    """Let something in to NODE, or don't."""
    from rspec import SecurityRule

    it = Slice(session, slice_name)
    group = _group(_node(it, node_name))
    new = SecurityRule.of(action, protocol=protocol, ports=ports, source_prefix=source, interface=interface)
    all_rules = list(group.rules)
    all_rules.insert(len(all_rules) if place is None else place - 1, new)
    _put(it, node_name, all_rules, group.spoofing, as_json)


@rules.command()
@slice_argument
@_node_argument
@click.argument("number", type=click.IntRange(min=1))
@output.json_option
@pass_session
def remove(session: Session, slice_name: str, node_name: str, number: int, as_json: bool) -> None:
    """Take away a rule of NODE, by its number in `sfi rules show`."""
    it = Slice(session, slice_name)
    group = _group(_node(it, node_name))
    if number > len(group.rules):
        raise click.ClickException(f"{node_name} has {len(group.rules)} rules; see `sfi rules show {slice_name}`")
    kept = [rule for at, rule in enumerate(group.rules, start=1) if at != number]
    _put(it, node_name, kept, group.spoofing, as_json)


@rules.command()
@slice_argument
@_node_argument
@click.argument("spoofing", type=click.Choice(["deny", "mac", "allow"]))
@output.json_option
@pass_session
def spoofing(session: Session, slice_name: str, node_name: str, spoofing: str, as_json: bool) -> None:
    """As whom NODE may send on its links.

    deny: from its own addresses only; mac: under its own hardware address; allow: as anybody.
    """
    it = Slice(session, slice_name)
    _put(it, node_name, _group(_node(it, node_name)).rules, spoofing, as_json)


def _nodes(it: Slice) -> "tuple[Node, ...]":
    from rspec import read_manifest

    return read_manifest(it.manifest()).nodes


def _node(it: Slice, name: str) -> "Node":
    nodes = _nodes(it)
    found = next((node for node in nodes if name in (node.client_id, node.sliver_id)), None)
    if found is None:
        have = ", ".join(node.client_id for node in nodes) or "none"
        raise click.ClickException(f"{it.name} has no node {name} here; it has {have}")
    return found


def _group(node: "Node") -> "SecurityGroup":
    from rspec import SecurityGroup

    return node.first(SecurityGroup) or SecurityGroup.of([])


def _put(it: Slice, node_name: str, new: "Iterable[SecurityRule]", spoofing: str | None, as_json: bool) -> None:
    from rspec import SecurityGroup

    group = SecurityGroup.of(new, spoofing=spoofing)
    options = {"sfa_security_group": _struct(group)}
    states = it.session.am.act(it.urn, it.urns_of([node_name]), [it.credential], "sfa_update_rules", options)
    if as_json:
        output.print_json(states)
    else:
        print_states(states, it.manifest())


def _struct(group: "SecurityGroup") -> dict[str, object]:
    """As the option sfa_security_group has it; what is not said is left out."""
    structs = [
        {name: word for name, word in zip(_COLUMNS[2:], _said(rule), strict=True) if word is not None}
        for rule in group.rules
    ]
    return {"rules": structs} | ({} if group.spoofing is None else {"spoofing": group.spoofing})


def _said(rule: "SecurityRule") -> tuple[str | None, ...]:
    return rule.action, rule.protocol, rule.ports, rule.source_prefix, rule.interface


def _words(rule: "SecurityRule") -> list[str]:
    defaults = ("", "any", "all", "anywhere", "where one logs in")
    return [word or default for word, default in zip(_said(rule), defaults, strict=True)]


COMMANDS: tuple[click.Command, ...] = (rules,)
