"""The operator's policy: who may hold how much, for how long, and what else a rule of their own says.

Quotas come from the settings; whatever they can't say comes from a plugin (entry point group ``sfa_am.policies``): a
callable ``create(settings: Mapping[str, object]) -> Policy``. All of them must agree. They are asked inside the
transaction that would grant the request, so that two requests at once can't both take what is left.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Protocol

from sqlalchemy import Connection

from credentials import URN
from sfa_am.config import Quota
from sfa_am.errors import Reason, Refused
from sfa_am.store import usage

RESOURCES = {"nodes": "slivers", "cpus": "cpus", "memory_mib": "memory_mib", "disk_mib": "disk_mib"}
"""What a quota limits -> the resource by which claims count it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that there would be room for.

    actor:        the user who asks
    slice:        what it is for
    amounts:      "nodes", "cpus" (thousandths of a core), "memory_mib", "disk_mib" -> how much more
    sliver_types: of its nodes
    """

    actor: URN
    slice: URN
    amounts: Mapping[str, int]
    sliver_types: frozenset[str]


class Policy(Protocol):
    """A rule that quotas can't say. Both methods are called within a transaction, so they must answer at once."""

    def refusal(self, asked: Asked) -> str:
        """Why not, as a sentence for the researcher; empty when the request may be granted."""

    def longest(self, actor: URN, slice_urn: URN) -> timedelta | None:
        """How long a lease may reach from now; None for as long as the settings allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LongestLease:
    """A lease may reach so far from now, and no further; because of a rule of this name."""

    time: timedelta
    rule: str


class Policies:
    """All rules together."""

    def __init__(self, quotas: Sequence[Quota] = (), others: Mapping[str, Policy] | None = None) -> None:
        """others: name in the settings -> plugin"""
        self._quotas = quotas
        self._others = dict(others or {})

    def admit(self, tx: Connection, asked: Asked) -> None:
        """Raises Refused naming the rule, what was asked for and what is left."""
        for quota in self._quotas:
            if _means(quota, asked.actor, asked.slice):
                _admit(tx, quota, asked)
        for name, policy in self._others.items():
            if sentence := policy.refusal(asked):
                reason = Reason(constraint="policy", where=name, wanted=str(asked.slice), available="")
                raise Refused(f"policy {name!r}: {sentence}", reasons=[reason])

    def longest(self, actor: URN, slice_urn: URN) -> Sequence[LongestLease]:
        """What the rules allow a lease."""
        days = [
            LongestLease(time=timedelta(days=quota.lease_days), rule=quota.name)
            for quota in self._quotas
            if quota.lease_days is not None and _means(quota, actor, slice_urn)
        ]
        others = ((name, policy.longest(actor, slice_urn)) for name, policy in self._others.items())
        return [*days, *(LongestLease(time=time, rule=name) for name, time in others if time is not None)]


def _admit(tx: Connection, quota: Quota, asked: Asked) -> None:
    if quota.sliver_types is not None and (strange := sorted(asked.sliver_types.difference(quota.sliver_types))):
        allowed = ", ".join(quota.sliver_types) or "none"
        raise Refused(
            f"policy rule {quota.name!r} allows these sliver types: {allowed}; {strange[0]!r} was asked for",
            reasons=[
                Reason(
                    constraint="sliver type",
                    where=f"policy rule {quota.name}",
                    wanted=strange[0],
                    available=allowed,
                    nearest=quota.sliver_types[0] if quota.sliver_types else "",
                )
            ],
        )
    limits = {name: getattr(quota, name) for name in RESOURCES if getattr(quota, name) is not None}
    if not limits:
        return
    used = _used(tx, quota, asked)
    missing = []
    for name, limit in limits.items():
        total = round(limit * 1000) if name == "cpus" else limit
        left = max(0, total - used[RESOURCES[name]])
        if asked.amounts[name] > left:
            missing.append((name, asked.amounts[name], left, limit))
    if missing:
        parts = [
            f"{_words(name, asked_for)} asked for, {_words(name, left)} left of {limit:g} per {quota.per}"
            for name, asked_for, left, limit in missing
        ]
        raise Refused(
            f"policy rule {quota.name!r}: {'; '.join(parts)}; Delete something, or ask the operator for more",
            reasons=[
                Reason(
                    constraint=name,
                    where=f"policy rule {quota.name}",
                    wanted=asked_for,
                    available=left,
                    nearest=left,
                )
                for name, asked_for, left, _ in missing
            ],
        )


def _words(name: str, amount: int) -> str:
    match name:
        case "cpus":
            return f"{amount / 1000:g} cores"
        case "nodes":
            return f"{amount} nodes"
        case _:
            return f"{amount} MiB of {name.removesuffix('_mib')}"


def _means(quota: Quota, actor: URN, slice_urn: URN) -> bool:
    """Whether a rule is about this request."""
    return fnmatchcase(_subject(quota, actor, slice_urn).lower(), quota.match.lower())


def _subject(quota: Quota, actor: URN, slice_urn: URN) -> str:
    """Whom a rule counts for, by the name that `match` is about."""
    match quota.per:
        case "user":
            return str(actor)
        case "slice":
            return str(slice_urn)
        case "project":
            return slice_urn.authority
        case "authority":
            return slice_urn.authority.partition(":")[0]


def _used(tx: Connection, quota: Quota, asked: Asked) -> Counter[str]:
    match quota.per:
        case "user":
            return usage.of_user(tx, asked.actor)
        case "slice":
            return usage.of_slice(tx, asked.slice)
        case "project":
            return usage.of_authority(tx, asked.slice.authority, below=False)
        case "authority":
            return usage.of_authority(tx, asked.slice.authority.partition(":")[0], below=True)
