"""Commands about people and slices, which the registry keeps."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from sfi_tool import folder as folders
from sfi_tool import output
from sfi_tool.identity import Session, as_struct

pass_session = click.make_pass_decorator(Session)


@click.group()
def user() -> None:
    """People of your authority."""


@user.command("add")
@click.argument("name")
@click.option("--email", required=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make for the user. Default: ./NAME")
@click.option("--pi", is_flag=True, help="They may register people and slices themselves.")
@click.option(
    "--ssh-key",
    "ssh_keys",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="A public key to log in with, beside the one made here. May be repeated.",
)
@pass_session
def user_add(session: Session, name: str, email: str, out: Path | None, pi: bool, ssh_keys: tuple[Path, ...]) -> None:
    """Register NAME and make a folder with their key, certificate and settings, to be handed to them."""
    from credentials.keys import new_rsa_key, private_pem, ssh_public_key, write_private

    mine = session.folder
    hrn, short = mine.hrn_of(name), name.rpartition(".")[2]
    target = out or Path(short)
    if (target / folders.CONFIG).exists():
        raise click.ClickException(f"{target / folders.CONFIG} is there already; choose another folder with --out")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = new_rsa_key()
    public = ssh_public_key(key.public_key())
    keys = [f"{public} {short}", *(path.read_text().strip() for path in ssh_keys)]
    record = {"hrn": hrn, "type": "user", "email": email, "reg-keys": keys, "role": "pi" if pi else "user"}
    gid = _register(session, record)
    write_private(target / f"{short}.key", private_pem(key))
    write_private(target / f"{short}.gid", gid.encode())
    write_private(target / "roots.pem", mine.roots.read_bytes())
    (target / f"{short}.pub").write_text(f"{keys[0]}\n")
    folders.write(
        target,
        user=hrn,
        registry=mine.registry,
        aggregate=mine.aggregate,
        key=f"{short}.key",
        gid=f"{short}.gid",
        roots="roots.pem",
    )
    click.echo(f"Registered {hrn}; their folder is {target} (the key in it serves for SSH, too).")
    output.hint(f"sfi slice add SLICE --member {short}")


@click.group("slice")
def slice_group() -> None:
    """Slices of your authority."""


@slice_group.command("add")
@click.argument("name")
@click.option(
    "--member", "members", multiple=True, help="Who may use it; yourself if nobody is named. May be repeated."
)
@click.option("--days", type=float, help="How long it lives. Default: the registry's.")
@click.option("--description", default="")
@pass_session
def slice_add(session: Session, name: str, members: tuple[str, ...], days: float | None, description: str) -> None:
    """Make a slice."""
    mine = session.folder
    people = [mine.hrn_of(member) for member in members] or [mine.user]
    hrn = mine.hrn_of(name)
    record = {"hrn": hrn, "type": "slice", "reg-researchers": people, "description": description}
    if days is not None:
        record["expires"] = _in_days(days)
    _register(session, record)
    click.echo(f"Made slice {hrn} for {', '.join(people)}.")
    output.hint(f"sfi rspec > request.xml; sfi create {name} request.xml")


@slice_group.command("renew")
@click.argument("name")
@click.option("--days", type=float, default=14, show_default=True, help="New end, in days from now.")
@pass_session
def slice_renew(session: Session, name: str, days: float) -> None:
    """Move the end of a slice. Its slivers have ends of their own: see `sfi renew`."""
    _update_slice(session, name, {"expires": _in_days(days)})
    click.echo(f"Slice {name} lives {days:g} more days.")


@slice_group.command("members")
@click.argument("name")
@click.argument("members", nargs=-1, required=True)
@pass_session
def slice_members(session: Session, name: str, members: tuple[str, ...]) -> None:
    """Set who may use a slice."""
    people = [session.folder.hrn_of(member) for member in members]
    _update_slice(session, name, {"reg-researchers": people})
    click.echo(f"Members of {name}: {', '.join(people)}.")


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
@pass_session
def show(session: Session, name: str, as_json: bool) -> None:
    """What the registry knows of a person, slice or authority."""
    records = session.resolve(session.folder.hrn_of(name) if name != session.folder.authority else name)
    if as_json:
        output.as_json(records)
        return
    for record in records:
        output.table(("field", "value"), [(key, _shown(key, value)) for key, value in sorted(record.items()) if value])


@click.command("list")
@click.argument("authority", required=False)
@click.option("--json", "as_json", is_flag=True)
@pass_session
def list_records(session: Session, authority: str | None, as_json: bool) -> None:
    """People and slices of an authority; of yours if none is named."""
    name = authority or session.folder.authority
    records = session.registry.call("List", name, [as_struct(session.user_credential())], {})
    if as_json:
        output.as_json(records)
        return
    rows = [(r["hrn"], r["type"], r.get("email") or ", ".join(r.get("reg-researchers", []))) for r in records]
    output.table(("HRN", "type", "email or members"), rows)


@click.command()
@click.argument("name")
@click.option("--type", "kind", type=click.Choice(["user", "slice"]), required=True)
@pass_session
def remove(session: Session, name: str, kind: str) -> None:
    """Delete a person or a slice from the registry. What a slice holds at aggregates is not ended by this."""
    hrn = session.folder.hrn_of(name)
    session.registry.call("Remove", hrn, [_authority_credential(session)], kind)
    session.forget(hrn, kind)
    click.echo(f"Removed {kind} {hrn}.")


@click.command()
@pass_session
def gid(session: Session) -> None:
    """Fetch your certificate and print it."""
    session.fetch_gid()
    click.echo(session.folder.gid.read_text(), nl=False)


@click.command()
@click.argument("slice_name", metavar="[SLICE]", required=False)
@pass_session
def credential(session: Session, slice_name: str | None) -> None:
    """Print your credential, or one for a slice."""
    if slice_name is None:
        click.echo(session.user_credential())
    else:
        click.echo(session.credential(session.folder.hrn_of(slice_name), "slice"))


COMMANDS: tuple[click.Command, ...] = (user, slice_group, show, list_records, remove, gid, credential)


def _register(session: Session, record: dict[str, Any]) -> str:
    made: str = session.registry.call("Register", record, [_authority_credential(session)])
    return made


def _update_slice(session: Session, name: str, changes: dict[str, Any]) -> None:
    hrn = session.folder.hrn_of(name)
    try:
        shown = session.credential(hrn, "slice")
    except click.ClickException:  # expired or not ours: the authority may still change it
        shown = session.credential(session.folder.authority, "authority")
    session.registry.call("Update", {"hrn": hrn, "type": "slice", **changes}, [as_struct(shown)])
    session.forget(hrn, "slice")


def _authority_credential(session: Session) -> dict[str, str]:
    return as_struct(session.credential(session.folder.authority, "authority"))


def _in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(key: str, value: object) -> str:
    if key == "gid":
        return f"{str(value).count('BEGIN CERTIFICATE')} certificates (sfi gid prints yours)"
    if isinstance(value, list):
        return "\n".join(str(one)[:80] for one in value)
    return str(value)
