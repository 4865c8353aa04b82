"""The member authority: what is told of members, to whom, and their SSH keys.

Names are told to every member. A mail address, first and last names and keys are told to the member, to those who share
a slice or a project with them, and to those who oversee the whole authority. Private keys are not kept at all.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from credentials import URN
from sfa_am.authority import roles
from sfa_am.authority.callers import Callers, Person, Shown
from sfa_am.authority.records import Wanted, check
from sfa_am.authority.registry import USER_PRIVILEGES, Registry
from sfa_am.authority.slice_authority import write_down
from sfa_am.errors import AlreadyExists, BadArgs, Forbidden, NotFound
from sfa_am.store import Store, profiles, registry
from sfa_am.store.profiles import Profile
from sfa_am.store.registry import Member

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberInfo:
    """A member as clients are told of them. `identity`: None for a caller who may not see it; `gid`: PEM."""

    urn: URN
    uuid: str
    gid: str
    identity: "Identity | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a member is beside their name; names may be empty."""

    email: str
    first_name: str
    last_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An SSH key of a member. id: a digest of both; public: as OpenSSH writes it, without the comment."""

    member: URN
    id: str
    type: str
    public: str
    comment: str

    @classmethod
    def of(cls, member: URN, line: str) -> "Key":
        """line: type, key and perhaps a comment."""
        kind, body, comment = (*line.split(None, 2), "")[:3]
        # The same key may be two members': with the name in it, the id says whose is meant.
        digest = hashlib.sha256(f"{str(member).lower()}\n{kind} {body}".encode()).hexdigest()
        return cls(member=member, id=digest[:32], type=kind, public=f"{kind} {body}", comment=comment)


class MemberAuthority:
    """Members and keys. All methods raise AMError subclasses."""

    def __init__(self, store: Store, callers: Callers, registry_: Registry) -> None:
        self._store = store
        self._callers = callers
        self._registry = registry_

    def find(self, shown: Shown, *, named: Collection[URN] | None = None, now: datetime) -> list[MemberInfo]:
        """All members, by name. named: only these."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            person = self._callers.person(tx, proven)
            known = _Known(tx, person)
            names = profiles.everybodys(tx)
            return [_told(one, names.get(one.urn, Profile()), known) for one in _some(tx, named)]

    def insist_on_private(self, shown: Shown, *, named: Collection[URN] | None, now: datetime) -> None:
        """Private information is for the member, and for who leads the whole authority. Raises Forbidden."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            person = self._callers.person(tx, proven)
        if not person.decides_over(person.top) and (named is None or set(named) != {person.urn}):
            raise Forbidden(f"private information is told to its member alone; match MEMBER_URN with {person.urn}")

    def insist_on_leading(self, shown: Shown, *, now: datetime) -> None:
        """Raises Forbidden for everybody else than those who lead the whole authority."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            person = self._callers.person(tx, proven)
        if not person.decides_over(person.top):
            raise Forbidden(f"{person.urn} does not lead {person.top}")

    def credential(self, shown: Shown, urn: URN, *, now: datetime) -> str:
        """The caller's credential about themselves."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            person = self._callers.person(tx, proven)
        if urn != person.urn:
            raise Forbidden(f"{person.urn} gets no credential of {urn}")
        gid = person.member.gid
        return self._registry.issue(gid, gid, USER_PRIVILEGES, None, now)

    def change(
        self,
        shown: Shown,
        urn: URN,
        *,
        email: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        now: datetime,
    ) -> None:
        """Change what a member is called and where mail reaches them."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            member = _own(tx, person, urn)
            names = {"first_name": first_name, "last_name": last_name}
            given = {name: value.strip() for name, value in names.items() if value is not None}
            for value in given.values():
                if len(value) > LONGEST_NAME or not value.isprintable():
                    raise BadArgs(f"{value!a:.40} is no name of a person; up to {LONGEST_NAME} characters are kept")
            if email is not None:
                check(Wanted(urn=member.urn, email=email))
                registry.change_member(tx, member.urn, email=email)
            if given:
                profiles.change(tx, member.urn, **given)
            write_down(tx, person, "update_member_info", member.urn, now)

    # Keys

    def keys(self, shown: Shown, *, of: Collection[URN] | None = None, now: datetime) -> list[Key]:
        """The SSH keys of members whom the caller may see more of than the name. of: only of these."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            known = _Known(tx, self._callers.person(tx, proven))
            return [Key.of(one.urn, line) for one in _some(tx, of) if one.urn in known for line in one.keys]

    def add_key(self, shown: Shown, member: URN, line: str, *, now: datetime) -> Key:
        """Add an SSH key. It goes behind the others: the first one is the certificate's, which stays."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            owner = _own(tx, person, member)
            new = Key.of(owner.urn, line)
            if any(Key.of(owner.urn, known).id == new.id for known in owner.keys):
                raise AlreadyExists(f"key {new.id} of {owner.urn} is known already")
            _set_keys(tx, owner, (*owner.keys, line))
            write_down(tx, person, "create_key", owner.urn, now)
        return new

    def describe_key(
        self, shown: Shown, key_id: str, comment: str | None, *, member: URN | None = None, now: datetime
    ) -> None:
        """Change the comment behind a key; None leaves it. member: whose it must be."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            owner, place = _key(tx, person, key_id, member)
            if comment is None:
                return
            kind, body, *_ = owner.keys[place].split()
            lines = list(owner.keys)
            lines[place] = f"{kind} {body} {comment.strip()}".rstrip()
            _set_keys(tx, owner, tuple(lines))
            write_down(tx, person, "update_key", owner.urn, now)

    def remove_key(self, shown: Shown, key_id: str, *, member: URN | None = None, now: datetime) -> None:
        """Forget a key. member: whose it must be."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            owner, place = _key(tx, person, key_id, member)
            if place == 0:
                raise BadArgs(f"key {key_id} is the one in the certificate of {owner.urn}, and can't be deleted")
            _set_keys(tx, owner, tuple(line for number, line in enumerate(owner.keys) if number != place))
            write_down(tx, person, "delete_key", owner.urn, now)


class _Known:
    """Whom a caller may see more of than the name."""

    def __init__(self, tx: Connection, person: Person) -> None:
        self._all = person.oversees(person.top)
        self._some = frozenset({person.urn, *_colleagues(tx, person)})

    def __contains__(self, urn: URN) -> bool:
        return self._all or urn in self._some


def _colleagues(tx: Connection, person: Person) -> set[URN]:
    """Those who share a slice or a project with somebody. The top authority is everybody's, and doesn't count."""
    groups = [roles.of_slice(tx, urn) for urn in person.slices]
    groups += [roles.of_authority(tx, urn) for urn in person.authorities if urn != person.top]
    return {one for group in groups for one in group}


def _told(member: Member, names: Profile, known: _Known) -> MemberInfo:
    identity = Identity(email=member.email, first_name=names.first_name, last_name=names.last_name)
    return MemberInfo(
        urn=member.urn, uuid=member.uuid, gid=member.gid, identity=identity if member.urn in known else None
    )


def _some(tx: Connection, named: Collection[URN] | None) -> list[Member]:
    if named is None:
        return list(registry.members(tx))
    return [one for urn in dict.fromkeys(named) if (one := registry.member_by_urn(tx, urn)) is not None]


def _own(tx: Connection, person: Person, urn: URN) -> Member:
    """The record that the caller may change: their own, or anybody's for who leads the whole authority."""
    if urn == person.urn:
        return person.member
    if not person.decides_over(person.top):
        raise Forbidden(f"{person.urn} may not change {urn}")
    found = registry.member_by_urn(tx, urn)
    if found is None:
        raise NotFound(f"{urn} is not registered here")
    return found


def _key(tx: Connection, person: Person, key_id: str, member: URN | None) -> tuple[Member, int]:
    """Whose key it is that the caller may change, and its place."""
    named = None if member is None else [member]
    for owner in _some(tx, named if person.decides_over(person.top) else [person.urn]):
        for place, line in enumerate(owner.keys):
            if Key.of(owner.urn, line).id == key_id and member in (None, owner.urn):
                return owner, place
    raise NotFound(f"there is no key {key_id!a:.70} that {person.urn} may change")


def _set_keys(tx: Connection, owner: Member, lines: tuple[str, ...]) -> None:
    check(Wanted(urn=owner.urn, keys=lines))
    registry.set_keys(tx, owner.urn, lines)
