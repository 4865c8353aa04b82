"""Options and arguments that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sfi_tool.errors import Unreadable
from sfi_tool.folder import Folder, default_path

F = TypeVar("F", bound=Callable[..., Any])

KINDS = {"au": "authority", "us": "user", "sl": "slice", "no": "node", "ag": "aggregate", "al": "all"}
"""Types of records by their first two letters."""


def _known_slices(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """For a shell that completes: slices that were used before. Says nothing where there is no folder."""
    path = context.find_root().params.get("path")
    try:
        folder = Folder.open(path or default_path())
    except click.ClickException:
        return []
    return [name for name in folder.known_slices if name.startswith(incomplete)]


slice_argument = click.argument("slice_name", metavar="SLICE", shell_complete=_known_slices)
request_argument = click.argument("request", type=click.Path(path_type=Path, exists=True, dir_okay=False))


class Kind(click.ParamType):  # type: ignore[type-arg]  # a generic since click 8.4 only
    """A type of record, by two letters or more."""

    name = "TYPE"

    def __init__(self, *allowed: str) -> None:
        self._allowed = allowed or tuple(KINDS.values())

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The type in full."""
        kind = KINDS.get(str(value)[:2].lower(), "")
        if kind not in self._allowed or not (kind.startswith(str(value).lower()) or value == kind):
            self.fail(f"{value!r} is no type; {', '.join(self._allowed)} are, and two letters are enough", param, ctx)
        return kind


def file_option(what: str) -> Callable[[F], F]:
    """-o FILE."""
    return click.option(
        "-o", "--output", "out", type=click.Path(path_type=Path, dir_okay=False), help=f"Write {what} into this file."
    )


def refused(*names: str, because: str, takes_value: bool = False) -> Callable[[F], F]:
    """An option that SFAWrap's sfi has and this one has not: refused in a sentence instead of as unknown."""

    def tell(context: click.Context, parameter: click.Parameter, value: object) -> None:
        if value not in (None, False):
            raise click.UsageError(f"{names[0]} is not offered: {because}", context)

    more: dict[str, Any] = {} if takes_value else {"is_flag": True}
    return click.option(*names, hidden=True, expose_value=False, callback=tell, **more)


def words(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str] | None:
    """Callback of options that may be repeated, and hold several words between commas; None when not given."""
    if not values:
        return None
    return [word for value in values for one in value.split(",") if (word := one.strip())]


def read_request(request: Path) -> str:
    """A request RSpec in a file. Raises Unreadable."""
    try:
        return request.read_text(encoding="utf-8")
    except UnicodeDecodeError as e:
        raise Unreadable(f"{request} is not UTF-8 text") from e
    except OSError as e:
        raise Unreadable(f"{request} can't be read: {e.strerror}") from e
