"""The books of this authority: members, slices, authorities below ours, nodes: what can stand in them.

Who may change them is for others to say (the registry by credentials, the clearinghouse by roles); every method works
in the transaction of whoever asks. All raise AMError subclasses.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from credentials import GID, URN
from credentials.keys import PublicKey, read_ssh_public_key
from sfa_am.authority import roles
from sfa_am.authority.keys import Authority
from sfa_am.authority.records import PI, Record, Wanted, check
from sfa_am.authority.roles import DECIDES, Role
from sfa_am.config import Registry as RegistrySettings
from sfa_am.errors import AlreadyExists, BadArgs, NotFound, Refused
from sfa_am.store import Store, authorities, events, nodes, registry, revocation
from sfa_am.store.authorities import AuthorityRow
from sfa_am.store.events import Event
from sfa_am.store.nodes import NodeRow
from sfa_am.store.registry import Member, RegisteredSlice

_NAME_GID_FOR = timedelta(days=5 * 365)
"""A slice's, an authority's or a node's certificate only names it; what ends is the record and the credentials."""


class Books:
    """What this installation's authority keeps of names."""

    def __init__(self, store: Store, authority: Authority, settings: RegistrySettings) -> None:
        self._store = store
        self._authority = authority
        self._settings = settings

    @property
    def urn(self) -> URN:
        """The top authority's name."""
        return self._authority.urn

    # Reading

    def record(self, tx: Connection, urn: URN) -> Record | None:
        """What is kept of a name; None for one that is not."""
        match urn.type:
            case "user":
                member = registry.member_by_urn(tx, urn)
                return _member_record(tx, member) if member else None
            case "slice":
                slice_ = registry.slice_by_urn(tx, urn)
                return _slice_record(slice_) if slice_ else None
            case "authority":
                row = authorities.by_urn(tx, URN(urn.authority, "authority", "sa"))
                return _authority_record(tx, row) if row else None
            case "node":
                node = nodes.by_urn(tx, urn)
                return _node_record(node) if node else None
        return None

    def records_of(self, tx: Connection, authority: URN, *, below: bool) -> list[Record]:
        """Everything directly in an authority; with all that is in those below it if `below`."""
        wanted = [row for row in authorities.everything(tx) if authority.covers(row.urn)]
        inside = {row.urn for row in wanted} if below else {authority}

        def is_inside(urn: URN) -> bool:
            return URN(urn.authority, "authority", "sa") in inside

        subs = [row for row in wanted if row.parent_urn in inside]
        return [
            *(_authority_record(tx, row) for row in subs),
            *(_member_record(tx, one) for one in registry.members(tx) if is_inside(one.urn)),
            *(_slice_record(one) for one in registry.slices(tx) if is_inside(one.urn)),
            *(_node_record(one) for one in nodes.everything(tx) if is_inside(one.urn)),
        ]

    def authority(self, tx: Connection, urn: URN) -> AuthorityRow:
        """An authority that is kept here. Raises BadArgs naming ours: a name below another is another's to give."""
        row = authorities.by_urn(tx, urn)
        if row is None:
            raise BadArgs(f"authority {urn.hrn} is not kept here; {self.urn.hrn} is, with those registered below it")
        return row

    def usual_end(self, now: datetime) -> datetime:
        """Until when a slice is made where nobody says until when."""
        return now + timedelta(days=self._settings.slice_days)

    def check_known(self, tx: Connection, people: Sequence[URN]) -> tuple[URN, ...]:
        """People without repetition. Raises BadArgs naming strangers: a misspelt name must not vanish silently."""
        if strangers := [str(urn) for urn in people if registry.member_by_urn(tx, urn) is None]:
            raise BadArgs(f"not registered here: {', '.join(strangers)}")
        return tuple(dict.fromkeys(people))

    # Members

    def enter_member(self, tx: Connection, wanted: Wanted, *, now: datetime) -> str:
        """Add a person; returns their certificate, PEM."""
        check(wanted)
        above = self.authority(tx, _above(wanted.urn))
        if registry.member_by_urn(tx, wanted.urn) is not None:
            raise AlreadyExists(f"{wanted.urn} is registered already")
        if wanted.email is None:
            raise BadArgs(f"{wanted.urn} needs an email address")
        if wanted.keys is None:
            raise BadArgs(f"{wanted.urn} needs a public key, RSA or ECDSA, for the certificate")
        identity = uuid.uuid4()
        key = read_ssh_public_key(wanted.keys[0])
        gid = self.member_gid(tx, wanted.urn, key, email=wanted.email, identity=identity, now=now)
        member = Member(
            urn=wanted.urn, uuid=str(identity), email=wanted.email, gid=gid, keys=wanted.keys, created_at=now
        )
        registry.add_member(tx, member, of=above.urn)
        if wanted.role == PI:
            self.appoint(tx, above.urn, wanted.urn)
        return gid

    def change_member(self, tx: Connection, wanted: Wanted, *, now: datetime) -> None:
        """Change a person's address or keys. A new first key brings a new certificate."""
        member = registry.member_by_urn(tx, wanted.urn)
        if member is None:
            raise NotFound(f"{wanted.urn} is not registered here")
        check(wanted)
        if wanted.role is not None:
            above = _above(member.urn)
            if wanted.role == PI:
                self.appoint(tx, above, member.urn)
            else:
                self.dismiss(tx, above, member.urn)
        email = wanted.email or member.email
        if wanted.email is not None:
            registry.change_member(tx, wanted.urn, email=email)
        if wanted.keys is not None:
            registry.set_keys(tx, wanted.urn, wanted.keys)
            if wanted.keys[0] != member.keys[0] or self._may_be_renewed(tx, member, now):
                key = read_ssh_public_key(wanted.keys[0])
                identity = uuid.UUID(member.uuid)
                gid = self.member_gid(tx, member.urn, key, email=email, identity=identity, now=now)
                registry.change_member(tx, wanted.urn, gid=gid)

    def appoint(self, tx: Connection, authority: URN, person: URN) -> None:
        """Let a person lead an authority, unless they decide over it already."""
        people = roles.of_authority(tx, authority)
        if people.get(person) not in DECIDES:
            authorities.set_members(tx, authority, {**people, person: Role.LEAD})

    def dismiss(self, tx: Connection, authority: URN, person: URN) -> None:
        """Let a person decide over an authority no more. Raises BadArgs when nobody would be left at the top."""
        people = roles.of_authority(tx, authority)
        if people.get(person) not in DECIDES:
            return
        others = {one: role for one, role in people.items() if one != person}
        if authority == self.urn and not DECIDES.intersection(others.values()):
            raise BadArgs(f"{authority.hrn} would have nobody left who decides over it")
        authorities.set_members(tx, authority, others)

    def member_gid(
        self,
        tx: Connection,
        urn: URN,
        key: PublicKey,
        *,
        email: str | None,
        identity: uuid.UUID | None = None,
        now: datetime,
    ) -> str:
        """A certificate that binds a name to a key, PEM; noted, so that it can be revoked later."""
        lifetime = timedelta(days=self._settings.user_days)
        gid = self._authority.issuer.issue_gid(urn, key, lifetime=lifetime, now=now, email=email, uuid=identity)
        revocation.note_issued(tx, gid, now=now)
        return gid.pem

    def _may_be_renewed(self, tx: Connection, member: Member, now: datetime) -> bool:
        """Whether the same key gets a new certificate: one that was revoked does not come back by growing old."""
        return self._is_old(member.gid, now) and not revocation.is_revoked(tx, GID.parse(member.gid))

    def _is_old(self, gid: str, now: datetime) -> bool:
        """Whether a member's certificate is in the last third of its life."""
        return GID.parse(gid).not_after - now < timedelta(days=self._settings.user_days) / 3

    # Slices

    def enter_slice(self, tx: Connection, wanted: Wanted, *, now: datetime) -> str:
        """Add a slice in any authority kept here; the first of its members leads it. Returns its certificate, PEM."""
        check(wanted)
        above = self.authority(tx, _above(wanted.urn))
        if registry.slice_by_urn(tx, wanted.urn) is not None:
            raise AlreadyExists(f"{wanted.urn} is registered already")
        if above.expires_at is not None and above.expires_at <= now:
            raise Refused(f"authority {above.urn.hrn} ended {above.expires_at:%Y-%m-%dT%H:%M:%SZ}")
        ends_at = wanted.expires_at or self.usual_end(now)
        identity = uuid.uuid4()
        gid = self._slice_gid(wanted.urn, identity, ends_at, now)
        people = self.check_known(tx, wanted.members or ())
        new = RegisteredSlice(
            urn=wanted.urn,
            uuid=str(identity),
            description=wanted.description or "",
            gid=gid,
            expires_at=ends_at,
            members=(),
            created_at=now,
        )
        registry.add_slice(tx, new, of=above.urn)
        registry.set_slice_roles(tx, wanted.urn, _with_a_lead(people, {}))
        return gid

    def change_slice(self, tx: Connection, wanted: Wanted, *, now: datetime) -> None:
        """Change a slice's end, description or members. Those who stay keep their roles."""
        found = registry.slice_by_urn(tx, wanted.urn)
        if found is None:
            raise NotFound(f"{wanted.urn} is not registered here")
        check(wanted)
        if wanted.expires_at is not None:
            if wanted.expires_at <= now:
                raise BadArgs(f"the new end of {wanted.urn} is past")
            gid = found.gid
            if wanted.expires_at > GID.parse(gid).not_after:
                gid = self._slice_gid(found.urn, uuid.UUID(found.uuid), wanted.expires_at, now)
            registry.change_slice(tx, wanted.urn, expires_at=wanted.expires_at, gid=gid)
        if wanted.description is not None:
            registry.change_slice(tx, wanted.urn, description=wanted.description)
        if wanted.members is not None:
            people = self.check_known(tx, wanted.members)
            registry.set_slice_roles(tx, found.urn, _with_a_lead(people, roles.of_slice(tx, found.urn)))

    def _slice_gid(self, urn: URN, identity: uuid.UUID, ends_at: datetime, now: datetime) -> str:
        """A certificate that names a slice until its end at least. Raises BadArgs when that is past, or too far."""
        if ends_at <= now:
            raise BadArgs(f"the end of {urn} is past")
        gid = self._name_gid(urn, identity, now)
        if ends_at > gid.not_after:
            raise BadArgs(f"the end of {urn} is too far; {gid.not_after:%Y-%m-%dT%H:%M:%SZ} is possible")
        return gid.pem

    # Authorities below ours

    def enter_authority(self, tx: Connection, wanted: Wanted, *, parent: URN, now: datetime) -> str:
        """Add an authority below one that is kept here; returns its certificate.

        It has no key of its own: what is named below it is vouched for by the top authority, as all else here.
        """
        check(wanted)
        self.authority(tx, parent)
        if authorities.by_urn(tx, wanted.urn) is not None:
            raise AlreadyExists(f"{wanted.urn} is registered already")
        identity = uuid.uuid4()
        gid = self._name_gid(wanted.urn, identity, now).pem
        row = AuthorityRow(
            urn=wanted.urn,
            parent_urn=parent,
            uuid=str(identity),
            description=wanted.description or "",
            gid=gid,
            expires_at=wanted.expires_at,
            created_at=now,
        )
        authorities.add(tx, row)
        self._set_pis(tx, wanted)
        return gid

    def change_authority(self, tx: Connection, wanted: Wanted) -> None:
        """Change what an authority is for, when it ends, or who decides over it."""
        check(wanted)
        if wanted.description is not None:
            authorities.change(tx, wanted.urn, description=wanted.description)
        if wanted.expires_at is not None:
            authorities.change(tx, wanted.urn, expires_at=wanted.expires_at)
        self._set_pis(tx, wanted)

    def _set_pis(self, tx: Connection, wanted: Wanted) -> None:
        """Make those decide over an authority who are named, and nobody else. Its other members stay."""
        if wanted.pis is None:
            return
        named = self.check_known(tx, wanted.pis)
        before = roles.of_authority(tx, wanted.urn)
        others = {one: role for one, role in before.items() if role not in DECIDES and one not in named}
        if wanted.urn == self.urn and not named:
            raise BadArgs(f"{wanted.urn.hrn} would have nobody left who decides over it")
        kept = {one: role if (role := before.get(one)) in DECIDES else Role.LEAD for one in named}
        authorities.set_members(tx, wanted.urn, {**others, **kept})

    def remove_authority(self, tx: Connection, urn: URN) -> None:
        """Delete an authority. Raises BadArgs when something is still below it."""
        if below := authorities.count_below(tx, urn):
            raise BadArgs(f"{urn} can't be deleted: {below} slices, members, nodes and authorities are below it")
        authorities.remove(tx, urn)

    # Nodes

    def enter_node(self, tx: Connection, wanted: Wanted, *, now: datetime) -> str:
        """Add a node's record; returns its certificate."""
        check(wanted)
        above = self.authority(tx, _above(wanted.urn))
        if nodes.by_urn(tx, wanted.urn) is not None:
            raise AlreadyExists(f"{wanted.urn} is registered already")
        identity = uuid.uuid4()
        gid = self._name_gid(wanted.urn, identity, now).pem
        row = NodeRow(
            urn=wanted.urn,
            authority_urn=above.urn,
            uuid=str(identity),
            hostname=wanted.hostname or wanted.urn.name,
            gid=gid,
            created_at=now,
        )
        nodes.add(tx, row)
        return gid

    def change_node(self, tx: Connection, wanted: Wanted) -> None:
        """Change a node's host name."""
        check(wanted)
        if nodes.by_urn(tx, wanted.urn) is None:
            raise NotFound(f"{wanted.urn} is not registered here")
        if wanted.hostname is not None:
            nodes.change(tx, wanted.urn, hostname=wanted.hostname)

    def _name_gid(self, urn: URN, identity: uuid.UUID, now: datetime) -> GID:
        """A certificate that only names something: it binds our own key, which nobody else holds."""
        key = self._authority.issuer.key.public_key()
        return self._authority.issuer.issue_gid(urn, key, lifetime=_NAME_GID_FOR, now=now, uuid=identity)

    # Credentials

    def issue(
        self, owner: str, target: str, privileges: Mapping[str, bool], ends_at: datetime | None, now: datetime
    ) -> str:
        """A credential. owner, target: certificates, PEM; ends_at: the target's end, if it has one."""
        owner_gid = GID.parse(owner)
        ends = [now + timedelta(hours=self._settings.credential_hours), owner_gid.not_after]
        document = self._authority.issuer.issue_credential(
            owner=owner_gid,
            target=GID.parse(target),
            privileges=dict(privileges),
            expires_at=min([*ends, *([ends_at] if ends_at else [])]),
        )
        return document.decode()


def write_down(tx: Connection, actor: str, what: str, urn: URN, now: datetime) -> None:
    """The event of a change. `actor`: who made it."""
    about = urn if urn.type == "slice" else None
    events.add(tx, [Event(at=now, actor=actor, what=what, slice_urn=about, detail=str(urn))])


def _above(urn: URN) -> URN:
    """The authority that a member, a slice or a node is named after."""
    return URN(urn.authority, "authority", "sa")


def _with_a_lead(people: Sequence[URN], before: Mapping[URN, Role]) -> dict[URN, Role]:
    """Members with their roles: those they had; the first named leads where nobody did."""
    after = {one: before.get(one, Role.MEMBER) for one in people}
    if after and Role.LEAD not in after.values():
        after[people[0]] = Role.LEAD
    return after


def _member_record(tx: Connection, member: Member) -> Record:
    held = roles.in_authorities(tx, member.urn)
    return Record(
        urn=member.urn,
        gid=member.gid,
        email=member.email,
        keys=member.keys,
        created_at=member.created_at,
        slices=registry.slices_of(tx, member.urn),
        pi_of=tuple(urn for urn, role in held.items() if role in DECIDES),
    )


def _slice_record(one: RegisteredSlice) -> Record:
    return Record(
        urn=one.urn,
        gid=one.gid,
        description=one.description,
        members=one.members,
        expires_at=one.expires_at,
        created_at=one.created_at,
    )


def _authority_record(tx: Connection, row: AuthorityRow) -> Record:
    people = roles.of_authority(tx, row.urn)
    return Record(
        urn=row.urn,
        gid=row.gid,
        description=row.description,
        pis=tuple(urn for urn, role in people.items() if role in DECIDES),
        expires_at=row.expires_at,
        created_at=row.created_at,
    )


def _node_record(row: NodeRow) -> Record:
    return Record(urn=row.urn, gid=row.gid, hostname=row.hostname, created_at=row.created_at)
