"""How long a sliver may live: what was asked for, against the credential, the state and the operator's policy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sfa_am.config import Leases
from sfa_am.errors import Refused
from sfa_am.slices.policy import LongestLease
from sfa_am.slices.states import Allocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The latest end a sliver may have, and the words for what sets it."""

    at: datetime
    because: str


def bound(
    leases: Leases,
    state: Allocation,
    *,
    credential_ends_at: datetime,
    rules: Sequence[LongestLease] = (),
    now: datetime,
) -> Bound:
    """The latest end for a sliver in `state`. `rules`: of the policy."""
    longest = leases.longest_for if state.is_made else leases.allocated_longest_for
    reason = "the longest lease here" if state.is_made else "the longest lease before Provision"
    return min(
        Bound(at=now + longest, because=reason),
        Bound(at=credential_ends_at, because="the end of your credential"),
        *(Bound(at=now + rule.time, because=f"what policy rule {rule.rule!r} allows") for rule in rules),
        key=lambda b: b.at,
    )


def first(leases: Leases, state: Allocation, asked: datetime | None, limit: Bound, *, now: datetime) -> datetime:
    """The end of a sliver that has just come into `state`: what was asked for or the default, never past the limit."""
    default = leases.default_for if state.is_made else leases.allocated_for
    return min(asked or now + default, limit.at)


def renewed(asked: datetime, limit: Bound, *, as_long_as_possible: bool) -> datetime:
    """The new end of a sliver. Raises Refused when that is past the limit, with the time that would be granted."""
    if asked <= limit.at:
        return asked
    if as_long_as_possible:
        return limit.at
    allowed = wire_time(limit.at)
    raise Refused(
        f"{wire_time(asked)} is past {limit.because}; the latest possible is {allowed} "
        "(option geni_extend_alap takes what is possible)",
        value=allowed,
    )


def wire_time(at: datetime) -> str:
    """RFC 3339, in UTC and whole seconds, as every client reads it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
