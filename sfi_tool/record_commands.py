"""Commands about the registry's records: looking at them and changing them."""

import re
from pathlib import Path
from typing import Any

import click

from sfi_tool import output, record_text
from sfi_tool.errors import Refusal, Unreadable
from sfi_tool.identity import Session
from sfi_tool.invocation import pass_session
from sfi_tool.options import Kind, file_option, refused, words
from sfi_tool.people_commands import authority_credential, register_record, update_record

_NO_CREDENTIALS = "`sfi credential show` shows what is sent"
_FORMATS = click.Choice(["text", "xml", "json"])
_PUBLIC_KEY = re.compile(r"(ssh-|ecdsa-|sk-)[\w@.-]+ +[A-Za-z0-9+/=]{20,}.*")


@click.command("list")
@click.argument("authority", required=False)
@click.option("-t", "--type", "kind", type=Kind(), default="all", help="Only user, slice, authority or node records.")
@click.option("-r", "--recursive", is_flag=True, help="Those of authorities below, too.")
@click.option("-v", "--verbose", is_flag=True, help="With mail addresses and keys (with -f text).")
@file_option("the records")
@click.option("-f", "--format", "form", type=_FORMATS, help="What to print instead of a table.")
@click.option(
    "-F",
    "--fileformat",
    type=click.Choice(["xml", "xmllist", "hrnlist"]),
    default="xml",
    show_default=True,
    help="What to write with -o: a file for each record, or one with all names.",
)
@output.json_option
@refused("-C", "--credential", because=_NO_CREDENTIALS)
@pass_session
def list_records(
    session: Session,
    authority: str | None,
    kind: str,
    recursive: bool,
    verbose: bool,
    out: Path | None,
    form: str | None,
    fileformat: str,
    as_json: bool,
) -> None:
    """People and slices of an authority; of yours if none is named."""
    name = authority or session.folder.authority
    options = {"recursive": True} if recursive else {}
    records = _of_kind(session.registry.call("List", name, [session.user_credential()], options), kind)
    if out is not None:
        _write(records, out, fileformat)
    elif as_json or form == "json":
        output.print_json(records)
    elif form == "text":
        for record in sorted(records, key=lambda one: (one["type"], one["hrn"])):
            click.echo(record_text.line(record, verbose=verbose))
    elif form == "xml":
        click.echo("".join(map(record_text.as_xml, records)), nl=False)
    else:
        rows = [(r["hrn"], r["type"], _told(r, verbose)) for r in records]
        output.table(("HRN", "type", "email or members"), rows)


@click.command()
@click.argument("name")
@click.option("-t", "--type", "kind", type=Kind(), default="all", help="Only the record of this type.")
@click.option("-k", "--key", "keys", multiple=True, callback=words, help="Only this field. May be repeated.")
@click.option("-n", "--no-details", is_flag=True, help="Only what the registry itself keeps.")
@file_option("the record")
@click.option("-f", "--format", "form", type=_FORMATS, help="What to print instead of a table.")
@output.json_option
@refused("-F", "--fileformat", because="-o writes what -f says", takes_value=True)
@pass_session
def show(
    session: Session,
    name: str,
    kind: str,
    keys: list[str] | None,
    no_details: bool,
    out: Path | None,
    form: str | None,
    as_json: bool,
) -> None:
    """What the registry knows of a person, slice or authority."""
    hrn = session.folder.hrn_of(name) if name != session.folder.authority else name
    records = _of_kind(session.resolve(hrn, details=not no_details), kind)
    if not records:
        raise Refusal(2, f"the registry has no {kind} {hrn}")
    if keys is not None:
        records = [{key: record[key] for key in keys if key in record} for record in records]
    if as_json or form == "json":
        output.print_json(records)
    elif form == "text" or (out is not None and form is None):
        output.text("\n".join(map(record_text.block, records)), out)
    elif form == "xml":
        output.text("".join(map(record_text.as_xml, records)), out)
    else:
        for record in records:
            rows = [(key, _shown(key, value)) for key, value in sorted(record.items()) if value]
            output.table(("field", "value"), rows)


def _record_options(command: Any) -> Any:
    """What `register` and `update` say of a record."""
    options = (
        click.argument("file", metavar="[XML-FILE]", required=False, type=click.Path(path_type=Path)),
        click.option("-x", "--xrn", metavar="NAME", help="HRN or URN of the record."),
        click.option("-t", "--type", "kind", type=Kind("user", "slice", "authority", "node"), help="Its type."),
        click.option("-e", "--email", help="A person's mail address."),
        click.option("-n", "--name", help="An authority's name in words."),
        click.option("-k", "--key", metavar="KEY", help="A person's SSH public key, or a file with it."),
        click.option("-s", "--slices", multiple=True, callback=words, metavar="HRN,...", help="A person's slices."),
        click.option(
            "-r",
            "--researchers",
            multiple=True,
            callback=words,
            metavar="HRN,...",
            help="A slice's members, all of them; `none` for nobody.",
        ),
        click.option("-p", "--pis", multiple=True, callback=words, metavar="HRN,...", help="An authority's PIs."),
        click.option("-X", "--extra", "extras", multiple=True, metavar="FIELD=VALUE", help="Any other field."),
        refused("-C", "--credential", because=_NO_CREDENTIALS),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_record_options
@output.json_option
@pass_session
def register(session: Session, as_json: bool, **said: Any) -> None:
    """Add a person, a slice or an authority to the registry. `sfi user add` and `sfi slice add` say it shorter."""
    record = _record(session, **said)
    gid = register_record(session, record)
    struct = {"hrn": record["hrn"], "type": record["type"], "gid": gid}
    output.done(f"Registered {record['type']} {record['hrn']}.", struct, as_json=as_json)


@click.command()
@_record_options
@output.json_option
@pass_session
def update(session: Session, as_json: bool, **said: Any) -> None:
    """Change a record: your own, your slice's, or one of your authority."""
    record = _record(session, **said)
    update_record(session, record)
    output.done(f"Changed {record['type']} {record['hrn']}.", record, as_json=as_json)


@click.command()
@click.argument("name")
@click.option("-t", "--type", "kind", type=Kind("user", "slice", "authority", "node"), required=True)
@output.json_option
@pass_session
def remove(session: Session, name: str, kind: str, as_json: bool) -> None:
    """Delete a record from the registry. What a slice holds at aggregates is not ended by this."""
    hrn = session.folder.hrn_of(name)
    session.registry.call("Remove", hrn, [authority_credential(session)], kind)
    session.forget(hrn, kind)
    output.done(f"Removed {kind} {hrn}.", {"hrn": hrn, "type": kind}, as_json=as_json)


COMMANDS: tuple[click.Command, ...] = (show, list_records, register, update, remove)


def _record(
    session: Session,
    *,
    file: Path | None,
    xrn: str | None,
    kind: str | None,
    email: str | None,
    name: str | None,
    key: str | None,
    slices: list[str] | None,
    researchers: list[str] | None,
    pis: list[str] | None,
    extras: tuple[str, ...],
) -> dict[str, Any]:
    """The record of a file, with what the options say in its place."""
    record: dict[str, Any] = {}
    if file is not None:
        try:
            record = record_text.from_xml(file.read_bytes(), str(file))
        except OSError as e:
            raise Unreadable(f"{file} can't be read: {e.strerror}") from e
    mine = session.folder
    said: dict[str, Any] = {
        "type": kind,
        "email": email,
        "name": name,
        "reg-keys": None if key is None else [_public_key(key)],
        "slices": None if slices is None else [mine.hrn_of(one) for one in slices],
        "reg-researchers": _people(session, researchers),
        "reg-pis": _people(session, pis),
    }
    record |= {field: value for field, value in said.items() if value is not None}
    for extra in extras:
        field, equals, value = extra.partition("=")
        if not equals:
            raise click.UsageError(f"-X {extra}: FIELD=VALUE is expected")
        record[field] = value
    return _named(session, record, xrn)


def _named(session: Session, record: dict[str, Any], xrn: str | None) -> dict[str, Any]:
    """With the name in both forms, and the type."""
    from credentials import URN, BadName

    name = xrn or record.get("hrn")
    if not name:
        raise click.UsageError("say which record is meant: -x NAME, or a file with hrn=")
    try:
        if name.lower().startswith("urn:"):
            urn = URN.parse(name)
        elif record.get("type"):
            whole = name if record["type"] == "authority" else session.folder.hrn_of(name)
            urn = URN.from_hrn(whole, record["type"])
        else:
            raise click.UsageError("say which type of record it is: -t user, slice, authority or node")
    except BadName as e:
        raise click.UsageError(str(e)) from e
    return {**record, "hrn": urn.hrn, "urn": str(urn), "type": urn.type}


def _people(session: Session, names: list[str] | None) -> list[str] | None:
    if names is None:
        return None
    return [] if [name.lower() for name in names] == ["none"] else [session.folder.hrn_of(name) for name in names]


def _public_key(said: str) -> str:
    if _PUBLIC_KEY.fullmatch(said.strip()):
        return said.strip()
    try:
        content = Path(said).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as e:
        raise Unreadable(f"-k {said}: neither an SSH public key nor a file that can be read") from e
    if not _PUBLIC_KEY.fullmatch(content):
        raise Unreadable(f"{said} holds no SSH public key: one line that begins with ssh-rsa or the like")
    return content


def _of_kind(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if kind == "all" or str(record["type"]).partition("+")[0] == kind]


def _write(records: list[dict[str, Any]], out: Path, form: str) -> None:
    if form == "hrnlist":
        output.text("".join(f"{record['hrn']}\n" for record in records), out)
    elif form == "xmllist":
        output.text(record_text.as_xml_list(records), out)
    else:
        for number, record in enumerate(records):
            output.text(record_text.as_xml(record), out.with_name(f"{out.name}.{number}"))


def _told(record: dict[str, Any], verbose: bool) -> str:
    told = str(record.get("email") or "") or ", ".join(record.get("reg-researchers") or record.get("reg-pis") or [])
    return "\n".join([told, *map(str, record.get("reg-keys") or [])]) if verbose else told


def _shown(key: str, value: object) -> str:
    if key in ("gid", "geni_certificate"):
        return f"{str(value).count('BEGIN CERTIFICATE')} certificates (sfi gid prints yours)"
    if isinstance(value, list):
        return "\n".join(str(one)[:80] for one in value)
    return str(output.plain(value))
