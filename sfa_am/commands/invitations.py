"""Asking a host to join: `sfa-am node invite`."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backends.enrolment import Token
from credentials import GID
from sfa_am.bus import BusFolder, Enrolment
from sfa_am.commands.opened import Installation
from sfa_am.config import NATIVE, Config

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class _Span(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A time span such as 30m, 1h or 2d."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        written = re.fullmatch(r"(\d{1,6})([mhd])", str(value))
        if written is None:
            self.fail(f"{value!r}: a number with m, h or d is expected, for example 30m", param, ctx)
        return timedelta(**{_UNITS[written[2]]: int(written[1])})


@click.command("invite")
@click.argument("name")
@click.option("--backend", help="The backend that it joins. Default: the only native one.")
@click.option("--valid", type=_Span(), default="1h", show_default=True, help="How long the invitation is good.")
@click.option("--replace", "replaces", is_flag=True, help="It takes the place of the host that has this name now.")
@click.pass_obj
def node_invite(state: Path, name: str, backend: str | None, valid: timedelta, replaces: bool) -> None:
    """Print the one line by which a host joins as NAME.

    The name is shown in advertisements, so choose one that says nothing about the host. The line is good for one host,
    once; whoever has it can join, so carry it as you would a password. An earlier one for this name that nobody has
    used is good no more.
    """
    installation = Installation(state)
    config = installation.config
    to = _backend(config, backend)
    enrolment = Enrolment(installation.store, BusFolder(state, config.aggregate.authority))
    now = datetime.now(UTC)
    secret = enrolment.invite(to, name, valid=valid, replaces=replaces, actor="operator", now=now)
    token = Token(
        url=f"https://{config.server.public_host}:{config.server.am_port}",
        fingerprint=_key_fingerprint(state / "authority" / "am.gid"),
        secret=secret,
    )
    click.echo(f"Run this on the host, as root, before {now + valid:%Y-%m-%d %H:%M} UTC:", err=True)
    click.echo(f"sfa-node join {token}")


def _backend(config: Config, wanted: str | None) -> str:
    """The name of a native backend. Raises ClickException."""
    names = [one.name for one in config.backend if one.plugin == NATIVE]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return wanted
    known = f"there are {', '.join(names)}; say which with --backend" if names else "there is none in the settings"
    raise click.ClickException(f"hosts join a native backend, and {known}")


def _key_fingerprint(chain: Path) -> str:
    """Of the key and not of the certificate, which is made anew now and then: SHA-256, hexadecimal."""
    key = GID.parse(chain.read_bytes()).leaf.public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
