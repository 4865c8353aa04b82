"""The command by which a user lets a tool act for them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from sfi_tool import output
from sfi_tool.identity import Session
from sfi_tool.invocation import pass_session


@click.command("speaks-for")
@click.argument("tool", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long your word holds.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write. Default: speaks-for.NAME.xml"
)
@output.json_option
@pass_session
def speaks_for(session: Session, tool: Path, days: int, out: Path | None, as_json: bool) -> None:
    """Let a tool, whose certificate is in the file TOOL, act for you wherever you may act.

    Writes a credential that is of use to who holds the tool's key and to nobody else. Your word can't be taken back, so
    give it for no longer than you need.
    """
    from credentials import GID, CredentialError, Issuer
    from credentials.keys import read_private_key

    try:
        me = Issuer(GID.parse(session.gid.read_bytes()), read_private_key(session.folder.key.read_bytes()))
        portal = GID.parse(tool.read_bytes())
        document = me.issue_speaks_for(portal, expires_at=datetime.now(UTC) + timedelta(days=days))
    except CredentialError as e:
        raise click.ClickException(str(e)) from e
    path = out or Path(f"speaks-for.{tool.stem}.xml")
    path.write_bytes(document)
    sentence = f"{path}: {portal} may act for {me.gid} for {days} days. Give it to them."
    output.done(sentence, {"file": str(path), "tool": str(portal.urn), "user": str(me.gid.urn)}, as_json=as_json)
