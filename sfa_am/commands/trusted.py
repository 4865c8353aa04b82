"""Roots of other authorities that are believed here."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Column, Table

from credentials import GID, CredentialError
from sfa_am.commands.crl import crl_group
from sfa_am.commands.federation import trust_fetch
from sfa_am.commands.names import authorities
from sfa_am.commands.opened import Installation
from sfa_am.store import trust
from sfa_am.store.trust import RootRow


@click.group("trust")
def trust_group() -> None:
    """Roots of other authorities that are believed here."""


@trust_group.command("list")
@click.pass_obj
def trust_list(state: Path) -> None:
    """All trusted roots and what they may vouch for."""
    installation = Installation(state)
    with installation.store.reading() as tx:
        rows = trust.everything(tx)
    table = Table(Column("fingerprint", min_width=16), "name", "may vouch for", "SHA-1", "until", "added by")
    for row in rows:
        gid = GID.parse(row.gid)
        sha1 = "accepted" if row.legacy_sha1 else "refused"
        until = f"{gid.not_after:%Y-%m-%d}"
        table.add_row(row.fingerprint[:16], str(gid), ", ".join(row.names), sha1, until, row.added_by)
    Console().print(table)


@trust_group.command("add")
@click.argument("certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--names", help="Authorities it may vouch for, joined by commas. Default: its own name.")
@click.option("--legacy-sha1", is_flag=True, help="Accept its RSA-SHA1 signatures, which older tools make.")
@click.option("--yes", is_flag=True, help="Don't ask; the fingerprint was compared already.")
@click.pass_obj
def trust_add(state: Path, certificate: Path, names: str | None, legacy_sha1: bool, yes: bool) -> None:
    """Trust the root in CERTIFICATE (PEM or DER), after showing what it is."""
    installation = Installation(state)
    try:
        gid = GID.parse(certificate.read_bytes())
    except CredentialError as e:
        raise click.ClickException(f"{certificate}: {e}") from e
    if names is None and gid.urn is None:
        raise click.ClickException(f"{certificate} has no URN; say with --names which authorities it may vouch for")
    allowed = authorities(names) if names else (gid.urn.authority if gid.urn else "",)
    click.echo(f"name:           {gid}\nfingerprint:    {gid.fingerprint}\nvalid until:    {gid.not_after:%Y-%m-%d}")
    sha1 = "accepted" if legacy_sha1 else "refused"
    click.echo(f"may vouch for:  {', '.join(allowed)} and all below")
    click.echo(f"SHA-1:          {sha1}")
    if not yes:
        click.confirm("Is the fingerprint the one its operator told you?", abort=True)
    row = RootRow(
        fingerprint=gid.fingerprint,
        gid=gid.leaf_pem,
        names=allowed,
        legacy_sha1=legacy_sha1,
        added_at=datetime.now(UTC),
        added_by="operator",
    )
    with installation.store.transaction() as tx:
        trust.put(tx, row)
    click.echo("Trusted from now on; no restart is needed.")


@trust_group.command("remove")
@click.argument("fingerprint")
@click.pass_obj
def trust_remove(state: Path, fingerprint: str) -> None:
    """Trust a root no more; the beginning of its FINGERPRINT is enough."""
    installation = Installation(state)
    with installation.store.transaction() as tx:
        found_rows = [row for row in trust.everything(tx) if row.fingerprint.startswith(fingerprint.lower())]
        if len(found_rows) != 1:
            raise click.ClickException(f"{len(found_rows)} roots begin with {fingerprint}; see `sfa-am trust list`")
        trust.remove(tx, found_rows[0].fingerprint)
    click.echo("Removed; calls are refused from the next second on.")


trust_group.add_command(trust_fetch)
trust_group.add_command(crl_group)
