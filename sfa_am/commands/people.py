"""Members of the authority."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from credentials import GID
from sfa_am.authority import Authority, Wanted, roles
from sfa_am.authority.books import Books
from sfa_am.authority.revocation import Revocations
from sfa_am.commands.names import urn_of
from sfa_am.commands.opened import Installation
from sfa_am.store import registry


@click.group()
def user() -> None:
    """Members of the authority."""


@user.command("list")
@click.pass_obj
def user_list(state: Path) -> None:
    """Everybody who is registered."""
    installation = Installation(state)
    with installation.store.reading() as tx:
        people = [(person, roles.in_authorities(tx, person.urn)) for person in registry.members(tx)]
    table = Table("HRN", "roles", "email", "keys", "certificate until")
    for person, held in people:
        until = f"{GID.parse(person.gid).not_after:%Y-%m-%d}"
        words = ", ".join(f"{role} of {urn.hrn}" for urn, role in held.items())
        table.add_row(person.urn.hrn, words, person.email, str(len(person.keys)), until)
    Console().print(table)


@user.command("role")
@click.argument("hrn")
@click.argument("role", type=click.Choice(["user", "pi"]))
@click.pass_obj
def user_role(state: Path, hrn: str, role: str) -> None:
    """Let a member decide over their authority, so register others in it (pi), or not (user)."""
    installation = Installation(state)
    urn = urn_of(hrn, "user")
    books = Books(installation.store, Authority.load(state / "authority"), installation.config.registry)
    with installation.store.transaction() as tx:
        if registry.member_by_urn(tx, urn) is None:
            raise click.ClickException(f"{urn} is not registered; see `sfa-am user list`")
        books.change_member(tx, Wanted(urn=urn, role=role), now=datetime.now(UTC))
    click.echo(f"{hrn} is a {role} now.")


@user.command("revoke")
@click.argument("hrn")
@click.pass_obj
def user_revoke(state: Path, hrn: str) -> None:
    """Take back all certificates of a member, such as one whose key was stolen.

    They are refused here within a second, and by other authorities when they next fetch our list. A new key lets the
    member in again.
    """
    installation = Installation(state)
    revocations = Revocations(installation.store, Authority.load(state / "authority"))
    number = revocations.revoke(urn_of(hrn, "user"), actor="operator", now=datetime.now(UTC))
    if number:
        click.echo(f"Revoked {number} {'certificate' if number == 1 else 'certificates'} of {hrn}.")
    else:
        click.echo(f"All certificates of {hrn} were revoked before.")
