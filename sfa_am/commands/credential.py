"""Certificates and credentials in files."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click

from credentials.explain import report
from sfa_am.commands.opened import Installation
from sfa_am.store import trust


@click.group()
def credential() -> None:
    """Certificates and credentials in files."""


@credential.command("inspect")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@click.option("--at", metavar="TIME", help="Look at them as of a time, such as 2026-01-31T12:00:00Z. Default: now.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def credential_inspect(state: Path, files: Sequence[IO[bytes]], at: str | None, as_json: bool) -> None:
    """Say what certificates and credentials say: who, what, until when, signed by whom, and the first check that fails.

    Judged by the roots that this installation trusts. FILE - is the input. Exits with 1 if any is refused, with 2 if a
    file holds none.
    """
    installation = Installation(state)
    try:
        now = datetime.now(UTC) if at is None else datetime.fromisoformat(at).astimezone(UTC)
    except ValueError as e:
        raise click.BadParameter(f"{at!a} is not a time; one is written 2026-01-31T12:00:00Z", param_hint="--at") from e
    with installation.store.reading() as tx:
        believed = trust.whole(tx)
    done = report([(file.name, file.read()) for file in files], trust=believed, now=now)
    click.echo(json.dumps(done.struct, indent=2) if as_json else done.text)
    raise SystemExit(done.status)
