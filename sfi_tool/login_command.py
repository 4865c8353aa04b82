"""The commands that reach a machine: logging in, and looking at its console when that fails."""

import os

import click

from sfi_tool import output
from sfi_tool.errors import printable
from sfi_tool.identity import Session
from sfi_tool.invocation import pass_session
from sfi_tool.options import slice_argument
from sfi_tool.slices import Slice


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@slice_argument
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_session
def ssh(session: Session, slice_name: str, node: str, command: tuple[str, ...]) -> None:
    """Log in to NODE of a slice, or run COMMAND there."""
    from credentials import URN
    from rspec import read_manifest

    it = Slice(session, slice_name)
    found = [n for n in read_manifest(it.manifest()).nodes if n.client_id == node]
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


@click.command()
@slice_argument
@click.argument("node")
@output.json_option
@pass_session
def console(session: Session, slice_name: str, node: str, as_json: bool) -> None:
    """Print what NODE has lately written to its console, for when one can't log in."""
    it = Slice(session, slice_name)
    states = session.am.act(it.urn, it.urns_of([node]), [it.credential], "sfa_console_log", {})
    if as_json:
        output.print_json(states)
        return
    for state in states:
        click.echo(printable(state.get("sfa_console_log", "")), nl=False)


COMMANDS: tuple[click.Command, ...] = (ssh, console)
