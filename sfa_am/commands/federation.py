"""Getting to know another authority: `sfa-am trust fetch` and `sfa-am federate`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from credentials import GID, CredentialError
from sfa_am.authority import Authority
from sfa_am.authority.introductions import (
    Introduced,
    introduced,
    plain_fingerprint,
    touches_own_names,
    with_colons,
)
from sfa_am.commands.names import authorities
from sfa_am.commands.opened import Installation
from sfa_am.errors import Unavailable
from sfa_am.store import trust
from sfa_am.store.trust import RootRow
from sfa_am.wire import outgoing

_names = click.option("--names", help="Authorities it may vouch for, joined by commas. Default: its own name.")
_sha1 = click.option("--legacy-sha1", is_flag=True, help="Accept its RSA-SHA1 signatures, which older tools make.")
_fingerprint = click.option(
    "--fingerprint",
    "fingerprints",
    metavar="HEX",
    multiple=True,
    help="Trust the root with this SHA-256 fingerprint, which its operator told you, and no other. May be repeated.",
)


@click.command("fetch")
@click.argument("url")
@_fingerprint
@_names
@_sha1
@click.pass_obj
def trust_fetch(state: Path, url: str, fingerprints: tuple[str, ...], names: str | None, legacy_sha1: bool) -> None:
    """Ask the registry or the aggregate at URL for its roots, and trust those whose fingerprint you confirm.

    Whoever answers is not known yet, so nothing is trusted that nobody has confirmed: compare the fingerprints with
    those that the other operator tells you by another way.
    """
    _meet(Installation(state), url, fingerprints, names, legacy_sha1)


@click.command()
@click.argument("url")
@_fingerprint
@_names
@_sha1
@click.pass_obj
def federate(state: Path, url: str, fingerprints: tuple[str, ...], names: str | None, legacy_sha1: bool) -> None:
    """Trust the authority behind the registry or aggregate at URL, and show what its operator needs to trust this one.

    Nothing is sent: at the other end somebody runs the same command with our address. Ends with a call that only a
    server certified by the new root can answer.
    """
    installation = Installation(state)
    config, own = installation.config, Authority.load(state / "authority").issuer.gid
    click.echo("Tell the other operator, by telephone or in a signed mail:")
    click.echo(f"  name:         {own}")
    click.echo(f"  fingerprint:  {with_colons(own.fingerprint)}")
    click.echo(f"  command:      sfa-am federate https://{config.server.public_host}:{config.server.registry_port}/\n")
    roots = _meet(installation, url, fingerprints, names, legacy_sha1)
    root, said = _verified(url, outgoing.Own.of(state), roots)
    click.echo(f"GetVersion answers from a server that {root} certified: {_name(said)}.")
    click.echo(
        "Next: sfa-am trust crl add URL, where it publishes its revocations; registries like ours do at /crl.pem"
    )


def _meet(
    installation: Installation, url: str, fingerprints: Sequence[str], names: str | None, legacy_sha1: bool
) -> list[GID]:
    """The roots behind a URL that are trusted, now or from now on. Raises ClickException when there are none."""
    own = Authority.load(installation.state / "authority").issuer.gid
    wanted_names = authorities(names) if names else None
    with installation.store.reading() as tx:
        trusted = trust.everything(tx)
    shown = _shown(url, outgoing.Own.of(installation.state))
    roots = [
        root
        for root in introduced(shown, trusted=trusted, own=own, names=wanted_names)
        if root.gid.fingerprint != own.fingerprint
    ]
    if not roots:
        raise click.ClickException(f"{url} shows no root but ours")
    click.echo(
        f"{url} shows {len(roots)} {'root' if len(roots) == 1 else 'roots'}; who that is, nobody has checked yet."
    )
    confirmed = _by_fingerprint(roots, fingerprints) if fingerprints else _by_asking(roots)
    if not confirmed:
        raise click.ClickException("nothing was confirmed, so nothing is trusted")
    new = [root for root in confirmed if not root.is_trusted]
    if wanted_names is not None and len(new) > 1:
        raise click.ClickException("with --names one root is trusted at a time; run this again for each")
    for root in new:
        if not root.names:
            raise click.ClickException(f"{root.gid} has no URN; say with --names which authorities it may vouch for")
        if wanted_names is None and touches_own_names(root.names, own):
            raise click.ClickException(
                f"{root.gid} would vouch for names of {own}, which is this installation; say with --names for which "
                "authorities it may, if you want that"
            )
    _trust(installation, new, legacy_sha1)
    return [root.gid for root in (*new, *(root for root in confirmed if root.is_trusted))]


def _shown(url: str, own: outgoing.Own) -> list[GID]:
    """The roots that whoever answers at a URL names: a registry by its call, any server by its certificate's chain."""
    chain = outgoing.shown_chain(url, own=own)
    end = chain.chain[-1]
    last = [GID([end])] if end.issuer == end.subject else []
    try:
        said = outgoing.call_anybody(url, "get_trusted_certs", own=own)
    except Unavailable:
        if not last:
            raise
        return last  # an aggregate, which has no such call
    sent = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    try:
        return [*last, *(GID.parse(one) for one in sent if isinstance(one, str))]
    except CredentialError as e:
        raise Unavailable(f"{url} sent a root that can't be read: {e}") from e


def _show(root: Introduced) -> None:
    click.echo(f"\n  name:           {root.gid}")
    click.echo(f"  fingerprint:    {with_colons(root.gid.fingerprint)}")
    click.echo(f"  valid until:    {root.gid.not_after:%Y-%m-%d}")
    click.echo(f"  may vouch for:  {', '.join(root.names) or 'nothing without --names'}")
    if root.is_trusted:
        click.echo("  trusted already")
    for warning in root.warnings:
        click.secho(f"  WARNING: {warning}.", fg="red", bold=True)


def _by_fingerprint(roots: Sequence[Introduced], fingerprints: Sequence[str]) -> list[Introduced]:
    """The roots that have these fingerprints. Raises ClickException when one of them is not shown."""
    wanted = [plain_fingerprint(one) for one in fingerprints]
    for root in roots:
        _show(root)
    click.echo()
    if missing := [one for one in wanted if one not in {root.gid.fingerprint for root in roots}]:
        raise click.ClickException(
            f"no root with the fingerprint {', '.join(missing)} is shown, so nothing is trusted; whole SHA-256 "
            "fingerprints are expected"
        )
    return [root for root in roots if root.gid.fingerprint in wanted]


def _by_asking(roots: Sequence[Introduced]) -> list[Introduced]:
    confirmed = []
    for root in roots:
        _show(root)
        if root.is_trusted or click.confirm("Is the fingerprint the one its operator told you?"):
            confirmed.append(root)
    click.echo()
    return confirmed


def _trust(installation: Installation, roots: Sequence[Introduced], legacy_sha1: bool) -> None:
    with installation.store.transaction() as tx:
        for root in roots:
            row = RootRow(
                fingerprint=root.gid.fingerprint,
                gid=root.gid.leaf_pem,
                names=root.names,
                legacy_sha1=legacy_sha1,
                added_at=datetime.now(UTC),
                added_by="operator",
            )
            trust.put(tx, row)
    for root in roots:
        click.echo(f"{root.gid} is trusted for {', '.join(root.names)} from now on; no restart is needed.")


def _verified(url: str, own: outgoing.Own, roots: Sequence[GID]) -> tuple[GID, object]:
    """The first of these roots that certified the server at a URL, and what that answers to GetVersion.

    Raises Unavailable: none of them did, or it does not answer.
    """
    *others, last = roots
    for root in others:
        try:
            return root, outgoing.call(url, "GetVersion", own=own, roots=[root])
        except Unavailable:
            continue
    return last, outgoing.call(url, "GetVersion", own=own, roots=[last])


def _name(version: object) -> str:
    """Who a server says it is, in its answer to GetVersion."""
    said = version.get("value", version) if isinstance(version, dict) else {}
    named = said if isinstance(said, dict) else {}
    name = next((named[key] for key in ("urn", "geni_am_urn", "hrn") if isinstance(named.get(key), str)), "no name")
    return ascii(name)[1:-1][:200]
