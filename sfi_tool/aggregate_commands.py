"""Commands about resources, which the aggregate manager gives: GENI AM API version 3."""

import os
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from sfi_tool import output
from sfi_tool.identity import Session, Stopwatch, as_struct
from sfi_tool.servers import Refusal

pass_session = click.make_pass_decorator(Session)

RSPEC_VERSION = {"type": "GENI", "version": "3"}
_SETTLED = ("geni_ready", "geni_failed", "geni_notready")
_POLL = 0.1
_AGES = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Slice:
    """A slice by name, and what calls about it need."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name
        self.hrn = session.folder.hrn_of(name)

    @property
    def urn(self) -> str:
        """Its URN."""
        from credentials import URN, BadName

        try:
            return self.hrn if self.hrn.startswith("urn:") else str(URN.from_hrn(self.hrn, "slice"))
        except BadName as e:
            raise click.ClickException(str(e)) from e

    @property
    def credentials(self) -> list[dict[str, str]]:
        """What allows calls about it."""
        return [as_struct(self.session.credential(self.hrn, "slice"))]

    def call(self, method: str, *arguments: object, urns: Sequence[str] = ()) -> Any:
        """A call whose first argument is a list of URNs: those given, or the slice's."""
        return self.session.aggregate.call_am(method, list(urns) or [self.urn], self.credentials, *arguments)

    def describe(self) -> Any:
        """Manifest and states."""
        return self.call("Describe", {"geni_rspec_version": RSPEC_VERSION})

    def urns_of(self, nodes: Sequence[str]) -> list[str]:
        """Sliver URNs by client_id."""
        if not nodes:
            return []
        known = names_by_urn(self.describe()["geni_rspec"])
        by_name = {name: urn for urn, name in known.items()}
        if unknown := [node for node in nodes if node not in by_name]:
            have = ", ".join(sorted(by_name)) or "nothing"
            raise click.ClickException(f"{self.name} has no {', '.join(unknown)} here; it has {have}")
        return [by_name[node] for node in nodes]

    def users(self) -> list[dict[str, Any]]:
        """The members with their keys, as the aggregate wants them."""
        from credentials import URN

        record = next(r for r in self.session.resolve(self.hrn) if r["type"] == "slice")
        people = list(dict.fromkeys([*record.get("reg-researchers", []), self.session.folder.user]))
        users = []
        for hrn in people:
            found = [r for r in self.session.resolve(hrn) if r["type"] == "user"]
            keys = found[0].get("reg-keys", []) if found else []
            users.append({"urn": str(URN.from_hrn(hrn, "user")), "keys": keys})
        return users


@click.command()
@pass_session
def version(session: Session) -> None:
    """What the registry and the aggregate say of themselves."""
    rows = []
    for name, server, method in (("registry", session.registry, "call"), ("aggregate", session.aggregate, "call_am")):
        answer = getattr(server, method)("GetVersion")
        rows += [(name, key, str(answer[key])) for key in ("urn", "hrn", "geni_api", "title") if key in answer]
    output.table(("server", "field", "value"), rows)


@click.command()
@click.option("--rspec", "as_rspec", is_flag=True, help="Print the advertisement itself.")
@click.option("--available", is_flag=True, help="Only what is free.")
@pass_session
def resources(session: Session, as_rspec: bool, available: bool) -> None:
    """What the aggregate offers."""
    options = {"geni_rspec_version": RSPEC_VERSION, "geni_available": available, "geni_compressed": True}
    packed = session.aggregate.call_am("ListResources", [as_struct(session.user_credential())], options)
    advertisement = _unpacked(packed)
    if as_rspec:
        click.echo(advertisement, nl=False)
        return
    from rspec import read_advertisement

    rows = [
        (
            node.component_name or node.component_id or "",
            "yes" if node.is_available else "no",
            "\n".join(kind.name for kind in node.sliver_types),
            "\n".join(
                dict.fromkeys(
                    (image.name or image.url or "").rpartition("+")[2]
                    for kind in node.sliver_types
                    for image in kind.disk_images
                )
            ),
        )
        for node in read_advertisement(advertisement).nodes
    ]
    output.table(("component", "free", "sliver types", "disk images"), rows)


@click.command()
@click.argument("slice_name", metavar="SLICE")
@click.argument("request", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@pass_session
def allocate(session: Session, slice_name: str, request: Path) -> None:
    """Reserve what REQUEST describes, for some minutes."""
    answer = _allocate(Slice(session, slice_name), request)
    _print_states(answer["geni_slivers"], answer["geni_rspec"])
    output.hint(f"sfi provision {slice_name}")


@click.command()
@click.argument("slice_name", metavar="SLICE")
@pass_session
def provision(session: Session, slice_name: str) -> None:
    """Have what is allocated made, with accounts for the slice's members."""
    answer = _provision(Slice(session, slice_name))
    _print_states(answer["geni_slivers"], answer["geni_rspec"])
    output.hint(f"sfi status {slice_name} --wait")


@click.command()
@click.argument("slice_name", metavar="SLICE")
@click.argument("request", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--timeout", type=float, default=300, show_default=True, help="Seconds to wait until it is ready.")
@pass_session
def create(session: Session, slice_name: str, request: Path, timeout: float) -> None:
    """Allocate, provision and wait until everything is ready."""
    it = Slice(session, slice_name)
    watch = Stopwatch()
    _allocate(it, request)
    click.echo(f"allocated    {watch}")
    _provision(it)
    click.echo(f"provisioned  {watch}")
    states = _wait(it, timeout)
    click.echo(f"ready        {watch}")
    described = it.describe()
    _print_states(states, described["geni_rspec"])
    _print_logins(described["geni_rspec"], slice_name)


@click.command()
@click.argument("slice_name", metavar="SLICE")
@click.option("--wait", is_flag=True, help="Until nothing is under way any more; fails when something has failed.")
@click.option("--timeout", type=float, default=300, show_default=True, help="Seconds to wait.")
@click.option("--json", "as_json", is_flag=True)
@pass_session
def status(session: Session, slice_name: str, wait: bool, timeout: float, as_json: bool) -> None:
    """The states of a slice's slivers."""
    it = Slice(session, slice_name)
    states = _wait(it, timeout) if wait else it.call("Status", {})["geni_slivers"]
    if as_json:
        output.as_json(states)
    else:
        described = it.describe()
        _print_states(states, described["geni_rspec"])
        _print_logins(described["geni_rspec"], slice_name)


@click.command()
@click.argument("slice_name", metavar="SLICE")
@pass_session
def describe(session: Session, slice_name: str) -> None:
    """Print a slice's manifest."""
    click.echo(Slice(session, slice_name).describe()["geni_rspec"], nl=False)


@click.command()
@click.argument("slice_name", metavar="SLICE")
@click.argument("end")
@click.option("--as-long-as-possible", is_flag=True, help="Take what is possible when END is too far.")
@pass_session
def renew(session: Session, slice_name: str, end: str, as_long_as_possible: bool) -> None:
    """Move the end of a slice's slivers to END: 2026-12-31T12:00:00Z, or +7d (m, h, d, w) from now."""
    options = {"geni_extend_alap": True} if as_long_as_possible else {}
    states = Slice(session, slice_name).call("Renew", _end_time(end), options)
    _print_states(states, None)


@click.command()
@click.argument("slice_name", metavar="SLICE")
@click.argument("action_name", metavar="ACTION")
@click.argument("nodes", nargs=-1)
@pass_session
def action(session: Session, slice_name: str, action_name: str, nodes: tuple[str, ...]) -> None:
    """Do geni_start, geni_stop, geni_restart, geni_reload or geni_update_users to NODES, or to all."""
    it = Slice(session, slice_name)
    name = action_name if action_name.startswith("geni_") else f"geni_{action_name}"
    options = {"geni_users": it.users()} if name == "geni_update_users" else {}
    states = it.call("PerformOperationalAction", name, options, urns=it.urns_of(nodes))
    _print_states(states, it.describe()["geni_rspec"])


@click.command()
@click.argument("slice_name", metavar="SLICE")
@click.argument("nodes", nargs=-1)
@pass_session
def delete(session: Session, slice_name: str, nodes: tuple[str, ...]) -> None:
    """End the slivers of a slice: NODES, or all."""
    it = Slice(session, slice_name)
    states = it.call("Delete", {}, urns=it.urns_of(nodes))
    click.echo(f"Deleted {len(states)} slivers of {it.hrn}.")


@click.command()
@click.argument("slice_name", metavar="SLICE")
@click.confirmation_option(prompt="Nobody but an operator can undo this. Go on?")
@pass_session
def shutdown(session: Session, slice_name: str) -> None:
    """Stop a misbehaving slice for an operator to look at."""
    it = Slice(session, slice_name)
    session.aggregate.call_am("Shutdown", it.urn, it.credentials, {})
    click.echo(f"{it.hrn} is shut down.")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("slice_name", metavar="SLICE")
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_session
def ssh(session: Session, slice_name: str, node: str, command: tuple[str, ...]) -> None:
    """Log in to NODE of a slice, or run COMMAND there."""
    from credentials import URN
    from rspec import read_manifest

    it = Slice(session, slice_name)
    found = [n for n in read_manifest(it.describe()["geni_rspec"]).nodes if n.client_id == node]
    if not found:
        raise click.ClickException(f"{slice_name} has no node {node} here; see `sfi status {slice_name}`")
    if not found[0].logins:
        raise click.ClickException(f"{node} has no login yet; see `sfi status {slice_name} --wait`")
    mine = URN.from_hrn(session.folder.user, "user").name.lower()
    login = next((one for one in found[0].logins if one.username == mine), found[0].logins[0])
    # A node keeps its host key; a new one of the same name has another, so known hosts are kept by sliver.
    alias = (found[0].sliver_id or node).rpartition("+")[2]
    arguments = [
        "ssh",
        "-i",
        str(session.folder.key),
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        f"UserKnownHostsFile={session.folder.cached('known_hosts')}",
        "-o",
        f"HostKeyAlias={alias}",
        "-o",
        "StrictHostKeyChecking=accept-new",
        "-o",
        "LogLevel=ERROR",
        "-p",
        str(login.port or 22),
        f"{login.username}@{login.hostname}",
        *command,
    ]
    os.execvp("ssh", arguments)  # noqa: S606 - no shell is wanted


COMMANDS: tuple[click.Command, ...] = (
    version,
    resources,
    create,
    allocate,
    provision,
    status,
    describe,
    renew,
    action,
    delete,
    shutdown,
    ssh,
)


def names_by_urn(manifest: str) -> dict[str, str]:
    """client_id by sliver URN."""
    from rspec import read_manifest

    read = read_manifest(manifest)
    nodes = {node.sliver_id: node.client_id for node in read.nodes if node.sliver_id}
    return nodes | {link.sliver_id: link.client_id for link in read.links if link.sliver_id}


def _allocate(it: Slice, request: Path) -> Any:
    try:
        return it.session.aggregate.call_am("Allocate", it.urn, it.credentials, request.read_text(), {})
    except UnicodeDecodeError as e:
        raise click.ClickException(f"{request} is not UTF-8 text") from e


def _provision(it: Slice) -> Any:
    return it.call("Provision", {"geni_rspec_version": RSPEC_VERSION, "geni_users": it.users()})


def _wait(it: Slice, timeout: float) -> list[dict[str, str]]:
    deadline = time.monotonic() + timeout
    while True:
        states: list[dict[str, str]] = it.call("Status", {})["geni_slivers"]
        provisioned = [s for s in states if s["geni_allocation_status"] == "geni_provisioned"]
        if failed := [s for s in provisioned if s["geni_operational_status"] == "geni_failed"]:
            raise Refusal(0, "; ".join(f"{s['geni_sliver_urn']} failed: {s['geni_error']}" for s in failed))
        if all(s["geni_operational_status"] in _SETTLED for s in provisioned):
            return states
        if time.monotonic() > deadline:
            raise click.ClickException(f"not ready after {timeout:g} s; see `sfi status {it.name}`")
        time.sleep(_POLL)


def _print_states(states: list[dict[str, str]], manifest: str | None) -> None:
    names = names_by_urn(manifest) if manifest else {}
    rows = [
        (
            names.get(state["geni_sliver_urn"], state["geni_sliver_urn"].rpartition("+")[2]),
            state["geni_allocation_status"].removeprefix("geni_"),
            state.get("geni_operational_status", "").removeprefix("geni_"),
            state["geni_expires"],
            state.get("geni_error", ""),
        )
        for state in states
    ]
    output.table(("sliver", "allocation", "operational", "expires", "error"), rows)


def _print_logins(manifest: str, slice_name: str) -> None:
    from rspec import read_manifest

    for node in read_manifest(manifest).nodes:
        for login in node.logins[:1]:
            click.echo(f"{node.client_id}: ssh -p {login.port} {login.username}@{login.hostname}", nl=False)
            click.secho(f"   or: sfi ssh {slice_name} {node.client_id}", dim=True)


def _end_time(written: str) -> str:
    relative = re.fullmatch(r"\+(\d+(?:\.\d+)?)([mhdw])", written)
    if relative is None:
        return written
    at = datetime.now(UTC) + float(relative[1]) * _AGES[relative[2]]
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _unpacked(packed: str) -> str:
    import base64
    import zlib

    return zlib.decompress(base64.b64decode(packed)).decode()
