"""The slice authority in the federation API's sense: slices of projects, their members, their credentials.

What a name may be and when a slice may end is the registry's to say. Every method finds out who calls and what their
roles are in the transaction in which it acts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from credentials import URN, BadName
from sfa_am.authority import roles
from sfa_am.authority.callers import Callers, Person, Shown
from sfa_am.authority.memberships import Belonging, Changes, Membership, changed
from sfa_am.authority.project_names import authority_of, authority_over, project_of
from sfa_am.authority.records import Wanted
from sfa_am.authority.registry import SLICE_PRIVILEGES, Registry
from sfa_am.authority.roles import Role
from sfa_am.errors import BadArgs, Forbidden, NotFound, Refused
from sfa_am.store import Store, authorities, events
from sfa_am.store import registry as rows
from sfa_am.store.authorities import AuthorityRow
from sfa_am.store.events import Event
from sfa_am.store.registry import RegisteredSlice

INFO_ONLY = {"info": True}
"""What auditors and operators get: to look, and not to touch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A slice as clients are told of it. project: None for one that stands directly below the top authority."""

    urn: URN
    uuid: str
    description: str
    project: URN | None
    created_at: datetime
    expires_at: datetime


class SliceAuthority:
    """Slices. All methods raise AMError subclasses."""

    def __init__(self, store: Store, callers: Callers, registry: Registry) -> None:
        self._store = store
        self._callers = callers
        self._registry = registry

    @property
    def urn(self) -> URN:
        """The top authority's name."""
        return self._registry.urn

    def project_of(self, slice_: URN) -> URN | None:
        """The project that a slice's name says it is of; None for one directly below the top."""
        authority = authority_over(slice_)
        return None if authority == self.urn else project_of(authority)

    def create(
        self,
        shown: Shown,
        name: str,
        *,
        project: URN | None,
        description: str = "",
        expires_at: datetime | None = None,
        now: datetime,
    ) -> Slice:
        """Make a slice in a project; who makes it leads it."""
        proven = self._callers.prove(shown, now=now)
        authority = self._registry.urn if project is None else authority_of(project)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            if not person.works_in(authority):
                raise Forbidden(_no_slices_in(person, project))
            above = _kept(tx, authority)
            wanted = Wanted(
                urn=_name(above.urn, name),
                description=description,
                members=(person.urn,),
                expires_at=self._end_within(above, expires_at, now),
            )
            self._registry.enter_slice(tx, wanted, now=now)
            write_down(tx, person, "create_slice", wanted.urn, now)
            return self._told(visible(tx, self._callers.person(tx, proven), wanted.urn))

    def find(self, shown: Shown, *, named: Collection[URN] | None = None, now: datetime) -> list[Slice]:
        """The slices that the caller may see, by name. named: only these."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            person = self._callers.person(tx, proven)
            # Names first: most callers see a few of many thousand slices.
            wanted = rows.slice_names(tx) if named is None else dict.fromkeys(named)
            found = [rows.slice_by_urn(tx, urn) for urn in wanted if person.sees_slice(urn)]
        return [self._told(one) for one in found if one is not None]

    def change(
        self,
        shown: Shown,
        urn: URN,
        *,
        description: str | None = None,
        expires_at: datetime | None = None,
        now: datetime,
    ) -> None:
        """Change what a slice is for, or when it ends."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            slice_ = visible(tx, person, urn)
            if not person.works_with(slice_.urn):
                raise Forbidden(f"{person.urn} may look at {urn}, and not change it")
            if expires_at is not None:
                self._end_within(_kept(tx, authority_over(slice_.urn)), expires_at, now)
            self._registry.change_slice(
                tx, Wanted(urn=slice_.urn, description=description, expires_at=expires_at), now=now
            )
            write_down(tx, person, "update_slice", slice_.urn, now)

    def credential(self, shown: Shown, urn: URN, *, now: datetime) -> str:
        """The caller's credential about a slice, with what their role is good for."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            person = self._callers.person(tx, proven)
            slice_ = visible(tx, person, urn)
            if slice_.expires_at <= now:
                raise Forbidden(f"slice {urn} expired {slice_.expires_at:%Y-%m-%dT%H:%M:%SZ}; renew it first")
            works = person.works_with(slice_.urn)
            if not works and not person.inspects(slice_.urn):
                raise Forbidden(f"{person.urn} is no member of {urn}")
        return self._registry.issue(
            person.member.gid, slice_.gid, SLICE_PRIVILEGES if works else INFO_ONLY, slice_.expires_at, now
        )

    def end(self, shown: Shown, urn: URN, *, now: datetime) -> None:
        """Let a slice end now. Its name is not free again: slivers may still be there that go by it."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            slice_ = visible(tx, person, urn)
            if not person.decides_over_slice(slice_.urn):
                raise Forbidden(f"ending {urn} is for its LEAD and ADMINs")
            if slice_.expires_at > now:
                rows.change_slice(tx, slice_.urn, expires_at=now)
            write_down(tx, person, "end_slice", slice_.urn, now)

    # Members

    def members(self, shown: Shown, urn: URN, *, now: datetime) -> list[Membership]:
        """Who belongs to a slice."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            person = self._callers.person(tx, proven)
            return memberships(tx, roles.of_slice(tx, visible(tx, person, urn).urn))

    def change_members(self, shown: Shown, urn: URN, changes: Changes, *, now: datetime) -> None:
        """Let people come and go, or give them other roles."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            slice_ = visible(tx, person, urn)
            decides = person.decides_over_slice(slice_.urn)
            if not decides and not changes.only_removes(person.urn):
                raise Forbidden(f"who belongs to {urn} is for its LEAD and ADMINs to say; {person.urn} is neither")
            leads = person.slices.get(slice_.urn) is Role.LEAD or person.decides_over(authority_over(slice_.urn))
            after = changed(roles.of_slice(tx, slice_.urn), changes, may_appoint=leads, of=slice_.urn)
            self._registry.check_known(tx, tuple(urn for urn, _ in changes.add))
            rows.set_slice_roles(tx, slice_.urn, after)
            write_down(tx, person, "modify_slice_members", slice_.urn, now)

    def slices_of(self, shown: Shown, person: URN, *, now: datetime) -> list[Belonging]:
        """What slices a person belongs to: for them, and for those who oversee everything."""
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            caller = self._callers.person(tx, proven)
            insist_on_telling(caller, person)
            held = roles.in_slices(tx, person)
            found = [(rows.slice_by_urn(tx, urn), role) for urn, role in held.items()]
            return [
                Belonging(urn=one.urn, uuid=one.uuid, role=role, is_expired=one.expires_at <= now)
                for one, role in found
                if one is not None
            ]

    def usual_end(self, slice_: URN, now: datetime) -> datetime:
        """Until when a slice is made or renewed where nobody says until when."""
        with self._store.reading() as tx:
            row = authorities.by_urn(tx, authority_over(slice_))
        usual = self._registry.usual_end(now)
        return usual if row is None or row.expires_at is None else min(usual, row.expires_at)

    def _told(self, one: RegisteredSlice) -> Slice:
        return Slice(
            urn=one.urn,
            uuid=one.uuid,
            description=one.description,
            project=self.project_of(one.urn),
            created_at=one.created_at,
            expires_at=one.expires_at,
        )

    def _end_within(self, above: AuthorityRow, expires_at: datetime | None, now: datetime) -> datetime | None:
        """A slice's end, which may not be behind its project's."""
        if above.expires_at is None:
            return expires_at
        project = project_of(above.urn)
        if above.expires_at <= now:
            raise Refused(f"{project} ended {above.expires_at:%Y-%m-%dT%H:%M:%SZ}; extend it first")
        if expires_at is not None and expires_at > above.expires_at:
            raise Refused(f"{project} ends {above.expires_at:%Y-%m-%dT%H:%M:%SZ}; a slice of it can't go on longer")
        return expires_at or min(above.expires_at, self._registry.usual_end(now))


def _kept(tx: Connection, authority: URN) -> AuthorityRow:
    """The authority, with its name as it was registered."""
    row = authorities.by_urn(tx, authority)
    if row is None:
        raise NotFound(f"Unknown project {project_of(authority)}: there is none of this name here")
    return row


def visible(tx: Connection, person: Person, urn: URN) -> RegisteredSlice:
    """A slice that the caller may see. Raises Forbidden, with one answer for unknown ones and for those of others."""
    found = rows.slice_by_urn(tx, urn)
    if found is not None and person.sees_slice(found.urn):
        return found
    if person.oversees(authority_over(urn)):
        raise NotFound(f"Unknown slice urn {urn}: there is none of this name here")
    raise Forbidden(f"{person.urn} is no member of a slice {urn} of this authority")


def memberships(tx: Connection, people: Mapping[URN, Role]) -> list[Membership]:
    """Members as clients are told of them."""
    found = [(rows.member_by_urn(tx, urn), role) for urn, role in people.items()]
    return [Membership(person=one.urn, uuid=one.uuid, role=role) for one, role in found if one is not None]


def insist_on_telling(caller: Person, person: URN) -> None:
    """What somebody belongs to is told to them, and to those who oversee everything. Raises Forbidden."""
    if person != caller.urn and not caller.oversees(caller.top):
        raise Forbidden(f"{caller.urn} is not told what {person} belongs to")


def write_down(tx: Connection, person: Person, what: str, urn: URN, now: datetime) -> None:
    """The event, with the names of the user and of the tool that spoke for them."""
    about = Event(
        at=now,
        actor=str(person.urn),
        spoken_by=person.spoken_by,
        request_id=person.request_id,
        what=what,
        slice_urn=urn if urn.type == "slice" else None,
        detail=str(urn),
    )
    events.add(tx, [about])


def _name(authority: URN, name: str) -> URN:
    try:
        return URN(authority.authority, "slice", name)
    except BadName as e:
        raise BadArgs(f"SLICE_NAME: {e}") from e


def _no_slices_in(person: Person, project: URN | None) -> str:
    if project is None:
        return f"{person.urn} may not make slices outside of projects; name one as SLICE_PROJECT_URN"
    return f"{person.urn} has no role in a project {project} with which slices are made: LEAD, ADMIN or MEMBER"
