"""What goes over the wire, shown to who asks: -v a line for each call, -D what was said, -R what was answered."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import click

from sfi_tool import output
from sfi_tool.errors import Unreadable
from sfi_tool.servers import Exchange, Watcher

_HIDDEN = (
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        "private key",
    ),
    (re.compile(r"(?:<\?xml[^>]*\?>\s*)?<signed-credential.*?(</signed-credential>|\Z)", re.DOTALL), "credential"),
    (re.compile(r"-----BEGIN CERTIFICATE-----.*-----END CERTIFICATE-----\s*", re.DOTALL), "certificate"),
    (re.compile(r"\b((?:ssh|ecdsa|sk)-[\w@.-]+) [A-Za-z0-9+/=]{20,}"), "public key"),
)
_SECRET = re.compile(r"pass(word|phrase)?|secret|token", re.IGNORECASE)


def watchers(*, verbosity: int, raw: "Raw | None") -> Watcher | None:
    """Who is told of calls; None when nobody asked."""
    told: list[Watcher] = []
    if verbosity == 1:
        told.append(_line)
    elif verbosity > 1:
        told.append(_dialogue)
    if raw is not None:
        told.append(raw)
    if not told:
        return None

    def tell(exchange: Exchange) -> None:
        for one in told:
            one(exchange)

    return tell


class Raw:
    """Writes the answers of servers, whole, to a file or to the output ("-")."""

    def __init__(self, name: str, *, form: str, banner: str | None) -> None:
        """form: "json", an object a line, or "text" for people. Raises Unreadable when the file can't be written."""
        self._form = form
        self._banner = banner
        try:
            self._file: IO[str] = sys.stdout if name == "-" else Path(name).open("w", encoding="utf-8")  # noqa: SIM115
        except OSError as e:
            raise Unreadable(f"{name} can't be written: {e.strerror}") from e

    def __call__(self, exchange: Exchange) -> None:
        """Write one answer."""
        if self._form == "json":
            struct = {"server": exchange.url, "method": exchange.method, "answer": exchange.answer}
            lines = [json.dumps(struct, default=output.plain)]
        else:
            banner = [self._banner] if self._banner else []
            lines = [*banner, exchange.method, json.dumps(exchange.answer, indent=2, default=output.plain), *banner]
        self._file.write("".join(f"{line}\n" for line in lines))
        self._file.flush()


def redacted(value: object) -> object:
    """A value as it may be shown to others: without keys, credentials, certificates and passwords."""
    if isinstance(value, str):
        for pattern, what in _HIDDEN:
            value = pattern.sub(f"<{what} left out>", value)
        return value
    if isinstance(value, dict):
        return {name: "<left out>" if _SECRET.fullmatch(str(name)) else redacted(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [redacted(one) for one in value]
    return value


def _line(exchange: Exchange) -> None:
    click.secho(f"{exchange.url} {exchange.method} {exchange.took:.2f} s", err=True, dim=True)


def _dialogue(exchange: Exchange) -> None:
    sent = json.dumps(redacted(exchange.arguments), indent=2, default=output.plain)
    came = json.dumps(redacted(exchange.answer), indent=2, default=output.plain)
    click.secho(f"--> {exchange.url} {exchange.method}", err=True, bold=True)
    click.echo(sent, err=True)
    click.secho(f"<-- {exchange.took:.2f} s", err=True, bold=True)
    click.echo(came, err=True)
