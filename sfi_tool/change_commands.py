"""Commands that change a slice which runs: what it should hold is described anew, as a whole."""

from pathlib import Path

import click

from sfi_tool import output, refusals
from sfi_tool.identity import Session
from sfi_tool.invocation import pass_session
from sfi_tool.options import file_option, read_request, request_argument, slice_argument
from sfi_tool.slices import Slice
from sfi_tool.state_text import print_described, print_states


@click.command()
@slice_argument
@request_argument
@file_option("the manifest")
@output.json_option
@pass_session
def modify(session: Session, slice_name: str, request: Path, out: Path | None, as_json: bool) -> None:
    """Make of a slice what REQUEST describes: the whole of it, what runs and shall stay included.

    What is new is allocated, what is left out is to go; `sfi provision` carries that out, `sfi cancel` takes it back.
    What stays must be described as before.
    """
    it = Slice(session, slice_name)
    with refusals.kept(session.folder, it.hrn):
        answer = session.am.update(it.urn, [it.credential], read_request(request), {})
    print_described(answer, out, as_json)
    output.hint(f"sfi provision {slice_name}   or: sfi cancel {slice_name}", as_json=as_json)


@click.command()
@slice_argument
@output.json_option
@pass_session
def cancel(session: Session, slice_name: str, as_json: bool) -> None:
    """Take back a modification, or an allocation, that is not provisioned yet."""
    it = Slice(session, slice_name)
    manifest = it.manifest()
    states = session.am.cancel(it.urn, [it.credential])
    if as_json:
        output.print_json(states)
    else:
        print_states(states, manifest)


COMMANDS: tuple[click.Command, ...] = (modify, cancel)
