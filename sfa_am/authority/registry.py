"""The SFA registry: who there is, which slices, and the credentials that say so.

A service over the books, in no protocol's words. Every method authorises first, then looks, then does, in one
transaction. Operations and privileges are those of the SFA: a credential about an authority lets its holder register
in it and below it, one about oneself lets one look around and fetch credentials for what one is a member of.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from credentials import GID, URN, Authorization
from credentials.keys import PublicKey
from sfa_am.authority import roles
from sfa_am.authority.books import Books, write_down
from sfa_am.authority.keys import Authority
from sfa_am.authority.records import PI, Record, Wanted
from sfa_am.authority.roles import DECIDES
from sfa_am.config import Registry as RegistrySettings
from sfa_am.errors import BadArgs, Forbidden, NotFound, Unsupported
from sfa_am.slices.gate import Gate
from sfa_am.store import Store, authorities, nodes, registry, revocation, trust
from sfa_am.store.registry import Member

SLICE_PRIVILEGES = {"refresh": True, "embed": True, "bind": True, "control": True, "info": True}
USER_PRIVILEGES = {"refresh": True, "resolve": True, "info": True}
AUTHORITY_PRIVILEGES = {"authority": True, "sa": True}
NODE_PRIVILEGES = {"operator": True}

KINDS = ("authority", "slice", "user", "node")
"""What is registered here."""


class Registry(Books):
    """The registry of this installation. All methods raise AMError subclasses."""

    def __init__(self, store: Store, gate: Gate, authority: Authority, settings: RegistrySettings) -> None:
        super().__init__(store, authority, settings)
        self._gate = gate

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
            if revocation.is_revoked(tx, GID.parse(member.gid)):
                above = URN(urn.authority, "authority", "sa").hrn
                raise Forbidden(
                    f"the certificate of {urn} was revoked; whoever decides over {above} can register a new key"
                )
        if self._is_old(member.gid, now):
            with self._store.transaction() as tx:
                member = _holder(tx, urn, caller)  # again: somebody may have changed the key meanwhile
                self.change_member(tx, Wanted(urn=member.urn, keys=member.keys), now=now)
                write_down(tx, str(member.urn), "Update", member.urn, now)
                member = _holder(tx, urn, caller)
        return self.issue(member.gid, member.gid, USER_PRIVILEGES, None, now)

    def credential(self, caller: GID, documents: Sequence[str], urn: URN, *, now: datetime) -> str:
        """A credential about a slice, an authority, a node, a person: with what the caller is entitled to."""
        auth = self._gate.authorise_for_own_target(
            caller=caller, documents=documents, operation="getcredential", now=now
        )
        with self._store.reading() as tx:
            actor = self._actor(tx, auth)
            decides = _decides(tx, actor.urn, urn)
            match urn.type:
                case "slice":
                    return self._slice_credential(tx, actor, urn, decides, now)
                case "authority" if decides and (row := authorities.by_urn(tx, urn)):
                    return self.issue(actor.gid, row.gid, AUTHORITY_PRIVILEGES, row.expires_at, now)
                case "user" if (urn == actor.urn or decides) and (member := registry.member_by_urn(tx, urn)):
                    return self.issue(actor.gid, member.gid, USER_PRIVILEGES, None, now)
                case "node" if decides and (node := nodes.by_urn(tx, urn)):
                    return self.issue(actor.gid, node.gid, NODE_PRIVILEGES, None, now)
        raise Forbidden(f"{actor.urn} has no rights on {urn} here")

    def _slice_credential(self, tx: Connection, actor: Member, urn: URN, decides: bool, now: datetime) -> str:
        found = registry.slice_by_urn(tx, urn)
        if found is None or not (decides or roles.of_slice(tx, urn).get(actor.urn) in roles.WORKS):
            raise Forbidden(f"{actor.urn} is no member of a slice {urn} of this authority")
        if found.expires_at <= now:
            raise Forbidden(f"slice {urn} expired {found.expires_at:%Y-%m-%dT%H:%M:%SZ}; renew it first")
        return self.issue(actor.gid, found.gid, SLICE_PRIVILEGES, found.expires_at, now)

    def certify(
        self, caller: GID, documents: Sequence[str], urn: URN, certificate: GID | None, *, now: datetime
    ) -> str:
        """A certificate that binds `urn` to the key of another certificate, or to the one that its record has.

        The record stays as it is. Needs a credential about the name itself or about an authority above it.
        """
        self._may_change(caller, documents, urn, "update", now)
        with self._store.transaction() as tx:
            record = self._found(tx, urn)
            key = (certificate or GID.parse(record.gid)).public_key
            if not isinstance(key, PublicKey):
                raise BadArgs("cert binds a key that certificates are not made for here; RSA and ECDSA keys are")
            return self.member_gid(tx, urn, key, email=record.email or None, now=now)

    # Records

    def resolve(self, caller: GID, documents: Sequence[str], urns: Sequence[URN], *, now: datetime) -> list[Record]:
        """The records of these names. Raises NotFound when there is none of them."""
        self._gate.authorise_for_own_target(caller=caller, documents=documents, operation="resolve", now=now)
        return self._those_there(urns)

    def gids(self, caller: GID, documents: Sequence[str], urns: Sequence[URN], *, now: datetime) -> list[Record]:
        """As `resolve`, for those who may ask for certificates alone."""
        self._gate.authorise_for_own_target(caller=caller, documents=documents, operation="getgids", now=now)
        return self._those_there(urns)

    def list_records(
        self, caller: GID, documents: Sequence[str], authority: URN, *, recursive: bool = False, now: datetime
    ) -> list[Record]:
        """What is registered directly in an authority; with all below it if `recursive`."""
        self._gate.authorise_for_own_target(caller=caller, documents=documents, operation="list", now=now)
        with self._store.reading() as tx:
            row = authorities.by_urn(tx, authority)
            if row is None:
                raise NotFound(f"authority {authority.hrn} is not kept here; {self.urn.hrn} is")
            return self.records_of(tx, row.urn, below=recursive)

    def register(self, caller: GID, documents: Sequence[str], wanted: Wanted, *, now: datetime) -> str:
        """Add a record; returns its certificate. Needs a credential about an authority above the name."""
        auth = self._over(caller, documents, wanted.urn, "register", now)
        return self.enter(wanted, actor=str(auth.actor), now=now)

    def enter(self, wanted: Wanted, *, actor: str, now: datetime) -> str:
        """Register without a credential: for the operator, who has the keys at hand. `actor`: for the event."""
        with self._store.transaction() as tx:
            match wanted.urn.type:
                case "user":
                    gid = self.enter_member(tx, wanted, now=now)
                case "slice":
                    gid = self.enter_slice(tx, wanted, now=now)
                case "authority":
                    gid = self.enter_authority(tx, wanted, parent=_parent(wanted.urn), now=now)
                case "node":
                    gid = self.enter_node(tx, wanted, now=now)
                case other:
                    raise Unsupported(f"records of type {other} are not registered here; {', '.join(KINDS)} are")
            write_down(tx, actor, "Register", wanted.urn, now)
        return gid

    def set_key(self, urn: URN, key: str, *, actor: str, now: datetime) -> str:
        """Make `key` a member's only one without a credential, for the operator. Returns the GID that binds it."""
        with self._store.transaction() as tx:
            self.change_member(tx, Wanted(urn=urn, keys=(key,)), now=now)
            write_down(tx, actor, "Update", urn, now)
            return self._found(tx, urn).gid

    def update(self, caller: GID, documents: Sequence[str], wanted: Wanted, *, now: datetime) -> None:
        """Change a record. Needs a credential about the thing itself or about an authority above it.

        Who decides over an authority is for those who decide over it already to say.
        """
        auth = self._may_change(caller, documents, wanted.urn, "update", now)
        with self._store.transaction() as tx:
            if _appoints(self._found(tx, wanted.urn), wanted) and not _decides(tx, auth.actor, wanted.urn):
                deciders = "those who decide over its authority"
                raise Forbidden(f"{auth.actor} may not change the role of {wanted.urn}: that is for {deciders}")
            match wanted.urn.type:
                case "user":
                    self.change_member(tx, wanted, now=now)
                case "slice":
                    self.change_slice(tx, wanted, now=now)
                case "authority":
                    self.change_authority(tx, wanted)
                case "node":
                    self.change_node(tx, wanted)
                case other:
                    raise Unsupported(f"records of type {other} can't be changed here; {', '.join(KINDS)} can")
            write_down(tx, str(auth.actor), "Update", wanted.urn, now)

    def remove(self, caller: GID, documents: Sequence[str], urn: URN, *, now: datetime) -> None:
        """Delete a record. Needs a credential about an authority above it."""
        if urn == self.urn:
            raise Unsupported(f"{urn} can't be removed: it is the authority itself")
        auth = self._over(caller, documents, urn, "remove", now)
        with self._store.transaction() as tx:
            self._found(tx, urn)
            match urn.type:
                case "user":
                    registry.remove_member(tx, urn)
                case "slice":
                    registry.remove_slice(tx, urn)
                case "authority":
                    self.remove_authority(tx, urn)
                case "node":
                    nodes.remove(tx, urn)
            write_down(tx, str(auth.actor), "Remove", urn, now)

    # Inside

    def _actor(self, tx: Connection, auth: Authorization) -> Member:
        actor = registry.member_by_urn(tx, auth.actor)
        if actor is None:
            raise Forbidden(f"{auth.actor} is not registered here")
        return actor

    def _over(self, caller: GID, documents: Sequence[str], urn: URN, operation: str, now: datetime) -> Authorization:
        """A credential about any authority above a name will do. Raises BadArgs when the name is not below ours."""
        if not self.urn.covers(urn):
            raise BadArgs(f"{urn} is not a name of this authority, which is {self.urn}")
        return self._first_of(_authorities_over(urn, self.urn), caller, documents, operation, now)

    def _may_change(
        self, caller: GID, documents: Sequence[str], urn: URN, operation: str, now: datetime
    ) -> Authorization:
        """A credential about the thing itself allows changing it, and so does one about an authority above it."""
        if not self.urn.covers(urn):
            raise BadArgs(f"{urn} is not a name of this authority, which is {self.urn}")
        targets = list(dict.fromkeys([urn, *_authorities_over(urn, self.urn)]))
        return self._first_of(targets, caller, documents, operation, now)

    def _first_of(
        self, targets: Sequence[URN], caller: GID, documents: Sequence[str], operation: str, now: datetime
    ) -> Authorization:
        refusals = []
        for target in targets:
            try:
                return self._gate.authorise(
                    caller=caller, documents=documents, operation=operation, target=target, now=now
                )
            except Forbidden as refusal:
                refusals.append(refusal)
        raise refusals[0]

    def _those_there(self, urns: Sequence[URN]) -> list[Record]:
        with self._store.reading() as tx:
            records = [record for urn in urns if (record := self.record(tx, urn)) is not None]
        if not records:
            raise NotFound(f"{', '.join(dict.fromkeys(urn.hrn for urn in urns))} is not registered here")
        return records

    def _found(self, tx: Connection, urn: URN) -> Record:
        record = self.record(tx, urn)
        if record is None:
            raise NotFound(f"{urn} is not registered here")
        return record


def _parent(urn: URN) -> URN:
    """The authority that one is directly below. Raises BadArgs for one at the top."""
    above, colon, _ = urn.authority.rpartition(":")
    if not colon:
        raise BadArgs(f"{urn} stands at the top; only authorities below another one are registered")
    return URN(above, "authority", "sa")


def _authorities_over(urn: URN, top: URN) -> list[URN]:
    """The authorities above a name, from the nearest up to `top`. An authority is not above itself."""
    labels = urn.authority.split(":")
    if urn.type == "authority" and urn != top:
        labels = labels[:-1]
    lengths = range(len(labels), len(top.authority.split(":")) - 1, -1)
    return [URN(":".join(labels[:length]), "authority", "sa") for length in lengths]


def _decides(tx: Connection, person: URN, urn: URN) -> bool:
    """Whether a person leads or administers an authority that a name is in, or is."""
    above = URN(urn.authority, "authority", "sa")
    return any(role in DECIDES and held.covers(above) for held, role in roles.in_authorities(tx, person).items())


def _appoints(now: Record, wanted: Wanted) -> bool:
    """Whether a change says who decides over an authority, otherwise than it is; clients send back what they read."""
    own = URN(now.urn.authority, "authority", "sa")
    is_other_role = wanted.role is not None and (wanted.role == PI) != (own in now.pi_of)
    return is_other_role or (wanted.pis is not None and set(wanted.pis) != set(now.pis))


def _holder(tx: Connection, urn: URN, caller: GID) -> Member:
    """The member whose key the caller has proved."""
    member = registry.member_by_urn(tx, urn)
    # One answer for both: strangers are not to learn who is registered.
    if member is None or not GID.parse(member.gid).same_key(caller):
        raise Forbidden(f"{urn} is not registered here with the key of your certificate")
    return member
