"""Commands about who one is, whom one trusts, and passing credentials on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from sfi_tool import first_trust, output
from sfi_tool.errors import Refusal, Unreachable
from sfi_tool.identity import Session
from sfi_tool.invocation import pass_session
from sfi_tool.options import Kind, file_option, words


@click.command()
@click.argument("name", required=False)
@click.option("-t", "--type", "kind", type=Kind("user", "slice", "authority", "node"), help="What NAME is.")
@click.option("--new", "is_new", is_flag=True, help="Have the registry make one for your key (CreateGid).")
@file_option("the certificate")
@output.json_option
@pass_session
def gid(session: Session, name: str | None, kind: str | None, is_new: bool, out: Path | None, as_json: bool) -> None:
    """Fetch your certificate, or that of NAME, and print it."""
    if name is None:
        session.fetch_gid()
        hrn, pem = session.folder.user, session.folder.gid.read_text()
    else:
        hrn = name if name == session.folder.authority else session.folder.hrn_of(name)
        if is_new:
            pem = session.registry.call("CreateGid", [session.user_credential()], hrn, session.gid.read_text())
        else:
            pem = _gid_of(session, hrn, kind)
    if as_json and out is None:
        output.print_json({"hrn": hrn, "gid": pem})
    else:
        output.text(pem, out)


@click.command()
@click.argument("to_hrn", metavar="TO")
@click.option("-u", "--user", "is_own", is_flag=True, help="Your own credential; also when nothing else is named.")
@click.option("-p", "--pi", "is_pi", is_flag=True, help="Your credential about your authority.")
@click.option("-s", "--slice", "slice_names", multiple=True, callback=words, metavar="HRN", help="One about a slice.")
@click.option(
    "-a", "--auths", "authorities", multiple=True, callback=words, metavar="HRN", help="One about an authority."
)
@click.option("-A", "--to-authority", is_flag=True, help="TO is an authority, not a user.")
@output.json_option
@pass_session
def delegate(
    session: Session,
    to_hrn: str,
    is_own: bool,
    is_pi: bool,
    slice_names: list[str] | None,
    authorities: list[str] | None,
    to_authority: bool,
    as_json: bool,
) -> None:
    """Pass credentials on to TO, who may use them as you do: writes a file for each into your folder.

    A delegation lasts as long as what is delegated, and can't be taken back.
    """
    mine = session.folder
    wanted = [_Delegated(mine.hrn_of(name), "slice", "slice") for name in slice_names or []]
    if is_pi:
        wanted.append(_Delegated(mine.authority, "pi", "authority"))
    wanted += [_Delegated(name, "auth", "authority") for name in authorities or []]
    if is_own or not wanted:
        wanted.append(_Delegated(mine.user, "user", "user"))
    kind = "authority" if to_authority else "user"
    to = to_hrn if to_authority else mine.hrn_of(to_hrn)
    to_gid = _gid_of(session, to, kind)
    done = []
    for one in wanted:
        shown = session.user_credential() if one.kind == "user" else session.credential(one.hrn, one.kind)
        path = mine.path / f"{one.hrn}.{one.word}_for_{to}.{kind}.cred".replace("/", "_")
        path.write_bytes(_delegated(session, shown, to_gid))
        done.append(str(path))
    output.done("\n".join(f"(Over)wrote {path}" for path in done), done, as_json=as_json)


@click.command()
@click.option("-R", "--registry", "of_registry", is_flag=True, help="Ask the registry, not the aggregate.")
@output.json_option
@pass_session
def trusted(session: Session, of_registry: bool, as_json: bool) -> None:
    """The roots that a server trusts."""
    from credentials import CredentialError

    server = session.registry if of_registry else session.aggregate
    try:
        answer = server.call("get_trusted_certs")
        answer = server.value_of(answer) if isinstance(answer, dict) else answer
    except Refusal as e:
        e.advice = "" if of_registry else "Ask the registry: sfi trusted -R"
        raise
    try:
        roots = first_trust.certificates(answer)
    except CredentialError as e:
        raise Unreachable(f"{server.url} sent a root that can't be read: {e}") from e
    if as_json:
        output.print_json(
            [
                {"name": str(root), "ends": root.not_after.isoformat(), "sha256": root.fingerprint, "gid": root.pem}
                for root in roots
            ]
        )
        return
    rows = [(str(root), f"{root.not_after:%Y-%m-%d}", first_trust.with_colons(root.fingerprint)) for root in roots]
    output.table(("root", "until", "SHA-256"), rows)


COMMANDS: tuple[click.Command, ...] = (gid, delegate, trusted)


@dataclass(frozen=True)
class _Delegated:
    """A credential to be passed on. `word`: what SFAWrap calls it in the name of the file."""

    hrn: str
    word: str
    kind: str


def _gid_of(session: Session, hrn: str, kind: str | None) -> str:
    records: list[dict[str, Any]] = session.resolve(hrn)
    found = [r for r in records if r.get("gid") and kind in (None, str(r["type"]).partition("+")[0])]
    if not found:
        raise click.ClickException(f"the registry has no certificate of {kind or 'anything'} {hrn}")
    if len(found) > 1:
        kinds = ", ".join(str(record["type"]) for record in found)
        raise click.UsageError(f"{hrn} is the name of {kinds}; say which is meant with -t")
    pem: str = found[0]["gid"]
    return pem


def _delegated(session: Session, document: str, to_gid: str) -> bytes:
    """A credential passed on: the same rights, for the same time. Raises ClickException when it may not be."""
    from credentials import GID, CredentialError, Issuer
    from credentials.credential import read
    from credentials.keys import read_private_key

    try:
        own = read(document)[0]
        if kept := [privilege.name for privilege in own.privileges if not privilege.may_delegate]:
            raise click.ClickException(f"{own.target} may not be delegated: {', '.join(kept)} must stay with you")
        me = Issuer(GID.parse(session.gid.read_bytes()), read_private_key(session.folder.key.read_bytes()))
        return me.delegate(
            document,
            to=GID.parse(to_gid),
            privileges={privilege.name: True for privilege in own.privileges},
            expires_at=own.expires_at,
        )
    except CredentialError as e:
        raise click.ClickException(str(e)) from e
