"""What people see: tables and short lines; with --json what programs read."""

import json
import shutil
from collections.abc import Iterable, Sequence
from typing import Any

import click


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, as narrow as it goes."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    made = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        made.add_row(*row)
    Console(soft_wrap=False).print(made)


def width() -> int:
    """Characters on a line of what is printed to."""
    return max(40, shutil.get_terminal_size().columns)


def as_json(value: Any) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=2, default=str))


def hint(command: str) -> None:
    """What to try next."""
    click.secho(f"next: {command}", dim=True)
