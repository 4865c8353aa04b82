"""What an aggregate said when it refused an Allocate: kept for `sfi explain --last`, printed as a tree of reasons."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from sfi_tool import output
from sfi_tool.errors import Refusal, Unreadable, printable
from sfi_tool.folder import Folder

REASONS = "sfa_reasons"

_LAST = "last-refusal.json"
_DEEPEST = 20
"""Levels of reasons that are printed."""

_Branch = tuple[str, list[Any]]


def keep(folder: Folder, refusal: Refusal, *, slice_hrn: str) -> None:
    """Remember a refusal. That it can't be written is no reason to hide it."""
    struct = {
        "slice": slice_hrn,
        "code": {"geni_code": refusal.code},
        "output": refusal.message,
        "value": refusal.value,
    }
    with suppress(OSError):
        folder.cached(_LAST).write_text(json.dumps(struct, indent=2, default=str))


@contextmanager
def kept(folder: Folder, slice_hrn: str) -> Iterator[None]:
    """Remember a refusal inside the block, and say how to read its reasons."""
    try:
        yield
    except Refusal as e:
        keep(folder, e, slice_hrn=slice_hrn)
        if has_reasons(e):
            e.advice = "The reasons: sfi explain --last"
        raise


def last(folder: Folder) -> Path:
    """The file of the refusal that was kept. Raises Unreadable: there is none."""
    path = folder.cached(_LAST)
    if not path.is_file():
        raise Unreadable("no allocate was refused yet, so there is nothing to explain")
    return path


def has_reasons(refusal: Refusal) -> bool:
    """Whether there is more to know than the sentence."""
    return bool(_reasons(refusal.value))


def read(content: bytes | str, name: str) -> Mapping[str, Any]:
    """An aggregate's answer, or its value alone, in JSON. Raises Unreadable."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as e:
        raise Unreadable(f"{name} is no JSON: {e}") from e
    if isinstance(answer, list):
        return {"value": {REASONS: answer}}
    if not isinstance(answer, dict):
        raise Unreadable(f"{name} holds no answer of an aggregate: a struct with code, output and value is expected")
    return {"value": answer} if REASONS in answer else answer


def print_tree(answer: Mapping[str, Any]) -> None:
    """Print why, with what would have been possible."""
    if answer.get("slice"):
        click.echo(f"Slice {answer['slice']}")
    trunk: _Branch = (_plain(answer.get("output")) or "Refused", [*_branches(_reasons(answer.get("value")), 0)])
    if not trunk[1]:
        click.echo(trunk[0])
        click.echo("The aggregate gave no reasons beside this sentence.")
    elif output.is_terminal():
        _print_rich(trunk)
    else:
        click.echo("\n".join(_lines(trunk, 0)))


def _reasons(value: object) -> Sequence[object]:
    found = value.get(REASONS) if isinstance(value, Mapping) else None
    return found if isinstance(found, list) else []


def _branches(reasons: Sequence[object], depth: int) -> Iterator[_Branch]:
    """A sentence for each reason, with those below it."""
    for reason in reasons:
        if not isinstance(reason, Mapping):
            yield _plain(reason), []
            continue
        facts = [f"{key} {said}" for key in ("wanted", "available", "nearest") if (said := _plain(reason.get(key)))]
        where = _plain(reason.get("where"))
        head = " ".join(filter(None, [_plain(reason.get("constraint")) or "reason", f"at {where}" if where else ""]))
        below = reason.get("reasons")
        deeper = below if isinstance(below, list) and depth < _DEEPEST else []
        yield (f"{head}: {', '.join(facts)}" if facts else head), [*_branches(deeper, depth + 1)]


def _lines(branch: _Branch, depth: int) -> Iterator[str]:
    yield "  " * depth + branch[0]
    for below in branch[1]:
        yield from _lines(below, depth + 1)


def _print_rich(trunk: _Branch) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    def grow(tree: Tree, branches: list[Any]) -> None:
        for sentence, below in branches:
            constraint, colon, facts = sentence.partition(":")
            grow(tree.add(Text.assemble((constraint, "bold"), colon, facts)), below)

    tree = Tree(Text(trunk[0], style="red"))
    grow(tree, trunk[1])
    Console().print(tree)


def _plain(value: object) -> str:
    """A fact on one line, without what would move a terminal's cursor."""
    if value is None or value == "":
        return ""
    text = json.dumps(value) if isinstance(value, list | dict) else str(value)
    return " ".join(printable(text).split())
