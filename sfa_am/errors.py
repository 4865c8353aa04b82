"""What a client can be told: one tree, each class with the code of the GENI AM API.

The sentence of an error is for a researcher: what, where, what would work; ASCII; nothing about what is underneath.
Codes: GENI AM API v3, "Common Concepts", return codes. 18-23 and 26 stand in only one of the published lists and are
not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why not, for programs: one constraint that is not met, and under it those that it follows from.

    constraint: what is limited: a resource ("memory_mib"), a kind of name ("sliver type"), "policy", "state", "room"
    where:      the part of the request, or the component, that it is about
    wanted, available: amounts in the resource's unit, or names
    nearest:    what would have been granted; empty when nothing would
    """

    constraint: str
    where: str
    wanted: int | str
    available: int | str
    nearest: int | str = ""
    reasons: Sequence["Reason"] = ()


class AMError(Exception):
    """A refusal with its GENI code.

    value:   what would have been granted instead, where one is known (a time, a request); put in the reply's ``value``
    reasons: the same for programs, as a tree; stands in ``value`` when nothing else does
    """

    geni_code: ClassVar[int] = 2

    def __init__(self, sentence: str, *, value: object = "", reasons: Sequence[Reason] = ()) -> None:
        super().__init__(sentence)
        self.value = value
        self.reasons = tuple(reasons)


# The researcher should ask differently.


class BadArgs(AMError):
    """An argument, an option or the request RSpec is malformed."""

    geni_code = 1


class BadVersion(AMError):
    """An RSpec type or version that this aggregate does not speak."""

    geni_code = 4


class Unsupported(AMError):
    """Understood, but not done here, or not possible in the sliver's state."""

    geni_code = 13


class AlreadyExists(AMError):
    """What was asked for is there already."""

    geni_code = 17


# The researcher should bring something else.


class Forbidden(AMError):
    """No credential allows this call on this slice, or the slice was shut down."""

    geni_code = 3


class NotFound(AMError):
    """The slice or sliver named is not at this aggregate (SEARCHFAILED)."""

    geni_code = 12


# The researcher should ask for less, or later.


class NotFeasible(AMError):
    """More than there is, or than a request may hold (TOOBIG)."""

    geni_code = 6


class Refused(AMError):
    """Against the operator's policy."""

    geni_code = 7


class Busy(AMError):
    """Not while it is used (BUSY)."""

    geni_code = 14


# The researcher should wait for the operator.


class Unavailable(AMError):
    """The aggregate or what is under it can't be reached now."""

    geni_code = 11


class ServerError(AMError):
    """A fault of ours. The sentence carries the number under which the log holds the rest."""

    geni_code = 5
