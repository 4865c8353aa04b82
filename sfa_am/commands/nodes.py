"""The hosts of the backends: what they are, and how one is taken out."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from sfa_am.bus import BusFolder, Enrolment
from sfa_am.commands.invitations import node_invite
from sfa_am.commands.opened import Installation
from sfa_am.orchestration import upkeep
from sfa_am.orchestration.upkeep import HostRow, Lodger
from sfa_am.slices.identity import Identity
from sfa_am.slices.replies import operational_of
from sfa_am.store import slivers
from sfa_am.store.offers import Wanted

STILL_THERE = 3
"""Exit status of draining a host that is not empty yet, so that a script can wait for it."""

_ACTOR = "operator"


@click.group()
def node() -> None:
    """The hosts of the backends: who may join, what becomes of them."""


node.add_command(node_invite)

_backend = click.option("--backend", help="Where two backends have a host of this name: which.")
_as_json = click.option("--json", "as_json", is_flag=True, help="For programs.")


@node.command("list")
@_as_json
@click.pass_obj
def node_list(state: Path, as_json: bool) -> None:
    """All hosts, with what is used of them."""
    installation = Installation(state)
    with installation.store.reading() as tx:
        numbers = slivers.counts_at_offers(tx)
        there = [(one, numbers.get((one.backend, one.name), 0)) for one in upkeep.hosts(tx)]
    if as_json:
        click.echo(json.dumps([_plain(one) | {"slivers": number} for one, number in there], indent=2))
        return
    table = Table("name", "backend", "state", "slivers", "memory (MiB)", "cpus", "last heard (UTC)")
    for one, number in there:
        memory, cpus = _used(one, "memory_mib"), _used(one, "cpus", 1000)
        table.add_row(one.name, one.backend, _state(one), str(number), memory, cpus, _heard(one))
    Console().print(table)


@node.command("show")
@click.argument("name")
@_backend
@_as_json
@click.pass_obj
def node_show(state: Path, name: str, backend: str | None, as_json: bool) -> None:
    """A host, with the slivers on it."""
    installation = Installation(state)
    with installation.store.reading() as tx:
        one = upkeep.host(tx, backend, name)
        there = upkeep.lodgers(tx, one.backend, one.name)
    identity = Identity(installation.config.aggregate.authority)
    if as_json:
        click.echo(json.dumps(_plain(one) | {"slivers": [_plain_sliver(each, identity) for each in there]}, indent=2))
        return
    click.echo(f"{one.name} of {one.backend}: {_state(one)}; last heard {_heard(one) or 'never'}")
    if one.stock is not None:
        table = Table("resource", "used", "total")
        for resource, total in one.stock.offer.capacity.items():
            table.add_row(resource, str(one.stock.used.get(resource, 0)), str(total))
        Console().print(table)
    _print_slivers(there, identity)


@node.command("drain")
@click.argument("name")
@_backend
@click.pass_obj
def node_drain(state: Path, name: str, backend: str | None) -> None:
    """Place nothing new on a host, and say what stays there.

    What is there goes on as before, until its researchers delete it or its lease ends: containers can't be moved while
    they run. May be run again to see what is left. Exit status: 0 when nothing is there, 3 while something is.
    """
    _take_out(state, name, backend, Wanted.DRAINING)


@node.command("maintain")
@click.argument("name")
@_backend
@click.pass_obj
def node_maintain(state: Path, name: str, backend: str | None) -> None:
    """As drain, for a host that is about to be worked on.

    Besides, researchers can't have anything made, started, restarted or reloaded there, and are told why. They may
    still look, renew, stop and delete. Nothing is stopped: the host may be, at any time. Exit status as with drain.
    """
    _take_out(state, name, backend, Wanted.MAINTENANCE)


@node.command("resume")
@click.argument("name")
@_backend
@click.pass_obj
def node_resume(state: Path, name: str, backend: str | None) -> None:
    """Use a host again."""
    one, _ = _wish(Installation(state), name, backend, Wanted.UP)
    click.echo(f"{one.name} is used again{'' if one.is_up else ' when it is back: it does not answer now'}.")


@node.command("remove")
@click.argument("name")
@_backend
@click.option("--force", is_flag=True, help="Although slivers are there: they end, and what is on them is lost.")
@click.pass_obj
def node_remove(state: Path, name: str, backend: str | None, force: bool) -> None:
    """Forget a host, and let it be on the bus no more.

    It comes back by a new invitation only. Slivers that --force ends are out of their slices at once. The host itself
    is not touched: what runs there is removed when it joins again.
    """
    installation = Installation(state)
    enrolment = Enrolment(installation.store, BusFolder(state, installation.config.aggregate.authority))
    with installation.store.reading() as tx:
        one = upkeep.host(tx, backend, name)
    lost = enrolment.remove(one, force=force, actor=_ACTOR, now=datetime.now(UTC))
    click.echo(f"{one.name} is removed.")
    if lost:
        click.echo("These slivers ended with it:")
        _print_slivers(lost, Identity(installation.config.aggregate.authority))


def _take_out(state: Path, name: str, backend: str | None, wanted: Wanted) -> None:
    installation = Installation(state)
    one, there = _wish(installation, name, backend, wanted)
    words = "draining" if wanted is Wanted.DRAINING else "in maintenance"
    if not there:
        click.echo(f"{one.name} is {words}, and empty.")
        return
    click.echo(f"{one.name} is {words}. These slivers stay until they are deleted or expire:")
    _print_slivers(there, Identity(installation.config.aggregate.authority))
    raise SystemExit(STILL_THERE)


def _wish(
    installation: Installation, name: str, backend: str | None, wanted: Wanted
) -> tuple[HostRow, Sequence[Lodger]]:
    with installation.store.transaction() as tx:
        one = upkeep.host(tx, backend, name)
        return one, upkeep.wish(tx, one, wanted, actor=_ACTOR, now=datetime.now(UTC))


# What is printed


def _state(one: HostRow) -> str:
    if one.stock is None:
        return "never heard"
    seen = "up" if one.is_up else "away"
    return seen if one.wanted is Wanted.UP else f"{seen}, {one.wanted.value}"


def _heard(one: HostRow) -> str:
    return f"{one.seen_at:%Y-%m-%d %H:%M:%S}" if one.seen_at else ""


def _used(one: HostRow, resource: str, unit: int = 1) -> str:
    if one.stock is None:
        return ""
    used, total = one.stock.used.get(resource, 0), one.stock.offer.capacity.get(resource, 0)
    return f"{used / unit:g}/{total / unit:g}" if unit > 1 else f"{used}/{total}"


def _print_slivers(there: Sequence[Lodger], identity: Identity) -> None:
    """Names are long, and are copied: a table would break them."""
    for lodger in there:
        row = lodger.sliver
        click.echo(
            f"{identity.sliver(row.id)} ({row.kind} {row.client_id})\n"
            f"    {lodger.slice.urn}, of {row.owner}\n"
            f"    {row.allocation}, {operational_of(row).value}, expires {row.expires_at:%Y-%m-%d %H:%M} UTC"
        )


def _plain(one: HostRow) -> dict[str, object]:
    return {
        "backend": one.backend,
        "name": one.name,
        "up": one.is_up,
        "wanted": one.wanted.value,
        "seen_at": one.seen_at.isoformat() if one.seen_at else None,
        "total": dict(one.stock.offer.capacity) if one.stock else {},
        "used": dict(one.stock.used) if one.stock else {},
    }


def _plain_sliver(lodger: Lodger, identity: Identity) -> dict[str, object]:
    row = lodger.sliver
    return {
        "urn": str(identity.sliver(row.id)),
        "kind": row.kind,
        "client_id": row.client_id,
        "slice": str(lodger.slice.urn),
        "owner": row.owner,
        "allocation": row.allocation,
        "operational": operational_of(row).value,
        "expires_at": row.expires_at.isoformat(),
    }
