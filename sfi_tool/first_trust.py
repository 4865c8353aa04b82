"""Whom to believe when nothing is known yet: a registry's roots, shown with fingerprints, kept when somebody agrees."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sfi_tool.errors import Unreachable
from sfi_tool.servers import Server

if TYPE_CHECKING:
    from credentials import GID


def fetch_roots(registry: Server, path: Path, *, agreed: Sequence[str]) -> None:
    """Ask a registry, unverified, whom it trusts; keep in `path` what the user agrees to.

    agreed: fingerprints (SHA-256, hex, colons or not) that the user got by another way; without any they are asked
    Raises Unreachable: nothing was agreed to.
    """
    from credentials.keys import write_private

    roots = _roots(registry)
    if agreed:
        wanted = {_plain(fingerprint) for fingerprint in agreed}
        kept = [root for root in roots if root.fingerprint in wanted]
        if not kept:
            shown = ", ".join(with_colons(root.fingerprint) for root in roots)
            raise Unreachable(f"{registry.url} shows no root with the fingerprint that was given, but {shown}")
    else:
        _ask(registry, roots)
        kept = roots
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, "".join(root.leaf_pem for root in kept).encode())
    click.echo(f"Kept {len(kept)} {'root' if len(kept) == 1 else 'roots'} in {path}.", err=True)


def with_colons(fingerprint: str) -> str:
    """A fingerprint as people compare it."""
    upper = fingerprint.upper()
    return ":".join(upper[at : at + 2] for at in range(0, len(upper), 2))


def certificates(sent: object) -> "list[GID]":
    """What `get_trusted_certs` answered, once each. Raises CredentialError."""
    from credentials import GID

    chains = [sent] if isinstance(sent, str) else sent if isinstance(sent, list) else []
    read = [GID.parse(str(chain)) for chain in chains]
    return list({gid.fingerprint: gid for gid in read}.values())


def _roots(registry: Server) -> "list[GID]":
    from credentials import CredentialError

    try:
        roots = certificates(registry.call("get_trusted_certs"))
    except CredentialError as e:
        raise Unreachable(f"{registry.url} sent a root that can't be read: {e}") from e
    if not roots:
        raise Unreachable(f"{registry.url} trusts no roots, so there is nothing to know it by")
    return roots


def _ask(registry: Server, roots: "Sequence[GID]") -> None:
    click.echo(f"Nothing is known yet of {registry.url}. It says that these are the roots to trust:", err=True)
    for root in roots:
        click.echo(f"  {root}, until {root.not_after:%Y-%m-%d}", err=True)
        click.echo(f"  SHA-256 {with_colons(root.fingerprint)}", err=True)
    if not sys.stdin.isatty():
        raise Unreachable(
            f"there is nobody to ask whether {registry.url} may be believed. Compare the fingerprint with what its "
            "operator tells you, and give it: --yes-trust FINGERPRINT"
        )
    click.echo("Compare them with what its operator tells you by another way.", err=True)
    if not click.confirm("Trust them from now on?", err=True):
        raise Unreachable(f"{registry.url} is not believed")


def _plain(fingerprint: str) -> str:
    return fingerprint.replace(":", "").strip().lower()
