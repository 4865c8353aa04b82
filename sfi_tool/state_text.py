"""Slivers as people see them: their states, and how to log in."""

from pathlib import Path

import click

from sfi_tool import output
from sfi_tool.slivers import Described, State, names_by_urn


def print_states(states: list[State], manifest: str) -> None:
    """A row for each sliver, by the name it has in the request."""
    names = names_by_urn(manifest)
    rows = [
        (
            names.get(state["geni_sliver_urn"], state["geni_sliver_urn"].rpartition("+")[2]),
            state.get("geni_allocation_status", "").removeprefix("geni_"),
            state.get("geni_operational_status", "").removeprefix("geni_"),
            state.get("geni_expires", ""),
            state.get("geni_error", ""),
        )
        for state in states
    ]
    output.table(("sliver", "allocation", "operational", "expires", "error"), rows)


def print_described(answer: Described, out: Path | None, as_json: bool) -> None:
    """Manifest and states: the manifest alone into a file, both as JSON, or the states as a table."""
    if out is not None:
        output.text(answer.manifest, out, suffix=".rspec")
    elif as_json:
        output.print_json({"slivers": answer.states, "manifest": answer.manifest})
    else:
        print_states(answer.states, answer.manifest)


def print_logins(manifest: str, slice_name: str) -> None:
    """A line for each machine that can be logged in to."""
    from rspec import RSpecError, read_manifest

    try:
        nodes = read_manifest(manifest).nodes
    except RSpecError:
        return
    for node in nodes:
        for login in node.logins[:1]:
            port = f"-p {login.port} " if login.port else ""
            click.echo(f"{node.client_id}: ssh {port}{login.username}@{login.hostname}", nl=False)
            click.secho(f"   or: sfi ssh {slice_name} {node.client_id}", dim=True)
