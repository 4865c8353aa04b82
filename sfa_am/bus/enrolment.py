"""How hosts come to a backend, and how they go: invited by name, admitted once, removed.

The rows say who may be on the bus; the server's file is derived from them, after each change and now and then, so that
a change that was interrupted between the two is made up for.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import Connection

from backends import enrolment
from backends.enrolment import Admission, Application
from credentials import GID
from credentials.keys import LEAST_RSA_BITS, PublicKey
from sfa_am.bus import configuration
from sfa_am.bus.folder import BusFolder
from sfa_am.errors import AlreadyExists, BadArgs, Forbidden
from sfa_am.orchestration import upkeep
from sfa_am.orchestration.upkeep import HostRow, Lodger
from sfa_am.store import Store, events, node_managers, offers
from sfa_am.store.events import Event
from sfa_am.store.node_managers import InvitationRow, NodeManagerRow

LONGEST_VALID = timedelta(days=7)
"""Whoever finds an invitation lying about can use it."""

_REMEMBERED_FOR = timedelta(days=30)
"""So long after its end an old invitation is answered with what became of it."""

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The hosts of an installation. Safe to use from many threads and processes."""

    store: Store
    folder: BusFolder

    def invite(self, backend: str, name: str, *, valid: timedelta, replaces: bool, actor: str, now: datetime) -> str:
        """A secret by which one host may join as `name`, once, until `now + valid`.

        replaces: the host of this name that has joined gives way to the one that comes

        Raises AlreadyExists, BadArgs, Unavailable (there is no bus).
        """
        if not enrolment.NAME.fullmatch(name):
            raise BadArgs(f"{name!a:.60} is no name for a node: up to 40 letters, digits, _ and - are")
        if not timedelta(0) < valid <= LONGEST_VALID:
            raise BadArgs(f"an invitation is good for some time up to {LONGEST_VALID.days} days")
        _ = self.folder.settings
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        row = InvitationRow(
            digest=_digest(secret),
            backend=backend,
            name=name,
            replaces=replaces,
            created_at=now,
            expires_at=now + valid,
        )
        with self.store.transaction() as tx:
            if not replaces:
                self._refuse_taken(tx, backend, name)
            node_managers.forget_invitations(tx, ended_before=now - _REMEMBERED_FOR)
            node_managers.invite(tx, row)
            events.add(tx, [Event(at=now, actor=actor, what="node invited", detail=f"{name} of {backend}")])
        return secret

    def admit(self, application: Application, shown: GID, *, now: datetime) -> Admission:
        """Let a host in that has a secret. shown: the certificate whose key it proved to have; what it says is ignored.

        A host that asks again with the keys it was let in with is answered again: the first answer may have been lost.
        Raises Forbidden, AlreadyExists, BadArgs, Unavailable.
        """
        settings, digest = self.folder.settings, _digest(application.secret)
        key = _usable(shown)
        with self.store.transaction() as tx:
            invitation = self._invitation(tx, digest, application.nkey, now)
            backend, name = invitation.backend, invitation.name
            certificate = self.folder.certify("node", name, key, now=now)
            row = NodeManagerRow(
                backend=backend,
                name=name,
                nkey=application.nkey,
                certificate_fingerprint=certificate.fingerprint,
                joined_at=now,
            )
            if invitation.used_by is None:
                if not invitation.replaces:
                    self._refuse_taken(tx, backend, name)
                node_managers.use(tx, digest, application.nkey)
                offers.readmit(tx, backend, name)
                events.add(tx, [Event(at=now, actor=f"node {name}", what="node joined", detail=f"{name} of {backend}")])
            node_managers.put(tx, row)
        self.publish()
        return Admission(
            name=name,
            bus=settings.urls,
            roots=self.folder.roots(),
            certificate=certificate.leaf_pem,
            prefix=enrolment.prefix_of(backend),
        )

    def remove(self, one: HostRow, *, force: bool, actor: str, now: datetime) -> Sequence[Lodger]:
        """Forget a host and let it be on the bus no more: it is cut off at once. What runs on it is not touched.

        force: although slivers are there; they end, and are returned. Raises Busy, Unsupported.
        """
        with self.store.transaction() as tx:
            lost = upkeep.remove(tx, one, force=force, actor=actor, now=now)
            node_managers.take_back_invitations(tx, one.backend, one.name)
        if self.folder.is_founded:
            self.publish()
        return lost

    def nodes(self) -> Sequence[NodeManagerRow]:
        """All that have joined."""
        with self.store.reading() as tx:
            return node_managers.everything(tx)

    def publish(self) -> None:
        """Make the server's list of users what the rows say."""
        with self.folder.turn():
            text = configuration.users(
                controllers=self.folder.controllers(),
                nodes=[(enrolment.prefix_of(one.backend), one.name, one.nkey) for one in self.nodes()],
                leaves=self.folder.leaves(),
            )
            self.folder.admit(text)

    def _invitation(self, tx: Connection, digest: str, nkey: str, now: datetime) -> InvitationRow:
        """The invitation with a secret, if this host may use it."""
        found = node_managers.invitation(tx, digest)
        if found is None:
            raise Forbidden("this invitation is not known here, or was taken back; ask for another one")
        if found.used_by is not None:
            here = node_managers.by_nkey(tx, nkey)
            if found.used_by != nkey or here is None or here.name != found.name:
                raise Forbidden(f"this invitation was used already, for {found.name}; ask for another one")
        if found.expires_at <= now:
            ended = f"{found.expires_at:%Y-%m-%d %H:%M:%S} UTC"
            raise Forbidden(f"this invitation expired {ended}; ask for another one")
        other = node_managers.by_nkey(tx, nkey)
        if other is not None and (other.backend, other.name) != (found.backend, found.name):
            raise AlreadyExists(f"this host has joined as {other.name} already; each has keys of its own")
        return found

    def _refuse_taken(self, tx: Connection, backend: str, name: str) -> None:
        if node_managers.by_name(tx, backend, name) is not None:
            raise AlreadyExists(
                f"a host named {name} has joined backend {backend}; take another name, or invite with --replace when "
                "the one that comes is to be in its place"
            )


def _usable(shown: GID) -> PublicKey:
    """The key of a certificate that was shown. Raises BadArgs."""
    key = shown.leaf.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        return key
    raise BadArgs(f"a certificate with an EC key, or RSA of {LEAST_RSA_BITS} bits and more, must be shown")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
