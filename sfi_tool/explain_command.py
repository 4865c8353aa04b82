"""The command that prints why something was refused."""

import sys
from pathlib import Path

import click

from sfi_tool import output, refusals
from sfi_tool.errors import Unreadable
from sfi_tool.invocation import Invocation, pass_invocation

_STDIN = "-"


@click.command()
@click.argument("file", required=False)
@click.option("--last", "is_last", is_flag=True, help="The latest allocate that was refused.")
@output.json_option
@pass_invocation
def explain(invocation: Invocation, file: str | None, is_last: bool, as_json: bool) -> None:
    """Print why a request was refused, as a tree: what was wanted where, what there is, what would come nearest.

    FILE holds an aggregate's answer to Allocate in JSON; - is the input.
    """
    if (file is None) != is_last:
        raise click.UsageError("name a FILE, or say --last")
    if file == _STDIN:
        answer = refusals.read(sys.stdin.buffer.read(), "the input")
    else:
        path = Path(file) if file is not None else refusals.last(invocation.folder)
        try:
            answer = refusals.read(path.read_bytes(), str(path))
        except OSError as e:
            raise Unreadable(f"{path} can't be read: {e.strerror}") from e
    if as_json:
        output.print_json(answer)
    else:
        refusals.print_tree(answer)


COMMANDS: tuple[click.Command, ...] = (explain,)
