"""Changes of who belongs to a slice or a project, and with which role."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from credentials import URN
from sfa_am.authority.roles import Role
from sfa_am.errors import AlreadyExists, BadArgs, Forbidden

MOST_CHANGES = 2000
"""In one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """That a person belongs to something. uuid: the person's."""

    person: URN
    uuid: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """What a person belongs to. uuid: the slice's or project's."""

    urn: URN
    uuid: str
    role: Role
    is_expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Who is to come, to have another role, to go."""

    add: tuple[tuple[URN, Role], ...] = ()
    change: tuple[tuple[URN, Role], ...] = ()
    remove: tuple[URN, ...] = ()

    @property
    def people(self) -> tuple[URN, ...]:
        """All who are named."""
        return (*(urn for urn, _ in (*self.add, *self.change)), *self.remove)

    def only_removes(self, person: URN) -> bool:
        """Whether nothing happens but that this person goes."""
        return not self.add and not self.change and self.remove == (person,)


def changed(before: Mapping[URN, Role], changes: Changes, *, may_appoint: bool, of: URN) -> dict[URN, Role]:
    """The members of `of` afterwards.

    may_appoint: whether who asks may say who leads it

    Raises BadArgs, AlreadyExists, Forbidden.
    """
    _check(before, changes, of)
    after = {urn: role for urn, role in before.items() if urn not in changes.remove}
    after.update(changes.add)
    after.update(changes.change)
    leads, led = _leads(after), _leads(before)
    if leads != led and not may_appoint:
        raise Forbidden(f"who leads {of} is for its LEAD to say, and for those who decide over its authority")
    if led and not leads:
        raise BadArgs(f"{of} would have no LEAD left; name another first")
    return after


def _check(before: Mapping[URN, Role], changes: Changes, of: URN) -> None:
    named = Counter(changes.people)
    if len(changes.people) > MOST_CHANGES:
        raise BadArgs(f"{len(changes.people)} changes of members in one call; at most {MOST_CHANGES} are made")
    if twice := [str(urn) for urn, times in named.items() if times > 1]:
        raise BadArgs(f"named more than once: {', '.join(twice)}")
    if there := [str(urn) for urn, _ in changes.add if urn in before]:
        raise AlreadyExists(f"already a member of {of}: {', '.join(there)}; members_to_change gives another role")
    absent = [str(urn) for urn in (*(urn for urn, _ in changes.change), *changes.remove) if urn not in before]
    if absent:
        raise BadArgs(f"no member of {of}: {', '.join(absent)}")


def _leads(members: Mapping[URN, Role]) -> set[URN]:
    return {urn for urn, role in members.items() if role is Role.LEAD}
