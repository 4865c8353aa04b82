"""Revocation lists of other authorities: `sfa-am trust crl`."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Column, Table

from credentials import GID
from sfa_am.authority import Authority
from sfa_am.authority.revocation_lists import RevocationLists
from sfa_am.commands.opened import Installation
from sfa_am.store import revocation, trust
from sfa_am.wire import outgoing


@click.group("crl")
def crl_group() -> None:
    """Lists of certificates that trusted authorities have taken back."""


@crl_group.command("list")
@click.pass_obj
def crl_list(state: Path) -> None:
    """All lists that are held, our own among them."""
    installation = Installation(state)
    with installation.store.reading() as tx:
        rows = revocation.lists(tx)
        roots = {row.fingerprint: str(GID.parse(row.gid)) for row in trust.everything(tx)}
    now = datetime.now(UTC)
    table = Table(
        Column("fingerprint", min_width=16), "of", "revokes", "number", "fetched (UTC)", "next until (UTC)", "source"
    )
    for row in rows:
        until = row.crl.next_update
        next_until = "not said" if until is None else f"{until:%Y-%m-%d %H:%M}{' (late)' if until <= now else ''}"
        table.add_row(
            row.issuer_fingerprint[:16],
            roots.get(row.issuer_fingerprint, f"{row.crl.issuer_name}, not trusted now"),
            str(len(row.crl)),
            "" if row.crl.number is None else str(row.crl.number),
            f"{row.fetched_at:%Y-%m-%d %H:%M}",
            next_until,
            row.source or "made here",
        )
    Console().print(table)


@crl_group.command("add")
@click.argument("source", metavar="FILE|URL")
@click.pass_obj
def crl_add(state: Path, source: str) -> None:
    """Hold the list in FILE, or the one at URL, which a running server then fetches again and again.

    The list must be signed by a trusted root and be no older than the one that is held; it takes that one's place.
    Calling this again with the same URL fetches it at once.
    """
    installation = Installation(state)
    lists = RevocationLists(installation.store, Authority.load(state / "authority").issuer.gid)
    now = datetime.now(UTC)
    if source.startswith(("http://", "https://")):
        document = outgoing.get(source, own=outgoing.Own.of(state), roots=lists.roots())
    else:
        path = Path(source).absolute()
        try:
            document, source = path.read_bytes(), str(path)
        except OSError as e:
            raise click.ClickException(f"{path} can't be read: {e.strerror}") from e
    row = lists.take(document, source=source, now=now)
    until = row.crl.next_update
    click.echo(f"Held from now on: {len(row.crl)} revoked, {'no end' if until is None else f'until {until:%Y-%m-%d}'}.")
    if until is not None and until <= now:
        click.echo("It is late: its authority promised a newer one for then. What it revokes is refused all the same.")


@crl_group.command("remove")
@click.argument("fingerprint")
@click.pass_obj
def crl_remove(state: Path, fingerprint: str) -> None:
    """Hold the list of a root no more; the beginning of the root's FINGERPRINT is enough."""
    installation = Installation(state)
    own = Authority.load(state / "authority").issuer.gid
    row = RevocationLists(installation.store, own).remove(fingerprint)
    click.echo(f"Removed; what it revokes ({len(row.crl)}) is accepted from the next second on.")
