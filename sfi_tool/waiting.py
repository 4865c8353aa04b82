"""Waiting until a slice's slivers are ready, or gone."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from sfi_tool import output
from sfi_tool.errors import WaitedInVain
from sfi_tool.slices import Slice
from sfi_tool.slivers import State

_MADE = ("geni_provisioned", "geni_updating")
_SETTLED = ("geni_ready", "geni_failed", "geni_notready")
_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
"""Seconds between two looks: a tenth of what was waited so far, for slow aggregates are not made faster by asking."""


def until_settled(it: Slice, timeout: float) -> list[State]:
    """Until nothing is under way any more. Raises ClickException when something failed, WaitedInVain."""

    def is_over(states: list[State]) -> bool:
        provisioned = _provisioned(states)
        _fail_with(provisioned)
        return all(state.get("geni_operational_status") in _SETTLED for state in provisioned)

    return _until(it.states, is_over, it, timeout)


def until_ready(it: Slice, timeout: float) -> list[State]:
    """Until everything is ready. Raises ClickException when something failed or nothing is there, WaitedInVain."""

    def is_over(states: list[State]) -> bool:
        provisioned = _provisioned(states)
        if not provisioned:
            raise click.ClickException(
                f"nothing of {it.hrn} is provisioned, so nothing will be ready; see `sfi provision {it.name}`"
            )
        _fail_with(provisioned)
        return all(state.get("geni_operational_status") == "geni_ready" for state in provisioned)

    return _until(it.states, is_over, it, timeout)


def until_deleted(it: Slice, timeout: float) -> list[State]:
    """Until the aggregate has nothing of it. Raises WaitedInVain."""
    return _until(it.states_if_any, lambda states: not states, it, timeout)


def _until(
    look: Callable[[], list[State]], is_over: Callable[[list[State]], bool], it: Slice, timeout: float
) -> list[State]:
    begin = time.monotonic()
    with _progress(it.name) as show:
        while True:
            states = look()
            if is_over(states):
                return states
            show(summary(states))
            waited = time.monotonic() - begin
            pause = min(max(_SHORTEST_PAUSE, waited / 10), _LONGEST_PAUSE)
            if waited + pause > timeout:
                raise WaitedInVain(f"{it.hrn} is {summary(states)} after {timeout:g} s; see `sfi status {it.name}`")
            time.sleep(pause)


def summary(states: list[State]) -> str:
    """How many slivers are in which state: "2 ready, 1 configuring"."""
    counts = Counter(_word(state) for state in states)
    return ", ".join(f"{number} {state}" for state, number in counts.most_common()) or "without slivers"


def _word(state: State) -> str:
    """The state that tells most: of what is made how it works, of the rest how far it is."""
    allocation = state.get("geni_allocation_status", "")
    told = state.get("geni_operational_status") if allocation in _MADE else ""
    return (told or allocation).removeprefix("geni_")


def _provisioned(states: list[State]) -> list[State]:
    return [state for state in states if state["geni_allocation_status"] in _MADE]


def _fail_with(states: list[State]) -> None:
    if failed := [state for state in states if state.get("geni_operational_status") == "geni_failed"]:
        raise click.ClickException(
            "; ".join(f"{state['geni_sliver_urn']} failed: {state.get('geni_error', '')}" for state in failed)
        )


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str], None]]:
    """Shows how things stand, on a terminal only."""
    if not output.is_terminal():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.text import Text

    with Console().status(Text(f"{name} ...")) as status:
        yield lambda said: status.update(Text(f"{name}: {said}"))
