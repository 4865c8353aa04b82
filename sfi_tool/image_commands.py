"""Commands about images that you make from your nodes: `sfi image`."""

import time
from typing import Any

import click

from sfi_tool import output
from sfi_tool.identity import Session, as_struct
from sfi_tool.invocation import pass_session
from sfi_tool.options import slice_argument
from sfi_tool.slices import Slice

_COLUMNS = ("image", "state", "shared", "MiB", "made")
_LOOK_EVERY = 1.0
_NOT_IN_TIME = 4
"""Exit status, as that of `sfi wait`."""


@click.group()
def image() -> None:
    """Images made from your nodes: other nodes begin with what is on them."""


@image.command()
@slice_argument
@click.argument("node_name", metavar="NODE")
@click.argument("name", metavar="NAME")
@click.option("--shared", is_flag=True, help="Everybody may begin nodes from it.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until it is ready.")
@click.option("--timeout", type=click.FloatRange(min=0), default=600, show_default=True, help="Seconds to wait.")
@output.json_option
@pass_session
def snapshot(
    session: Session,
    slice_name: str,
    node_name: str,
    name: str,
    shared: bool,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Make an image called NAME of what is on NODE now."""
    it = Slice(session, slice_name)
    (sliver,) = it.urns_of([node_name])
    options = {"global": shared}
    urn: str = session.aggregate.call_am("CreateImage", it.urn, name, sliver, it.credentials, options)
    if not wait:
        output.done(f"{urn} is being made; `sfi image list` says when it is ready.", {"urn": urn}, as_json=as_json)
        return
    found = _until_made(session, urn, timeout)
    if found["state"] == "failed":
        raise click.ClickException(f"{urn} could not be made: {found['error']}")
    output.done(f"{urn} is ready.", found, as_json=as_json)


@image.command("list")
@click.option("--of", "user", metavar="URN", help="Of another user: those that are shared.")
@output.json_option
@pass_session
def list_(session: Session, user: str | None, as_json: bool) -> None:
    """List your images, and how far each is."""
    found = _list(session, user or "")
    if as_json:
        output.print_json(found)
        return
    lines = [
        [one["urn"], one["state"], "yes" if one["global"] else "no", str(int(one["size"]) // 2**20), one["created"]]
        for one in found
    ]
    output.table(_COLUMNS, lines)
    for one in found:
        if one["error"]:
            click.echo(f"{one['urn']}: {one['error']}")


@image.command()
@click.argument("urn", metavar="IMAGE")
@click.option("--with", "whom", type=click.Choice(["everybody", "nobody"]), default="everybody", show_default=True)
@output.json_option
@pass_session
def share(session: Session, urn: str, whom: str, as_json: bool) -> None:
    """Share an image with everybody, or with nobody any more. Nodes that began from it keep it."""
    options = {"global": whom == "everybody"}
    session.aggregate.call_am("ShareImage", urn, [as_struct(session.user_credential())], options)
    output.done(f"{urn} is shared with {whom}.", {"urn": urn, **options}, as_json=as_json)


@image.command()
@click.argument("urn", metavar="IMAGE")
@output.json_option
@pass_session
def delete(session: Session, urn: str, as_json: bool) -> None:
    """Delete an image, by its URN. Nodes that began from it keep it."""
    session.aggregate.call_am("DeleteImage", urn, [as_struct(session.user_credential())], {})
    output.done(f"{urn} is deleted.", {"urn": urn}, as_json=as_json)


def _list(session: Session, user: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = session.aggregate.call_am(
        "ListImages", user, [as_struct(session.user_credential())], {}
    )
    return found


def _until_made(session: Session, urn: str, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while True:
        found = next((one for one in _list(session, "") if one["urn"] == urn), None)
        if found is None:
            raise click.ClickException(f"{urn} is not there any more")
        if found["state"] != "making":
            return found
        if time.monotonic() >= deadline:
            click.echo(f"{urn} is not ready after {timeout:g} s; see `sfi image list`", err=True)
            raise SystemExit(_NOT_IN_TIME)
        time.sleep(_LOOK_EVERY)


COMMANDS: tuple[click.Command, ...] = (image,)
