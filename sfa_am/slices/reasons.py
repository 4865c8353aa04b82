"""Why a request can't be granted, all of it at once: who mends one thing after the other asks again each time."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sfa_am.errors import AMError, Reason

_MOST = 20
"""Reasons beside one another: a request for a thousand machines that don't exist has no need of a thousand."""


@contextmanager
def refusals_together() -> Iterator[Callable[..., None]]:
    """A block in which several things are tried by calling what it yields with a function and its arguments.

    When something was refused, the first refusal is raised at the end of the block, with the reasons of all of them.
    """
    refusals: list[AMError] = []

    def attempt(work: Callable[..., object], *arguments: Any) -> None:
        try:
            work(*arguments)
        except AMError as refusal:
            refusals.append(refusal)

    yield attempt
    if refusals:
        first, more = refusals[0], len(refusals) - 1
        sentence = f"{first}{f' (and {more} more can not be had as asked)' if more else ''}"
        reasons = [reason for refusal in refusals for reason in refusal.reasons]
        raise type(first)(sentence, value=first.value, reasons=first_few(reasons)) from first


def unknown(where: str, what: str, name: str, known: Sequence[str]) -> Reason:
    """Something was named that is not offered here. `known`: what is."""
    near = difflib.get_close_matches(name, known, n=1)
    return Reason(
        constraint=what,
        where=where,
        wanted=name,
        available=", ".join(known[:_MOST]),
        nearest=near[0] if near else "",
    )


def first_few(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """The reasons, cut where there are too many to read."""
    return tuple(reasons[:_MOST])
