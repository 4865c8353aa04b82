"""Turn a credential into an `Authorization`, or say exactly why not.

Nothing else in the project makes an `Authorization`; holding one is the proof that every check here ran. Two halves:
`examine` looks at what depends on the document alone (signatures, trust, delegation), which may be remembered until the
first certificate or statement in it expires; `Verifier.verify` adds what depends on the call (caller, target,
operation). The numbers of the checks are those of docs/explanation/credentials.md.
"""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import InitVar, dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from credentials import credential
from credentials.credential import UnverifiedStatement
from credentials.errors import CredentialRefused, GIDRefused
from credentials.gid import GID
from credentials.privilege import EVERYTHING, Privilege, expanded, permits, permitted
from credentials.speaks_for import SpeaksFor, may_speak
from credentials.trust import Root, Trust
from credentials.urn import URN

_MAKER = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What a caller has been shown to be allowed to do. Made by `Verifier.verify` only.

    actor:      URN of the user whose privileges are used (not of a tool that speaks for them)
    spoken_by:  URN of the speaking tool; None when the user calls directly
    target:     URN of the slice, authority or user that the privileges hold for
    privileges: what is granted
    expires_at: aware UTC; the earliest expiry in the whole chain of credentials, one that lets a tool speak included
    owner:      the certificate of the actor
    is_sha1:    whether a signature in it rests on SHA-1, which the operator allowed its root
    digest:     SHA-256 of the credential, in hex, for the audit
    """

    actor: URN
    spoken_by: URN | None
    target: URN
    privileges: frozenset[Privilege]
    expires_at: datetime
    owner: GID
    digest: str
    maker: InitVar[object]
    is_sha1: bool = False

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise TypeError("an Authorization comes from credentials.Verifier.verify and from nowhere else")

    def permits(self, operation: str) -> bool:
        """Whether the privileges allow another operation as well."""
        return any(permits(privilege.name, operation) for privilege in self.privileges)


@dataclass(frozen=True, kw_only=True)
class _Examined:
    """A credential that is genuine; whether it helps this caller is still open."""

    owner: GID
    owner_urn: URN
    target: URN
    privileges: frozenset[Privilege]
    expires_at: datetime
    is_sha1: bool
    good_until: datetime  # when a certificate or statement in it expires: it must be examined again then
    digest: str

    @cached_property
    def authorization(self) -> Authorization:
        """What it allows its owner, once they have shown to be the owner."""
        return Authorization(
            actor=self.owner_urn,
            spoken_by=None,
            target=self.target,
            privileges=self.privileges,
            expires_at=self.expires_at,
            owner=self.owner,
            digest=self.digest,
            is_sha1=self.is_sha1,
            maker=_MAKER,
        )

    @cached_property
    def _permitted(self) -> frozenset[str]:
        return permitted(privilege.name for privilege in self.privileges)

    def permits(self, operation: str) -> bool:
        """Whether its privileges allow an operation."""
        return operation in self._permitted or EVERYTHING in self._permitted


class Verifier:
    """Verifies credentials against one set of roots, remembering the last ones it found genuine."""

    def __init__(self, trust: Trust, *, remember: int = 32 * 1024 * 1024) -> None:
        """remember: characters or bytes of genuine credentials that are kept, in all."""
        self._trust = trust
        self._most = remember
        self._size = 0
        self._genuine: OrderedDict[bytes | str, _Examined] = OrderedDict()
        self._lock = threading.Lock()

    def verify_gid(self, gid: GID, *, now: datetime) -> URN:
        """Check that a certificate leads to a root that may vouch for its name, and return that name.

        It says who holds the key, and nothing of what they may do. Raises GIDRefused.
        """
        self._trust.check_gid(gid, now=now)
        return _urn(gid)

    def verify_speaks_for(self, document: bytes | str, *, tool: GID, user: URN | None, now: datetime) -> SpeaksFor:
        """Check that a credential lets a tool speak for a user, for `verify` in the same call.

        tool: the certificate whose key the TLS handshake proved, with the chain that came along
        user: whom the call is made for; None for whoever signed the credential

        Raises CredentialRefused with the first check that failed.
        """
        return may_speak(document, self._trust, tool=tool, user=user, now=now)

    def verify(
        self,
        document: bytes | str,
        *,
        caller: GID,
        target: URN | None,
        operation: str,
        now: datetime,
        speaks_for: SpeaksFor | None = None,
    ) -> Authorization:
        """Check one credential for one caller, one target, one operation.

        caller:    the certificate whose key the TLS handshake proved; its leaf suffices
        target:    what the call is about; None when the call names nothing, and then the caller of this method must
                   act on `Authorization.target` alone
        operation: a name of the rights table, such as "createsliver"
        now:       aware UTC, one for the whole call
        speaks_for: that the caller may speak for a user, whose key then counts in place of the caller's

        Raises CredentialRefused with the first check that failed.
        """
        genuine = self._examined(document, now)
        # 7. It was given to this caller, whose key the handshake proved, or to the user whom this caller speaks for.
        holder = caller if speaks_for is None else speaks_for.user_behind(caller, now=now)
        if not genuine.owner.same_key(holder) or (speaks_for is not None and genuine.owner_urn != speaks_for.user_urn):
            presented_by = f"{caller}" if speaks_for is None else f"{caller}, who speaks for {holder},"
            raise CredentialRefused(
                "owner", f"the credential was issued to {genuine.owner_urn}, and {presented_by} presented it"
            )
        # 8. It is about this target.
        if target is not None and genuine.target != target:
            raise CredentialRefused("target", f"the credential is about {genuine.target}, not about {target}")
        # 9. It allows this.
        if not genuine.permits(operation):
            held = ", ".join(sorted(privilege.name for privilege in genuine.privileges)) or "none"
            raise CredentialRefused("privilege", f"its privileges ({held}) do not permit {operation}")
        return genuine.authorization if speaks_for is None else _spoken(genuine.authorization, speaks_for)

    def _examined(self, document: bytes | str, now: datetime) -> _Examined:
        # The document itself is the key: equal ones are the same, bit by bit, and finding out costs less than a digest.
        with self._lock:
            known = self._genuine.get(document)
            if known is not None:
                if now < known.good_until:
                    self._genuine.move_to_end(document)
                    return known
                del self._genuine[document]
                self._size -= len(document)
        genuine = examine(document, self._trust, now=now)
        with self._lock:
            if document not in self._genuine:
                self._genuine[document] = genuine
                self._size += len(document)
            while self._size > self._most:
                oldest, _ = self._genuine.popitem(last=False)
                self._size -= len(oldest)
        return genuine


def _spoken(auth: Authorization, speaks_for: SpeaksFor) -> Authorization:
    """What a tool may do in the place of the user: the same, while the user's word lasts."""
    expires_at = min(auth.expires_at, speaks_for.expires_at)
    return replace(auth, spoken_by=speaks_for.tool_urn, expires_at=expires_at, maker=_MAKER)


def examine(document: bytes | str, trust: Trust, *, now: datetime) -> _Examined:
    """Check that a credential is genuine, whoever presents it. Raises CredentialRefused."""
    # 1. It is well-formed, in the one shape there is, and every statement in it is signed. ("parse", "signature")
    statements = credential.read(document)
    presented, first = statements[0], statements[-1]
    # 2. Owners, targets and signers lead to roots that may vouch for their names.
    rests_on = [_check_certificates(statement, trust, now) for statement in statements]
    owner_urn, target_urn = _urn(presented.owner), _urn(presented.target)
    # 3. Nothing in it has expired. Equality counts as expired: the second belongs to the past.
    for statement in statements:
        if statement.expires_at <= now:
            raise CredentialRefused("expiry", f"the credential expired {statement.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    # 4. The first statement comes from an authority over what it is about.
    issuer = _urn(first.signer)
    if issuer.type != "authority" or not issuer.covers(target_urn):
        raise CredentialRefused("issuer", f"{issuer} signed the credential and is no authority over {target_urn}")
    # What a root calls itself proves nothing: it speaks for the names the operator gave it.
    issuing_root = rests_on[-1].signer
    if not issuing_root.may_vouch_for(target_urn):
        allowed = ", ".join(issuing_root.names)
        raise CredentialRefused("issuer", f"{issuer} is trusted here for {allowed}, not for {target_urn}")
    # 5. Each further one was passed on by who held the one before, and says no more than that one.
    for child, parent in pairwise(statements):
        _check_delegation(child, parent, target_urn)
    # 6. What remains.
    roots = [root.gid.not_after for roots in rests_on for root in (roots.signer, roots.owner, roots.target)]
    certificates = [
        certificate.not_after
        for statement in statements
        for gid in (statement.owner, statement.target, statement.signer)
        for certificate in gid.certificates
        if certificate.not_after > now  # an expired one that nothing rests on must not end the others
    ]
    expires_at = min(statement.expires_at for statement in statements)
    return _Examined(
        owner=presented.owner,
        owner_urn=owner_urn,
        target=target_urn,
        privileges=expanded(presented.privileges, target_urn),
        expires_at=expires_at,
        is_sha1=any(statement.is_sha1 for statement in statements),
        good_until=min([expires_at, *roots, *certificates]),
        digest=_digest(document),
    )


def _digest(document: bytes | str) -> str:
    return hashlib.sha256(document.encode() if isinstance(document, str) else document).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Roots:
    """Where the three certificates of a statement lead."""

    signer: Root
    owner: Root
    target: Root


def _check_certificates(statement: UnverifiedStatement, trust: Trust, now: datetime) -> _Roots:
    roots = _Roots(
        signer=_root("signer", statement.signer, trust, now),
        owner=_root("owner", statement.owner, trust, now),
        target=_root("target", statement.target, trust, now),
    )
    if statement.is_sha1 and not roots.signer.legacy_sha1:
        raise CredentialRefused(
            "algorithm",
            f"it is signed with SHA-1, which is not accepted from {roots.signer.gid}; "
            "an operator can allow it: sfa-am trust add --legacy-sha1",
        )
    # A root's own certificate is trusted as one that signs, whatever it calls itself; as owner or target it is not.
    for what, gid, root in (("owner", statement.owner, roots.owner), ("target", statement.target, roots.target)):
        if not root.may_vouch_for(_urn(gid)):
            raise CredentialRefused("names", f"its {what}: {root.gid} is trusted here for {', '.join(root.names)}")
    return roots


def _root(what: str, gid: GID, trust: Trust, now: datetime) -> Root:
    try:
        return trust.check_gid(gid, now=now)
    except GIDRefused as e:
        raise CredentialRefused(e.check, f"its {what}: {e}") from e


def _check_delegation(child: UnverifiedStatement, parent: UnverifiedStatement, target: URN) -> None:
    passed_on = f"{child.signer} passed the credential on to {child.owner}"
    if not child.signer.same_key(parent.owner) or child.signer.urn != parent.owner.urn:
        raise CredentialRefused("delegation", f"{passed_on}, but it was {parent.owner}'s")
    if _urn(child.target) != _urn(parent.target) or not child.target.same_key(parent.target):
        raise CredentialRefused("delegation", f"{passed_on}, and changed what it is about")
    if child.expires_at > parent.expires_at:
        raise CredentialRefused("delegation", f"{passed_on}, and made it last longer than their own")
    passable = {one.name for one in expanded(parent.privileges, target) if one.may_delegate}
    if widened := sorted(one.name for one in expanded(child.privileges, target) if one.name not in passable):
        raise CredentialRefused("delegation", f"{passed_on}, with {', '.join(widened)}, which they could not pass on")


def _urn(gid: GID) -> URN:
    if gid.urn is None:
        raise CredentialRefused("name", f"{gid} has no URN in its subjectAltName")
    return gid.urn
