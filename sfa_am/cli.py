"""The `sfa-am` command: found an installation, run it, look after it."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.table import Table

from credentials import GID, URN, CredentialError, Root, Trust
from credentials.explain import report
from sfa_am import config as settings
from sfa_am.authority import Authority, Wanted, found, roles
from sfa_am.authority.books import Books
from sfa_am.config import ConfigError
from sfa_am.doctor import doctor
from sfa_am.errors import AMError
from sfa_am.store import Store, authorities, events, offers, registry, slivers, trust
from sfa_am.store.trust import RootRow

DEFAULT_STATE = Path("/var/lib/sfa-am")


@click.group()
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_STATE,
    envvar="SFA_AM_STATE",
    show_default=True,
    help="Folder with the settings, the store and the keys of an installation.",
)
@click.pass_context
def main(context: click.Context, state: Path) -> None:
    """An SFA/GENI aggregate manager: one installation is one state folder."""
    context.obj = state


class _Installation:
    """A founded state folder, opened for a command."""

    def __init__(self, state: Path) -> None:
        self.state = state
        try:
            self.config = settings.load(state / settings.CONFIG_NAME)
        except ConfigError as e:
            raise click.ClickException(str(e)) from e
        self.store = Store.in_folder(state)
        self.store.migrate()


@main.command()
@click.option("--authority", default="example", show_default=True, help="Name of the top authority, as in URNs.")
@click.option("--public-host", default="localhost", show_default=True, help="Host name that clients use to reach us.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Write another value into the settings file; VALUE as in TOML. May be repeated.",
)
@click.pass_obj
def init(state: Path, authority: str, public_host: str, changes: tuple[str, ...]) -> None:
    """Found an installation: settings, keys, certificates, the operator's sfi folder. May be run again."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = state / settings.CONFIG_NAME
    if not path.is_file():
        values: dict[str, Any] = {"aggregate": {"authority": authority}, "server": {"public_host": public_host}}
        try:
            for change in changes:
                settings.set_value(values, change)
            path.write_text(settings.commented_toml(settings.from_values(values)))
        except (ConfigError, ValueError) as e:
            raise click.ClickException(str(e)) from e
    installation = _Installation(state)
    found(state, installation.config, installation.store, now=datetime.now(UTC))
    click.echo(f"Founded authority {installation.config.aggregate.authority!r} in {state}.")
    click.echo(f"Settings: {path}")
    click.echo(f"Next: sfa-am --state {state} serve   then   sfi -d {state / 'operator'} version")


@main.command()
@click.pass_obj
def serve(state: Path) -> None:
    """Run the aggregate manager, the registry and the backends in the foreground."""
    # The reactor is installed by its first import: only the command that needs it brings it in.
    from twisted.internet import reactor

    from sfa_am import app, logs

    installation = _Installation(state)
    installation.store.close()
    logs.configure(installation.config.log)
    try:
        with app.sole_user_of(state):
            app.run(state, installation.config, reactor)
    except (ConfigError, app.AlreadyRunning) as e:
        raise click.ClickException(str(e)) from e


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def status(state: Path, as_json: bool) -> None:
    """What there is to give out, what is given out, what happened last."""
    installation = _Installation(state)
    with installation.store.reading() as tx:
        stocks = offers.stocks(tx)
        counts = slivers.counts(tx)
        latest = events.latest(tx, most=10)
    if as_json:
        summary = {
            "offers": [
                {
                    "backend": stock.backend,
                    "name": stock.offer.name,
                    "up": stock.is_up,
                    "total": dict(stock.offer.capacity),
                    "used": dict(stock.used),
                }
                for stock in stocks
            ],
            "slivers": [{"allocation": a, "seen": s, "number": n} for (a, s), n in sorted(counts.items())],
            "events": [
                {
                    "at": e.at.isoformat(),
                    "actor": e.actor,
                    "spoken_by": str(e.spoken_by) if e.spoken_by else None,
                    "what": e.what,
                    "detail": e.detail,
                }
                for e in latest
            ],
        }
        click.echo(json.dumps(summary, indent=2))
        return
    console = Console()
    table = Table("backend", "offer", "state", "resource", "used", "total", title="Capacity", title_justify="left")
    for stock in stocks:
        for resource, total in stock.offer.capacity.items():
            state_word = "up" if stock.is_up else "away"
            used = str(stock.used.get(resource, 0))
            table.add_row(stock.backend, stock.offer.name, state_word, resource, used, str(total))
    console.print(table)
    table = Table("allocation", "seen", "slivers", title="Slivers", title_justify="left")
    for (allocation, seen), number in sorted(counts.items()):
        table.add_row(allocation, seen, str(number))
    console.print(table)
    table = Table("at (UTC)", "actor", "what", "detail", title="Last events", title_justify="left")
    for event in latest:
        actor = f"{event.actor} (by {event.spoken_by})" if event.spoken_by else event.actor
        table.add_row(f"{event.at:%Y-%m-%d %H:%M:%S}", actor, event.what, event.detail)
    console.print(table)


@main.group()
def user() -> None:
    """Members of the authority."""


@user.command("list")
@click.pass_obj
def user_list(state: Path) -> None:
    """Everybody who is registered."""
    installation = _Installation(state)
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
    installation = _Installation(state)
    urn = _urn(hrn, "user")
    books = Books(installation.store, Authority.load(state / "authority"), installation.config.registry)
    with installation.store.transaction() as tx:
        if registry.member_by_urn(tx, urn) is None:
            raise click.ClickException(f"{urn} is not registered; see `sfa-am user list`")
        books.change_member(tx, Wanted(urn=urn, role=role), now=datetime.now(UTC))
    click.echo(f"{hrn} is a {role} now.")


@main.group()
def authority() -> None:
    """The authority of this installation."""


@authority.command("list")
@click.pass_obj
def authority_list(state: Path) -> None:
    """The authorities kept here, with those who decide over them."""
    installation = _Installation(state)
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
    _Installation(state)
    own = Authority.load(state / "authority")
    gid = own.issuer.gid
    click.echo(f"URN:          {own.urn}")
    click.echo(f"HRN:          {own.urn.hrn}")
    click.echo(f"fingerprint:  {gid.fingerprint}")
    click.echo(f"valid until:  {gid.not_after:%Y-%m-%d}")
    click.echo(gid.pem, nl=False)


@main.group("trust")
def trust_group() -> None:
    """Roots of other authorities that are believed here."""


@trust_group.command("list")
@click.pass_obj
def trust_list(state: Path) -> None:
    """All trusted roots and what they may vouch for."""
    installation = _Installation(state)
    with installation.store.reading() as tx:
        rows = trust.everything(tx)
    table = Table("fingerprint", "name", "may vouch for", "SHA-1", "until", "added by")
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
    installation = _Installation(state)
    try:
        gid = GID.parse(certificate.read_bytes())
    except CredentialError as e:
        raise click.ClickException(f"{certificate}: {e}") from e
    if names is None and gid.urn is None:
        raise click.ClickException(f"{certificate} has no URN; say with --names which authorities it may vouch for")
    allowed = _authorities(names) if names else (gid.urn.authority if gid.urn else "",)
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
    installation = _Installation(state)
    with installation.store.transaction() as tx:
        found_rows = [row for row in trust.everything(tx) if row.fingerprint.startswith(fingerprint.lower())]
        if len(found_rows) != 1:
            raise click.ClickException(f"{len(found_rows)} roots begin with {fingerprint}; see `sfa-am trust list`")
        trust.remove(tx, found_rows[0].fingerprint)
    click.echo("Removed; calls are refused from the next second on.")


main.add_command(doctor)


@main.group()
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
    installation = _Installation(state)
    try:
        now = datetime.now(UTC) if at is None else datetime.fromisoformat(at).astimezone(UTC)
    except ValueError as e:
        raise click.BadParameter(f"{at!a} is not a time; one is written 2026-01-31T12:00:00Z", param_hint="--at") from e
    with installation.store.reading() as tx:
        roots = [Root(GID.parse(row.gid), row.names, row.legacy_sha1) for row in trust.everything(tx)]
    done = report([(file.name, file.read()) for file in files], trust=Trust(roots), now=now)
    click.echo(json.dumps(done.struct, indent=2) if as_json else done.text)
    raise SystemExit(done.status)


def _authorities(names: str) -> tuple[str, ...]:
    """Names of authorities joined by commas; a misspelt one would vouch for nothing, silently."""
    try:
        return tuple(URN(name.strip(), "authority", "sa").authority for name in names.split(","))
    except CredentialError as e:
        raise click.ClickException(str(e)) from e


def _urn(hrn: str, kind: str) -> URN:
    try:
        return URN.parse(hrn) if hrn.lower().startswith("urn:") else URN.from_hrn(hrn, kind)
    except CredentialError as e:
        raise click.ClickException(str(e)) from e


def run() -> None:
    """The program: refusals are one line, without a traceback."""
    try:
        main()
    except AMError as e:
        click.echo(f"Error: {e}", err=True)
        sys.exit(1)
