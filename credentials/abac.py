"""ABAC credentials: signed rules about who has a role, in the language RT0.

Implements version 1.1 of https://groups.geni.net/geni/wiki/TIEDABACCredential, which the GENI APIs call `geni_abac`
version 1. Of principals A, B, C and roles r, s, t the rules are:

    A.r <- B            B has A's role r
    A.r <- B.s          so has everybody with B's role s
    A.r <- B.s.t        so has everybody who was given role t by somebody with B's role s (the linking role)
    A.r <- B.s & C.t    so has everybody with all of these

A principal is a key, named by its SHA-1. The mnemonic beside it is for people to read and proves nothing.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.x509 import SubjectKeyIdentifier
from lxml import etree

from credentials import credential
from credentials.errors import CredentialError, CredentialRefused, GIDRefused
from credentials.gid import GID
from credentials.trust import Root, Trust
from credentials.urn import URN

VERSION = "1.1"

_KEYID = re.compile(r"[0-9a-f]{40}")
_ROLE = re.compile(r"[A-Za-z0-9_-]{1,255}")

_FIELDS = ("type", "serial", "owner_gid", "owner_urn", "target_gid", "target_urn", "uuid", "expires", "abac")
"""Of the credential. Owner and target mean nothing here and are empty, as a rule."""


@dataclass(frozen=True, slots=True)
class Term:
    """One side of a rule, or a part of the right one.

    keyid:        of the principal: 40 hex digits, lower case
    role:         "" for the principal itself
    linking_role: "" but in terms like B.s.t, where it is s
    mnemonic:     what the signer calls the principal, its URN mostly; counts for nothing, not even when comparing

    Raises CredentialError.
    """

    keyid: str
    role: str = ""
    linking_role: str = ""
    mnemonic: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not _KEYID.fullmatch(self.keyid):
            raise CredentialError(f"key id {self.keyid!a:.60}: the SHA-1 of a public key in hex is expected")
        for role in filter(None, (self.role, self.linking_role)):
            if not _ROLE.fullmatch(role):
                raise CredentialError(f"role {role!a:.60}: letters, digits, _ and - are allowed")
        if self.linking_role and not self.role:
            raise CredentialError(f"linking role {self.linking_role!a:.60} stands without a role that it links to")

    def __str__(self) -> str:
        return ".".join(filter(None, (self.keyid, self.linking_role, self.role)))


@dataclass(frozen=True, slots=True)
class Rule:
    """Who has the role of `head`: those whom all `tails` mean. Its text is that of RT0. Raises CredentialError."""

    head: Term
    tails: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not self.head.role or self.head.linking_role:
            raise CredentialError(f"a rule gives a role of one principal, not {self.head}")
        if not self.tails:
            raise CredentialError(f"the rule says of nobody that they have {self.head}")

    def __str__(self) -> str:
        return f"{self.head} <- {' & '.join(map(str, self.tails))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedRule:
    """A rule, read from the bytes that its signature covers.

    signer:  whose key made the signature; not yet believed
    is_sha1: whether the signature rests on SHA-1
    """

    rule: Rule
    expires_at: datetime
    signer: GID
    is_sha1: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A rule that was said by the principal whose role it gives, who is trusted to be who they are.

    digest: SHA-256 of the credential, in hex, for the audit
    """

    rule: Rule
    issuer: GID
    expires_at: datetime
    digest: str


def key_id(gid: GID) -> str:
    """The name of a certificate's key in ABAC: the SHA-1 of the bits of the public key, in hex. Raises BadGID."""
    return SubjectKeyIdentifier.from_public_key(gid.public_key).digest.hex()


def is_abac(document: bytes | str) -> bool:
    """Whether a credential says that it is one of ABAC, unchecked: to sort credentials, never to believe anything."""
    try:
        root = credential.parse(document)
    except CredentialRefused:
        return False
    return (root.findtext("credential/type") or "").strip() == "abac"


def read(document: bytes | str) -> UnverifiedRule:
    """The rule of a signed ABAC credential. Raises CredentialRefused ("parse", "signature", "algorithm", "type")."""
    elements = credential.signed_elements(document)
    if len(elements) > 1:
        raise CredentialRefused("parse", "an ABAC credential has no parent")
    [signed] = elements
    statement = credential.parse(signed.octets)
    kind = _text(statement, "type")
    if kind != "abac":
        raise CredentialRefused("type", f"a credential of type abac is expected, not {kind!a:.40}")
    _nothing_but(statement, *_FIELDS)
    return UnverifiedRule(
        rule=_rule(_only(_only(statement, "abac"), "rt0")),
        expires_at=credential.moment(_text(statement, "expires")),
        signer=signed.signer,
        is_sha1=signed.is_sha1,
    )


def examine(document: bytes | str, trust: Trust, *, now: datetime) -> Assertion:
    """Check that an ABAC credential is genuine, whoever presents it. Raises CredentialRefused.

    That it says anything about the caller is not checked here.
    """
    # 1. It is well-formed, in the one shape there is, and signed.
    said = read(document)
    # 2. Its signer leads to a root that may vouch for them, and that may use SHA-1 if they did.
    root, _ = trusted("signer", said.signer, trust, now)
    if said.is_sha1 and not root.legacy_sha1:
        raise CredentialRefused(
            "algorithm",
            f"it is signed with SHA-1, which is not accepted from {root.gid}; "
            "an operator can allow it: sfa-am trust add --legacy-sha1",
        )
    # 3. It has not expired. Equality counts as expired: the second belongs to the past.
    if said.expires_at <= now:
        raise CredentialRefused("expiry", f"the credential expired {said.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    # 4. Principals give roles of their own only.
    if key_id(said.signer) != said.rule.head.keyid:
        raise CredentialRefused("issuer", f"{said.signer} signed a rule about a role of another: {said.rule}")
    octets = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
    return Assertion(
        rule=said.rule,
        issuer=said.signer,
        expires_at=said.expires_at,
        digest=hashlib.sha256(octets).hexdigest(),
    )


def trusted(what: str, gid: GID, trust: Trust, now: datetime) -> tuple[Root, URN]:
    """The root that a principal's certificate leads to, and the name that it vouches for. Raises CredentialRefused.

    what: for the sentence: "signer", "tool"
    """
    try:
        root = trust.check_gid(gid, now=now)
    except GIDRefused as e:
        raise CredentialRefused(e.check, f"its {what}: {e}") from e
    # A root's own certificate is trusted as one that signs others, whatever it calls itself; as a principal it is not.
    if gid.urn is None or not root.may_vouch_for(gid.urn):
        raise CredentialRefused("names", f"its {what}: {root.gid} is trusted here for {', '.join(root.names)}")
    return root, gid.urn


def _rule(rt0: etree._Element) -> Rule:
    _nothing_but(rt0, "version", "head", "tail")
    version = _text(rt0, "version")
    if version != VERSION:
        raise CredentialRefused("parse", f"RT0 in version {VERSION} is expected, not {version!a:.20}")
    try:
        return Rule(_term(_only(rt0, "head")), tuple(map(_term, rt0.findall("tail"))))
    except CredentialRefused:
        raise
    except CredentialError as e:
        raise CredentialRefused("parse", f"the rule in the credential: {e}") from e


def _term(element: etree._Element) -> Term:
    _nothing_but(element, "ABACprincipal", "role", "linking_role")
    principal = _only(element, "ABACprincipal")
    _nothing_but(principal, "keyid", "mnemonic")
    return Term(
        keyid=_text(principal, "keyid").lower(),
        role=_text(element, "role"),
        linking_role=_text(element, "linking_role"),
        mnemonic=_text(principal, "mnemonic"),
    )


def _nothing_but(element: etree._Element, *names: str) -> None:
    """What is not understood, such as extensions, could narrow what a rule means."""
    for child in element:
        if child.tag not in names:
            strange = ascii(str(child.tag))[1:-1][:60]
            raise CredentialRefused("parse", f"an ABAC credential has {strange} in its {element.tag}")


def _only(element: etree._Element, name: str) -> etree._Element:
    found = element.findall(name)
    if len(found) != 1:
        raise CredentialRefused("parse", f"an ABAC credential has {len(found)} {name} elements where one is expected")
    return found[0]


def _text(element: etree._Element, name: str) -> str:
    """What a child says; "" where there is none."""
    if not element.findall(name):
        return ""
    child = _only(element, name)
    _nothing_but(child)
    return (child.text or "").strip()
