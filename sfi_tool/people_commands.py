"""Commands about people and slices, which the registry keeps."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from sfi_tool import folder as folders
from sfi_tool import output
from sfi_tool.errors import Refusal
from sfi_tool.identity import Session
from sfi_tool.invocation import pass_session
from sfi_tool.times import wire


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
@output.json_option
@pass_session
def user_add(
    session: Session, name: str, email: str, out: Path | None, pi: bool, ssh_keys: tuple[Path, ...], as_json: bool
) -> None:
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
    gid = register_record(session, record)
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
    sentence = f"Registered {hrn}; their folder is {target} (the key in it serves for SSH, too)."
    output.done(sentence, {"hrn": hrn, "folder": str(target), "gid": gid}, as_json=as_json)
    output.hint(f"sfi slice add SLICE --member {short}", as_json=as_json)


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
@output.json_option
@pass_session
def slice_add(
    session: Session, name: str, members: tuple[str, ...], days: float | None, description: str, as_json: bool
) -> None:
    """Make a slice."""
    mine = session.folder
    people = [mine.hrn_of(member) for member in members] or [mine.user]
    hrn = mine.hrn_of(name)
    record = {"hrn": hrn, "type": "slice", "reg-researchers": people, "description": description}
    if days is not None:
        record["expires"] = _in_days(days)
    register_record(session, record)
    output.done(f"Made slice {hrn} for {', '.join(people)}.", record, as_json=as_json)
    output.hint(f"sfi rspec > request.xml; sfi create {name} request.xml", as_json=as_json)


@slice_group.command("renew")
@click.argument("name")
@click.option("--days", type=float, default=14, show_default=True, help="New end, in days from now.")
@output.json_option
@pass_session
def slice_renew(session: Session, name: str, days: float, as_json: bool) -> None:
    """Move the end of a slice. Its slivers have ends of their own: see `sfi renew`."""
    record = {"hrn": session.folder.hrn_of(name), "type": "slice", "expires": _in_days(days)}
    update_record(session, record)
    output.done(f"Slice {name} lives {days:g} more days.", record, as_json=as_json)


@slice_group.command("members")
@click.argument("name")
@click.argument("members", nargs=-1, required=True)
@output.json_option
@pass_session
def slice_members(session: Session, name: str, members: tuple[str, ...], as_json: bool) -> None:
    """Set who may use a slice."""
    people = [session.folder.hrn_of(member) for member in members]
    record = {"hrn": session.folder.hrn_of(name), "type": "slice", "reg-researchers": people}
    update_record(session, record)
    output.done(f"Members of {name}: {', '.join(people)}.", record, as_json=as_json)


COMMANDS: tuple[click.Command, ...] = (user, slice_group)


def register_record(session: Session, record: dict[str, Any]) -> str:
    """Add a record in the name of one's authority. Returns its GID."""
    made: str = session.registry.call("Register", record, [authority_credential(session)])
    return made


def update_record(session: Session, record: dict[str, Any]) -> None:
    """Change a record in one's own name or the slice's, or in the authority's where that isn't allowed."""
    hrn, kind = record["hrn"], record["type"]
    try:
        if kind == "user" and hrn == session.folder.user:
            shown = session.user_credential()
        elif kind == "slice":
            shown = session.credential(hrn, "slice")
        else:
            shown = authority_credential(session)
    except Refusal:  # expired or not ours: the authority may still change it
        shown = authority_credential(session)
    session.registry.call("Update", record, [shown])
    session.forget(hrn, kind)


def authority_credential(session: Session) -> str:
    """What allows its holder to act for the authority."""
    return session.credential(session.folder.authority, "authority")


def _in_days(days: float) -> str:
    return wire(datetime.now(UTC) + timedelta(days=days))
