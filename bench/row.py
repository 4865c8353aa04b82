"""One line of the results, and how short things are timed."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

_LONG_ENOUGH = 0.02
"""Seconds for one round; shorter ones measure the clock."""


class Row(NamedTuple):
    """What was measured beside its floor, both as rates: `rate / floor_rate` of 1 is as good as the floor.

    aim: the ratio that is aimed at; 0 where none is set
    """

    measured: str
    rate: float
    floor: str
    floor_rate: float
    unit: str
    aim: float = 0.0

    @property
    def ratio(self) -> float:
        """What part of the floor's rate was reached."""
        return self.rate / self.floor_rate


def rates(*actions: Callable[[], object], rounds: int = 15) -> list[float]:
    """How often each of some short actions can be done in a second: the median of rounds in which they take turns."""
    often = [_often_enough(action) for action in actions]
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for action, count, measured in zip(actions, often, times, strict=True):
            measured.append(_timed(action, count) / count)
    return [1 / statistics.median(measured) for measured in times]


def _often_enough(action: Callable[[], object]) -> int:
    count = 1
    while _timed(action, count) < _LONG_ENOUGH:
        count *= 2
    return count


def _timed(action: Callable[[], object], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        action()
    return time.perf_counter() - begin
