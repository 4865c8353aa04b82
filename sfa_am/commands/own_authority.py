"""The authority of this installation."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from sfa_am.authority import Authority, roles
from sfa_am.authority.revocation import Revocations
from sfa_am.commands.opened import Installation
from sfa_am.store import authorities


@click.group()
def authority() -> None:
    """The authority of this installation."""


@authority.command("list")
@click.pass_obj
def authority_list(state: Path) -> None:
    """The authorities kept here, with those who decide over them."""
    installation = Installation(state)
    with installation.store.reading() as tx:
        rows = [(row, roles.of_authority(tx, row.urn)) for row in authorities.everything(tx)]
    table = Table("HRN", "decided over by", "description", "until")
    for row, people in rows:
        deciding = ", ".join(urn.hrn for urn, role in people.items() if role in roles.DECIDES)
        until = f"{row.expires_at:%Y-%m-%d}" if row.expires_at else ""
        table.add_row(row.urn.hrn, deciding, row.description, until)
    Console().print(table)


@authority.command("show")
@click.pass_obj
def authority_show(state: Path) -> None:
    """Name, certificate and fingerprint: what another installation needs to trust this one."""
    Installation(state)
    own = Authority.load(state / "authority")
    gid = own.issuer.gid
    click.echo(f"URN:          {own.urn}")
    click.echo(f"HRN:          {own.urn.hrn}")
    click.echo(f"fingerprint:  {gid.fingerprint}")
    click.echo(f"valid until:  {gid.not_after:%Y-%m-%d}")
    click.echo(gid.pem, nl=False)


@authority.command("crl")
@click.pass_obj
def authority_crl(state: Path) -> None:
    """Print the list of certificates that were revoked here, signed: for those who can't fetch it."""
    installation = Installation(state)
    revocations = Revocations(installation.store, Authority.load(state / "authority"))
    click.echo(revocations.current(datetime.now(UTC)), nl=False)
