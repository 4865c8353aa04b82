"""Services of the federation that the clearinghouse tells of, beside our own."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from credentials import GID, CredentialError
from sfa_am.authority.services import AGGREGATE_MANAGER, TYPES, ServiceRegistry
from sfa_am.commands.names import urn_of
from sfa_am.commands.opened import Installation
from sfa_am.store.services import ServiceRow


@click.group()
def service() -> None:
    """Services of the federation, as told to who asks the clearinghouse. Our own are told of anyway."""


@service.command("add")
@click.argument("urn")
@click.argument("url")
@click.option("--type", "kind", default=AGGREGATE_MANAGER, show_default=True, help=f"{', '.join(TYPES)}, or another.")
@click.option("--name", required=True, help="What people call it.")
@click.option("--description", default="")
@click.option("--certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Of its server.")
@click.pass_obj
def service_add(
    state: Path, urn: str, url: str, kind: str, name: str, description: str, certificate: Path | None
) -> None:
    """Tell of the service URN at URL; of another URL of the same one beside it."""
    try:
        pem = GID.parse(certificate.read_bytes()).leaf_pem if certificate else ""
    except CredentialError as e:
        raise click.ClickException(f"{certificate}: {e}") from e
    row = ServiceRow(
        urn=urn_of(urn, "authority"),
        url=url,
        type=kind,
        name=name,
        description=description,
        certificate=pem,
        created_at=datetime.now(UTC),
    )
    ServiceRegistry(Installation(state).store, ()).enter(row)
    click.echo(f"Told of from now on: {row.urn} at {row.url}.")


@service.command("list")
@click.pass_obj
def service_list(state: Path) -> None:
    """The services that were added."""
    table = Table("URN", "type", "URL", "name")
    for one in ServiceRegistry(Installation(state).store, ()).everything():
        table.add_row(str(one.urn), one.type, one.url, one.name)
    Console().print(table)


@service.command("remove")
@click.argument("urn")
@click.argument("url")
@click.pass_obj
def service_remove(state: Path, urn: str, url: str) -> None:
    """Tell of the service URN at URL no more."""
    if not ServiceRegistry(Installation(state).store, ()).forget(urn_of(urn, "authority"), url):
        raise click.ClickException(f"{urn} at {url} was not added; see `sfa-am service list`")
    click.echo("Removed.")
