"""Commands about certificates and credentials: fetching them, and saying what is in files."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from sfi_tool import output
from sfi_tool.folder import Folder
from sfi_tool.identity import Session
from sfi_tool.invocation import Invocation, pass_invocation, pass_session
from sfi_tool.options import file_option

if TYPE_CHECKING:
    from credentials import Trust


@click.group()
def credential() -> None:
    """Certificates and credentials: yours, and those in files."""


@credential.command()
@click.argument("files", metavar="[FILE...]", nargs=-1, type=click.File("rb"))
@output.json_option
@pass_invocation
def show(invocation: Invocation, files: Sequence[IO[bytes]], as_json: bool) -> None:
    """Say what they say: who, what, until when, signed by whom, and the first check that fails.

    Without FILE: your own certificate and the credentials that were fetched. FILE - is the input. Trusted are the roots
    in your folder; without a folder signatures are looked at alone. Exits with 1 if any is refused, with 2 if a file
    holds none.
    """
    from credentials.explain import report

    folder = invocation.folder if invocation.has_folder else None
    contents = [(file.name, file.read()) for file in files]
    if not contents:
        if folder is None:
            raise click.UsageError("name a FILE, or your folder with -d DIR")
        contents = [(str(path), path.read_bytes()) for path in _own(folder)]
    done = report(contents, trust=_trust(folder) if folder else None, now=datetime.now(UTC))
    if as_json:
        output.print_json(done.struct)
    else:
        click.echo(done.text)
    raise SystemExit(done.status)


@credential.command()
@file_option("the credential")
@output.json_option
@pass_session
def own(session: Session, out: Path | None, as_json: bool) -> None:
    """Print the credential about yourself."""
    _print(session.folder.user, session.user_credential(), out, as_json)


@credential.command("slice")
@click.argument("name")
@file_option("the credential")
@output.json_option
@pass_session
def slice_credential(session: Session, name: str, out: Path | None, as_json: bool) -> None:
    """Print your credential about a slice."""
    hrn = session.folder.hrn_of(name)
    _print(hrn, session.credential(hrn, "slice"), out, as_json)


@credential.command()
@click.argument("name", required=False)
@file_option("the credential")
@output.json_option
@pass_session
def authority(session: Session, name: str | None, out: Path | None, as_json: bool) -> None:
    """Print your credential about an authority; yours if none is named."""
    hrn = name or session.folder.authority
    _print(hrn, session.credential(hrn, "authority"), out, as_json)


def _print(hrn: str, document: str, out: Path | None, as_json: bool) -> None:
    if as_json and out is None:
        output.print_json({"hrn": hrn, "credential": document})
    else:
        output.text(document, out)


def _own(folder: Folder) -> list[Path]:
    """The user's certificate, and what was fetched with it."""
    return [path for path in (folder.gid, *folder.credential_files) if path.is_file()]


def _trust(folder: Folder) -> "Trust | None":
    """The roots in the folder; None where there are none yet."""
    from credentials import GID, Root, Trust

    if not folder.roots.is_file():
        return None
    roots = [GID([one]) for one in GID.parse(folder.roots.read_bytes()).certificates]
    return Trust(Root(root, names=(root.urn.authority,)) for root in roots if root.urn is not None)
