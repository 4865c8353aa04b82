"""Speaks-for credentials: a user's word that a tool may act for them.

An ABAC credential with one rule, U.speaks_for_U <- T, signed by the user U. The tool T proves its own key and brings
this beside the user's ordinary credentials, which are then checked as if the user had called: a tool can do what the
user can, and nothing else. Implements https://groups.geni.net/geni/wiki/GAPI_AM_API_DRAFT/SpeaksFor.
"""

from dataclasses import InitVar, dataclass
from datetime import datetime

from credentials import abac
from credentials.abac import Rule, Term
from credentials.errors import CredentialRefused
from credentials.gid import GID
from credentials.trust import Trust
from credentials.urn import URN

_MAKER = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeaksFor:
    """That a tool may speak for a user. Made by `Verifier.verify_speaks_for` only.

    expires_at: aware UTC; when the user's word ends
    digest:     SHA-256 of the credential, in hex, for the audit
    """

    user: GID
    user_urn: URN
    tool: GID
    tool_urn: URN
    expires_at: datetime
    digest: str
    maker: InitVar[object]

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise TypeError("a SpeaksFor comes from credentials.Verifier.verify_speaks_for and from nowhere else")

    def user_behind(self, caller: GID, *, now: datetime) -> GID:
        """The user's certificate, if `caller` is the tool and may still speak for them. Raises CredentialRefused."""
        if not self.tool.same_key(caller):
            raise CredentialRefused("speaks_for", f"{self.tool_urn} may speak for {self.user_urn}, not {caller}")
        if self.expires_at <= now:
            raise CredentialRefused("expiry", f"the speaks-for credential expired {self.expires_at:%Y-%m-%dT%H:%M:%SZ}")
        return self.user


def rule(user: GID, tool: GID) -> Rule:
    """What a speaks-for credential says, with names for people to read. Raises BadGID."""
    own, other = abac.key_id(user), abac.key_id(tool)
    return Rule(
        Term(own, f"speaks_for_{own}", mnemonic=str(user.urn or "")), (Term(other, mnemonic=str(tool.urn or "")),)
    )


def may_speak(document: bytes | str, trust: Trust, *, tool: GID, user: URN | None, now: datetime) -> SpeaksFor:
    """Check that a credential lets `tool` speak for `user`. Raises CredentialRefused.

    tool: the certificate whose key the TLS handshake proved, with its chain
    user: whom the call names; None for whoever signed the credential
    """
    # 1. It is a genuine ABAC credential, about a role of who signed it.
    said = abac.examine(document, trust, now=now)
    # 2. Who signed it is a user, and the one that the call is made for.
    signer = said.issuer.urn
    if signer is None or signer.type != "user":
        raise CredentialRefused("speaks_for", f"tools speak for users; {said.issuer} signed the speaks-for credential")
    if user is not None and signer != user:
        raise CredentialRefused("speaks_for", f"{signer} signed the speaks-for credential, and the call is for {user}")
    # 3. The tool is who it is: a revoked one speaks for nobody.
    _, tool_urn = abac.trusted("tool", tool, trust, now)
    # 4. The rule is that this tool may speak for this user, and no other.
    if (expected := rule(said.issuer, tool)) != said.rule:
        raise CredentialRefused(
            "speaks_for", f"it says {said.rule}; that {tool} may speak for {signer} would be {expected}"
        )
    return SpeaksFor(
        user=said.issuer,
        user_urn=signer,
        tool=tool,
        tool_urn=tool_urn,
        expires_at=said.expires_at,
        digest=said.digest,
        maker=_MAKER,
    )
