"""Commands about certificates and credentials in files."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from sfi_tool import output
from sfi_tool.folder import Folder
from sfi_tool.identity import Session

if TYPE_CHECKING:
    from credentials import Trust


@click.group()
def credential() -> None:
    """Certificates and credentials in files."""


@credential.command()
@click.argument("files", metavar="[FILE...]", nargs=-1, type=click.File("rb"))
@click.option("--json", "as_json", is_flag=True, help="Print a list for programs.")
@click.pass_obj
def show(session: Session | None, files: Sequence[IO[bytes]], as_json: bool) -> None:
    """Say what they say: who, what, until when, signed by whom, and the first check that fails.

    Without FILE: your own certificate and the credentials that were fetched. FILE - is the input. Trusted are the roots
    in your folder; without a folder signatures are looked at alone. Exits with 1 if any is refused, with 2 if a file
    holds none.
    """
    from credentials.explain import report

    contents = [(file.name, file.read()) for file in files]
    if not contents:
        if session is None:
            raise click.UsageError("name a FILE, or your folder with -d DIR")
        contents = [(str(path), path.read_bytes()) for path in _own(session.folder)]
    done = report(contents, trust=_trust(session.folder) if session else None, now=datetime.now(UTC))
    if as_json:
        output.as_json(done.struct)
    else:
        click.echo(done.text)
    raise SystemExit(done.status)


def _own(folder: Folder) -> list[Path]:
    """The user's certificate, and what was fetched with it."""
    return [path for path in (folder.gid, *sorted((folder.path / "cache").glob("*.cred"))) if path.is_file()]


def _trust(folder: Folder) -> "Trust":
    from credentials import GID, Root, Trust

    roots = [GID([one]) for one in GID.parse(folder.roots.read_bytes()).certificates]
    return Trust(Root(root, names=(root.urn.authority,)) for root in roots if root.urn is not None)
