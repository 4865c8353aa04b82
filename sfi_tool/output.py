"""What people see: tables and short lines; with --json what programs read."""

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from xmlrpc.client import Binary, DateTime

import click

from sfi_tool.errors import Unreadable, printable

F = TypeVar("F", bound=Callable[..., Any])

_TAB = 8


def json_option(command: F) -> F:
    """The option --json of a command that prints something."""
    return click.option("--json", "as_json", is_flag=True, help="Print for programs.")(command)


def is_terminal() -> bool:
    """Whether somebody looks on."""
    return sys.stdout.isatty()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table: with rules and colours on a terminal, in columns of tabs otherwise."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if not is_terminal():
        _plain_table(columns, rows)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        made.add_row(*map(Text, row))
    Console(soft_wrap=False).print(made)


def width() -> int:
    """Characters on a line of what is printed to."""
    return max(40, shutil.get_terminal_size().columns)


def print_json(value: Any) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2, default=plain))


def plain(value: object) -> object:
    """What XML-RPC has and JSON has not: times, which registries send in UTC, and bytes."""
    if isinstance(value, DateTime):
        with suppress(ValueError):
            return datetime.strptime(value.value, "%Y%m%dT%H:%M:%S").isoformat() + "Z"
    if isinstance(value, Binary):
        return value.data.decode("utf-8", "replace")
    return str(value)


def done(sentence: str, struct: Any, *, as_json: bool) -> None:
    """Say what was done, to people or to programs."""
    if as_json:
        print_json(struct)
    else:
        click.echo(sentence)


def hint(command: str, *, as_json: bool = False) -> None:
    """What to try next; to people only."""
    if is_terminal() and not as_json:
        click.secho(f"next: {command}", dim=True)


def text(content: str, path: Path | None, *, suffix: str = "") -> None:
    """Print, or write into a file and say so. `suffix`: what the file's name ends with, added if it doesn't.

    Raises Unreadable when the file can't be written.
    """
    if path is None:
        click.echo(content, nl=not content.endswith("\n"))
        return
    target = path if path.name.endswith(suffix) else path.with_name(path.name + suffix)
    try:
        target.write_text(content, encoding="utf-8")
    except OSError as e:
        raise Unreadable(f"{target} can't be written: {e.strerror}") from e
    click.echo(f"(Over)wrote {target}")


def _plain_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Fields joined by as many tabs as make them line up; an empty field is a dash, so that fields can be counted."""
    lines = [list(columns), *([", ".join(cell.splitlines()) or "-" for cell in row] for row in rows)]
    stops = [max(len(line[at]) for line in lines) // _TAB + 1 for at in range(len(columns))]
    for line in lines:
        filled = [cell + "\t" * (stop - len(cell) // _TAB) for cell, stop in zip(line[:-1], stops[:-1], strict=True)]
        click.echo("".join([*filled, *line[-1:]]))
