"""What was found, and how it stands."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands; UNKNOWN is what could not be tried."""

    OK = "ok"
    LIMITED = "limited"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look at one subject gave.

    says:   a sentence of facts
    remedy: what to do about it; empty when nothing needs to be done
    """

    verdict: Verdict
    says: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An answer with its subject.

    needed: whether the native backend, as it is today, can't do without
    """

    subject: str
    verdict: Verdict
    says: str
    remedy: str = ""
    needed: bool = False

    @property
    def stands_in_the_way(self) -> bool:
        """Whether the native backend can't be relied on here because of this."""
        return self.needed and self.verdict in (Verdict.MISSING, Verdict.UNKNOWN)


def ok(says: str) -> Answer:
    """It is there and works."""
    return Answer(Verdict.OK, says)


def limited(says: str, remedy: str) -> Answer:
    """It works, with something to be said about it."""
    return Answer(Verdict.LIMITED, says, remedy)


def missing(says: str, remedy: str) -> Answer:
    """It is not there, or does not work."""
    return Answer(Verdict.MISSING, says, remedy)
