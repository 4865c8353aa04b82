"""Projects: the authorities directly below our own, by their other name, with their members."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from credentials import URN
from sfa_am.authority import roles
from sfa_am.authority.callers import Callers, Person, Shown
from sfa_am.authority.memberships import Belonging, Changes, Membership, changed
from sfa_am.authority.project_names import authority_of, project_of
from sfa_am.authority.records import Wanted
from sfa_am.authority.registry import Registry
from sfa_am.authority.roles import Role
from sfa_am.authority.slice_authority import insist_on_telling, memberships, write_down
from sfa_am.errors import BadArgs, Forbidden, NotFound
from sfa_am.store import Store, authorities
from sfa_am.store.authorities import AuthorityRow

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
"""It becomes a part of an authority's name, so of every slice's: what separates parts can't be in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project as clients are told of it. expires_at: None for one that doesn't end."""

    urn: URN
    uuid: str
    description: str
    created_at: datetime
    expires_at: datetime | None

    def is_expired(self, now: datetime) -> bool:
        """Whether it has ended."""
        return self.expires_at is not None and self.expires_at <= now


class Projects:
    """Projects. All methods raise AMError subclasses."""

    def __init__(self, store: Store, callers: Callers, registry: Registry) -> None:
        self._store = store
        self._callers = callers
        self._registry = registry

    def create(
        self, shown: Shown, name: str, *, description: str = "", expires_at: datetime | None = None, now: datetime
    ) -> Project:
        """Make a project; who makes it leads it. For those who lead or administer the top authority."""
        proven = self._callers.prove(shown, now=now)
        authority = authority_of(self._named(name))
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            if not person.decides_over(person.top):
                raise Forbidden(f"{person.urn} may not make projects; those who lead or administer {person.top} may")
            _check_end(expires_at, now)
            wanted = Wanted(urn=authority, description=description, expires_at=expires_at)
            self._registry.enter_authority(tx, wanted, parent=person.top, now=now)
            authorities.set_members(tx, authority, {person.urn: Role.LEAD})
            write_down(tx, person, "create_project", authority, now)
            return _told(self._visible(tx, self._callers.person(tx, proven), self._named(name)))

    def find(self, shown: Shown, *, named: Collection[URN] | None = None, now: datetime) -> list[Project]:
        """The projects that the caller belongs to or oversees, by name. named: only these."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            person = self._callers.person(tx, proven)
            wanted = None if named is None else {authority_of(urn) for urn in named if urn.type == "project"}
            rows = authorities.children(tx, person.top)
            return [_told(row) for row in rows if person.sees(row.urn) and (wanted is None or row.urn in wanted)]

    def change(
        self,
        shown: Shown,
        urn: URN,
        *,
        description: str | None = None,
        expires_at: datetime | None = None,
        now: datetime,
    ) -> None:
        """Change what a project is for, or when it ends."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            row = self._visible(tx, person, urn)
            if not person.decides_over(row.urn):
                raise Forbidden(f"changing {urn} is for its LEAD and ADMINs")
            _check_end(expires_at, now)
            self._registry.change_authority(tx, Wanted(urn=row.urn, description=description, expires_at=expires_at))
            write_down(tx, person, "update_project", row.urn, now)

    def remove(self, shown: Shown, urn: URN, *, now: datetime) -> None:
        """Delete a project without slices. Its LEAD's to do, and of those who decide over the top authority."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            row = self._visible(tx, person, urn)
            if not self._leads(person, row.urn):
                raise Forbidden(f"deleting {urn} is for its LEAD")
            self._registry.remove_authority(tx, row.urn)
            write_down(tx, person, "delete_project", row.urn, now)

    # Members

    def members(self, shown: Shown, urn: URN, *, now: datetime) -> list[Membership]:
        """Who belongs to a project."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            person = self._callers.person(tx, proven)
            return memberships(tx, roles.of_authority(tx, self._visible(tx, person, urn).urn))

    def change_members(self, shown: Shown, urn: URN, changes: Changes, *, now: datetime) -> None:
        """Let people come and go, or give them other roles."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            authority = self._visible(tx, person, urn).urn
            if not person.decides_over(authority) and not changes.only_removes(person.urn):
                raise Forbidden(f"who belongs to {urn} is for its LEAD and ADMINs to say; {person.urn} is neither")
            after = changed(
                roles.of_authority(tx, authority), changes, may_appoint=self._leads(person, authority), of=urn
            )
            self._registry.check_known(tx, tuple(urn for urn, _ in changes.add))
            authorities.set_members(tx, authority, after)
            write_down(tx, person, "modify_project_members", authority, now)

    def projects_of(self, shown: Shown, person: URN, *, now: datetime) -> list[Belonging]:
        """What projects a person belongs to: for them, and for those who oversee everything."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            caller = self._callers.person(tx, proven)
            insist_on_telling(caller, person)
            held = roles.in_authorities(tx, person)
            told = [(_told(row), held[row.urn]) for row in authorities.children(tx, caller.top) if row.urn in held]
            return [
                Belonging(urn=one.urn, uuid=one.uuid, role=role, is_expired=one.is_expired(now)) for one, role in told
            ]

    def _named(self, name: str) -> URN:
        if not _NAME.fullmatch(name):
            raise BadArgs(
                f"project name {name!a:.40}: 1 to 32 letters, digits, hyphens and underscores are allowed, "
                "a letter or digit first"
            )
        return URN(self._registry.urn.authority, "project", name)

    def _visible(self, tx: Connection, person: Person, urn: URN) -> AuthorityRow:
        """A project that the caller may see. Raises Forbidden, with one answer for unknown ones and others'."""
        authority = authority_of(urn)
        row = authorities.by_urn(tx, authority)
        if row is not None and row.parent_urn == person.top and person.sees(authority):
            return row
        if person.oversees(authority):
            raise NotFound(f"Unknown project {urn}: there is none of this name here")
        raise Forbidden(f"{person.urn} is no member of a project {urn} of this authority")

    def _leads(self, person: Person, authority: URN) -> bool:
        return person.authorities.get(authority) is Role.LEAD or person.decides_over(person.top)


def _told(row: AuthorityRow) -> Project:
    urn = project_of(row.urn)
    if urn is None:
        raise ValueError(f"{row.urn} stands at the top and is no project")
    return Project(
        urn=urn,
        uuid=row.uuid,
        description=row.description,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _check_end(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise BadArgs("PROJECT_EXPIRATION is past")
