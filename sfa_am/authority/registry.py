"""The registry and slice authority: who there is, which slices, and the credentials that say so.

A service over the store, in no protocol's words. Every method authorises first, then looks, then does, in one
transaction. Operations and privileges are those of the SFA: a credential about an authority lets its holder register
below it, one about oneself lets one look around and fetch credentials for what one is a member of.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from credentials import GID, URN, Authorization
from credentials.keys import PublicKey, read_ssh_public_key
from sfa_am.authority.keys import Authority
from sfa_am.authority.project_names import authority_over
from sfa_am.authority.records import PI, USER, Record, Wanted, check
from sfa_am.authority.roles import Role
from sfa_am.config import Registry as RegistrySettings
from sfa_am.errors import AlreadyExists, BadArgs, Forbidden, NotFound, Unsupported
from sfa_am.slices.gate import Gate
from sfa_am.store import Store, authorities, events, registry, trust
from sfa_am.store.authorities import AuthorityRow
from sfa_am.store.events import Event
from sfa_am.store.registry import Member, RegisteredSlice

_SLICE_GID_FOR = timedelta(days=5 * 365)
"""A slice's certificate only names it; what ends is the slice's record and the credentials made from it."""

SLICE_PRIVILEGES = {"refresh": True, "embed": True, "bind": True, "control": True, "info": True}
USER_PRIVILEGES = {"refresh": True, "resolve": True, "info": True}
AUTHORITY_PRIVILEGES = {"authority": True, "sa": True}


class Registry:
    """The authority of this installation. All methods raise AMError subclasses."""

    def __init__(self, store: Store, gate: Gate, authority: Authority, settings: RegistrySettings) -> None:
        self._store = store
        self._gate = gate
        self._authority = authority
        self._settings = settings

    @property
    def urn(self) -> URN:
        """The authority's name."""
        return self._authority.urn

    def trusted_roots(self) -> Sequence[str]:
        """Certificates of all roots trusted here, PEM. Public."""
        with self._store.reading() as tx:
            return [row.gid for row in trust.everything(tx)]

    # Credentials

    def self_credential(self, caller: GID, urn: URN, *, now: datetime) -> str:
        """A credential about oneself, for whoever proves the key that the record of `urn` binds.

        A certificate in the last third of its life is made anew here: this is the one call that everybody makes now
        and then, and that still works with a certificate that has ended.
        """
        with self._store.reading() as tx:
            member = _holder(tx, urn, caller)
        if self._is_old(member.gid, now):
            with self._store.transaction() as tx:
                member = _holder(tx, urn, caller)  # again: somebody may have changed the key meanwhile
                self._change_member(tx, member.urn, Wanted(urn=member.urn, keys=member.keys), now)
                _write_down(tx, str(member.urn), "Update", member.urn, now)
                member = _holder(tx, urn, caller)
        return self._credential(member.gid, member.gid, USER_PRIVILEGES, None, now)

    def credential(self, caller: GID, documents: Sequence[str], urn: URN, *, now: datetime) -> str:
        """A credential about a slice, an authority or oneself, with what the caller is entitled to."""
        auth = self._gate.authorise_for_own_target(
            caller=caller, documents=documents, operation="getcredential", now=now
        )
        with self._store.reading() as tx:
            actor = self._actor(tx, auth)
            match urn.type:
                case "slice":
                    return self._slice_credential(tx, actor, urn, now)
                case "authority" if urn == self.urn and actor.role == PI:
                    gid = self._authority.issuer.gid.pem
                    return self._credential(actor.gid, gid, AUTHORITY_PRIVILEGES, None, now)
                case "user" if urn == actor.urn:
                    return self._credential(actor.gid, actor.gid, USER_PRIVILEGES, None, now)
        raise Forbidden(f"{actor.urn} has no rights on {urn} here")

    def _slice_credential(self, tx: Connection, actor: Member, urn: URN, now: datetime) -> str:
        found = registry.slice_by_urn(tx, urn)
        if found is None or (actor.urn not in found.members and actor.role != PI):
            raise Forbidden(f"{actor.urn} is no member of a slice {urn} of this authority")
        if found.expires_at <= now:
            raise Forbidden(f"slice {urn} expired {found.expires_at:%Y-%m-%dT%H:%M:%SZ}; renew it first")
        return self._credential(actor.gid, found.gid, SLICE_PRIVILEGES, found.expires_at, now)

    def _credential(
        self, owner: str, target: str, privileges: dict[str, bool], ends_at: datetime | None, now: datetime
    ) -> str:
        owner_gid = GID.parse(owner)
        ends = [now + timedelta(hours=self._settings.credential_hours), owner_gid.not_after]
        document = self._authority.issuer.issue_credential(
            owner=owner_gid,
            target=GID.parse(target),
            privileges=privileges,
            expires_at=min([*ends, *([ends_at] if ends_at else [])]),
        )
        return document.decode()

    # Records

    def resolve(self, caller: GID, documents: Sequence[str], urns: Sequence[URN], *, now: datetime) -> list[Record]:
        """The records of these names. Raises NotFound when there is none of them."""
        self._gate.authorise_for_own_target(caller=caller, documents=documents, operation="resolve", now=now)
        with self._store.reading() as tx:
            records = [record for urn in urns if (record := self._record(tx, urn)) is not None]
        if not records:
            raise NotFound(f"{', '.join(map(str, urns))} is not registered here")
        return records

    def list_records(self, caller: GID, documents: Sequence[str], authority: URN, *, now: datetime) -> list[Record]:
        """Members and slices of an authority."""
        self._gate.authorise_for_own_target(caller=caller, documents=documents, operation="list", now=now)
        if authority != self.urn:
            raise NotFound(f"authority {authority} is not kept here; {self.urn} is")
        with self._store.reading() as tx:
            people = [_member_record(member, ()) for member in registry.members(tx)]
            return [*people, *(_slice_record(one) for one in registry.slices(tx))]

    def register(self, caller: GID, documents: Sequence[str], wanted: Wanted, *, now: datetime) -> str:
        """Add a member or a slice; returns its GID. Needs a credential about the authority."""
        auth = self._gate.authorise(
            caller=caller, documents=documents, operation="register", target=self._above(wanted.urn), now=now
        )
        return self.enter(wanted, actor=str(auth.actor), now=now)

    def enter(self, wanted: Wanted, *, actor: str, now: datetime) -> str:
        """Register without a credential: for the operator, who has the keys at hand. `actor`: for the event."""
        with self._store.transaction() as tx:
            match wanted.urn.type:
                case "user":
                    gid = self._add_member(tx, wanted, now)
                case "slice":
                    gid = self._add_slice(tx, wanted, now)
                case other:
                    raise Unsupported(f"records of type {other} are not registered here; user and slice are")
            _write_down(tx, actor, "Register", wanted.urn, now)
        return gid

    def set_key(self, urn: URN, key: str, *, actor: str, now: datetime) -> str:
        """Make `key` a member's only one without a credential, for the operator. Returns the GID that binds it."""
        with self._store.transaction() as tx:
            self._change_member(tx, urn, Wanted(urn=urn, keys=(key,)), now)
            _write_down(tx, actor, "Update", urn, now)
            return self._member(tx, urn).gid

    def update(self, caller: GID, documents: Sequence[str], wanted: Wanted, *, now: datetime) -> None:
        """Change a member's keys or address, or a slice's members or end."""
        actor = self._may_change(caller, documents, wanted.urn, "update", now)
        with self._store.transaction() as tx:
            match wanted.urn.type:
                case "user":
                    self._change_member(tx, actor, wanted, now)
                case "slice":
                    self._change_slice(tx, wanted, now)
                case other:
                    raise Unsupported(f"records of type {other} can't be changed here; user and slice can")
            _write_down(tx, str(actor), "Update", wanted.urn, now)

    def remove(self, caller: GID, documents: Sequence[str], urn: URN, *, now: datetime) -> None:
        """Delete a member or a slice. Needs a credential about the authority."""
        auth = self._gate.authorise(
            caller=caller, documents=documents, operation="remove", target=self._above(urn), now=now
        )
        with self._store.transaction() as tx:
            if self._record(tx, urn) is None:
                raise NotFound(f"{urn} is not registered here")
            if urn.type == "user":
                registry.remove_member(tx, urn)
            elif urn.type == "slice":
                registry.remove_slice(tx, urn)
            else:
                raise Unsupported(f"{urn} can't be removed: it is the authority itself")
            _write_down(tx, str(auth.actor), "Remove", urn, now)

    # For the clearinghouse, which has other rules about who may, and the same ones about what can be

    def issue(
        self, owner: str, target: str, privileges: dict[str, bool], ends_at: datetime | None, now: datetime
    ) -> str:
        """A credential. owner, target: certificates, PEM; ends_at: the target's end, if it has one."""
        return self._credential(owner, target, privileges, ends_at, now)

    def usual_end(self, now: datetime) -> datetime:
        """Until when a slice is made where nobody says until when."""
        return now + timedelta(days=self._settings.slice_days)

    def enter_slice(self, tx: Connection, wanted: Wanted, *, now: datetime) -> None:
        """Add a slice below any authority that is kept here; the first of its members leads it."""
        self._add_slice(tx, wanted, now)

    def change_slice(self, tx: Connection, wanted: Wanted, *, now: datetime) -> None:
        """Change a slice's end or description."""
        self._change_slice(tx, wanted, now)

    def enter_authority(self, tx: Connection, wanted: Wanted, *, parent: URN, now: datetime) -> None:
        """Add an authority below one that is kept here."""
        check(wanted)
        if authorities.by_urn(tx, wanted.urn) is not None:
            raise AlreadyExists(f"{wanted.urn} is registered already")
        identity = uuid.uuid4()
        key = self._authority.issuer.key.public_key()
        gid = self._authority.issuer.issue_gid(wanted.urn, key, lifetime=_SLICE_GID_FOR, now=now, uuid=identity)
        authorities.add(
            tx,
            AuthorityRow(
                urn=wanted.urn,
                parent_urn=parent,
                uuid=str(identity),
                description=wanted.description or "",
                gid=gid.pem,
                expires_at=wanted.expires_at,
                created_at=now,
            ),
        )

    def change_authority(self, tx: Connection, wanted: Wanted) -> None:
        """Change what an authority is for, or when it ends."""
        check(wanted)
        if wanted.description is not None:
            authorities.change(tx, wanted.urn, description=wanted.description)
        if wanted.expires_at is not None:
            authorities.change(tx, wanted.urn, expires_at=wanted.expires_at)

    def remove_authority(self, tx: Connection, urn: URN) -> None:
        """Delete an authority. Raises BadArgs when something is still below it."""
        if below := authorities.count_below(tx, urn):
            raise BadArgs(f"{urn} can't be deleted: {below} slices, members and authorities are below it")
        authorities.remove(tx, urn)

    def check_known(self, tx: Connection, people: Sequence[URN]) -> None:
        """Raises BadArgs naming those who are not registered."""
        self._known(tx, people)

    # Inside

    def _actor(self, tx: Connection, auth: Authorization) -> Member:
        actor = registry.member_by_urn(tx, auth.actor)
        if actor is None:
            raise Forbidden(f"{auth.actor} is not registered here")
        return actor

    def _above(self, urn: URN) -> URN:
        """The authority that must agree to changes of a name. Raises BadArgs when that is not us."""
        if urn.authority.lower() != self.urn.authority.lower():
            raise BadArgs(f"{urn} is not a name of this authority, which is {self.urn}")
        return self.urn

    def _may_change(self, caller: GID, documents: Sequence[str], urn: URN, operation: str, now: datetime) -> URN:
        """A credential about the thing itself allows changing it, and so does one about the authority above it."""
        above = self._above(urn)
        try:
            auth = self._gate.authorise(caller=caller, documents=documents, operation=operation, target=urn, now=now)
        except Forbidden:
            auth = self._gate.authorise(caller=caller, documents=documents, operation=operation, target=above, now=now)
        return auth.actor

    def _record(self, tx: Connection, urn: URN) -> Record | None:
        if urn.type == "user":
            member = registry.member_by_urn(tx, urn)
            return _member_record(member, registry.slices_of(tx, urn)) if member else None
        if urn.type == "slice":
            found = registry.slice_by_urn(tx, urn)
            return _slice_record(found) if found else None
        if urn == self.urn:
            return Record(urn=self.urn, gid=self._authority.issuer.gid.pem)
        return None

    def _add_member(self, tx: Connection, wanted: Wanted, now: datetime) -> str:
        check(wanted)
        if registry.member_by_urn(tx, wanted.urn) is not None:
            raise AlreadyExists(f"{wanted.urn} is registered already")
        if wanted.email is None:
            raise BadArgs(f"{wanted.urn} needs an email address")
        if wanted.keys is None:
            raise BadArgs(f"{wanted.urn} needs a public key, RSA or ECDSA, for the certificate")
        identity = uuid.uuid4()
        gid = self._member_gid(wanted.urn, read_ssh_public_key(wanted.keys[0]), wanted.email, identity, now)
        member = Member(
            urn=wanted.urn,
            uuid=str(identity),
            email=wanted.email,
            role=wanted.role or USER,
            gid=gid,
            keys=wanted.keys,
            created_at=now,
        )
        registry.add_member(tx, member, of=self.urn)
        self._note_role(tx, member.urn, member.role)
        return gid

    def _note_role(self, tx: Connection, urn: URN, role: str) -> None:
        """A principal investigator leads the authority."""
        people = {person: held for person, held in authorities.members(tx, self.urn).items() if person != urn}
        authorities.set_members(tx, self.urn, {**people, urn: Role.LEAD} if role == PI else people)

    def _member_gid(self, urn: URN, key: PublicKey, email: str, identity: uuid.UUID, now: datetime) -> str:
        lifetime = timedelta(days=self._settings.user_days)
        gid = self._authority.issuer.issue_gid(urn, key, lifetime=lifetime, now=now, email=email, uuid=identity)
        return gid.pem

    def _is_old(self, gid: str, now: datetime) -> bool:
        """Whether a member's certificate is in the last third of its life."""
        return GID.parse(gid).not_after - now < timedelta(days=self._settings.user_days) / 3

    def _add_slice(self, tx: Connection, wanted: Wanted, now: datetime) -> str:
        check(wanted)
        above = authorities.by_urn(tx, authority_over(wanted.urn))
        if above is None:
            raise BadArgs(f"{wanted.urn} is below {authority_over(wanted.urn)}, which is not kept here")
        if registry.slice_by_urn(tx, wanted.urn) is not None:
            raise AlreadyExists(f"{wanted.urn} is registered already")
        ends_at = wanted.expires_at or now + timedelta(days=self._settings.slice_days)
        identity = uuid.uuid4()
        gid = self._slice_gid(wanted.urn, identity, ends_at, now)
        new = RegisteredSlice(
            urn=wanted.urn,
            uuid=str(identity),
            description=wanted.description or "",
            gid=gid,
            expires_at=ends_at,
            members=self._known(tx, wanted.members or ()),
            created_at=now,
        )
        registry.add_slice(tx, new, of=above.urn)
        return gid

    def _slice_gid(self, urn: URN, identity: uuid.UUID, ends_at: datetime, now: datetime) -> str:
        """A certificate that names a slice until its end at least. Raises BadArgs when that is past, or too far."""
        if ends_at <= now:
            raise BadArgs(f"the end of {urn} is past")
        key = self._authority.issuer.key.public_key()
        gid = self._authority.issuer.issue_gid(urn, key, lifetime=_SLICE_GID_FOR, now=now, uuid=identity)
        if ends_at > gid.not_after:
            raise BadArgs(f"the end of {urn} is too far; {gid.not_after:%Y-%m-%dT%H:%M:%SZ} is possible")
        return gid.pem

    def _change_member(self, tx: Connection, actor: URN, wanted: Wanted, now: datetime) -> None:
        member = self._member(tx, wanted.urn)
        check(wanted)
        if wanted.role is not None and wanted.role != member.role:
            changer = registry.member_by_urn(tx, actor)
            if changer is None or changer.role != PI:
                raise Forbidden(f"{actor} may not change the role of {wanted.urn}")
            registry.change_member(tx, wanted.urn, role=wanted.role)
            self._note_role(tx, wanted.urn, wanted.role)
        email = wanted.email or member.email
        if wanted.email is not None:
            registry.change_member(tx, wanted.urn, email=email)
        if wanted.keys is not None:
            registry.set_keys(tx, wanted.urn, wanted.keys)
            if wanted.keys[0] != member.keys[0] or self._is_old(member.gid, now):
                key = read_ssh_public_key(wanted.keys[0])
                gid = self._member_gid(member.urn, key, email, uuid.UUID(member.uuid), now)
                registry.change_member(tx, wanted.urn, gid=gid)

    def _change_slice(self, tx: Connection, wanted: Wanted, now: datetime) -> None:
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
            registry.set_slice_members(tx, wanted.urn, self._known(tx, wanted.members))

    def _member(self, tx: Connection, urn: URN) -> Member:
        member = registry.member_by_urn(tx, urn)
        if member is None:
            raise NotFound(f"{urn} is not registered here")
        return member

    def _known(self, tx: Connection, people: Sequence[URN]) -> tuple[URN, ...]:
        """Raises BadArgs naming those who are not registered: a name with a typing error must not vanish silently."""
        if strangers := [str(urn) for urn in people if registry.member_by_urn(tx, urn) is None]:
            raise BadArgs(f"not registered here: {', '.join(strangers)}")
        return tuple(dict.fromkeys(people))


def _holder(tx: Connection, urn: URN, caller: GID) -> Member:
    """The member whose key the caller has proved."""
    member = registry.member_by_urn(tx, urn)
    # One answer for both: strangers are not to learn who is registered.
    if member is None or not GID.parse(member.gid).same_key(caller):
        raise Forbidden(f"{urn} is not registered here with the key of your certificate")
    return member


def _member_record(member: Member, slices: tuple[URN, ...]) -> Record:
    return Record(
        urn=member.urn,
        gid=member.gid,
        email=member.email,
        keys=member.keys,
        role=member.role,
        created_at=member.created_at,
        slices=slices,
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


def _write_down(tx: Connection, actor: str, what: str, urn: URN, now: datetime) -> None:
    about = urn if urn.type == "slice" else None
    events.add(tx, [Event(at=now, actor=actor, what=what, slice_urn=about, detail=str(urn))])
