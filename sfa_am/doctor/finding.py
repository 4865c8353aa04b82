"""One thing that was looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    LIMITED = "limited"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found about one subject.

    needed: whether the native backend, as it is today, can't do without
    says:   a sentence of facts
    remedy: what to do about it; empty when nothing needs to be done
    """

    subject: str
    verdict: Verdict
    says: str
    remedy: str = ""
    needed: bool = False
