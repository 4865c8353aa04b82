"""GIDs: X.509 certificates that bind a URN, a UUID and perhaps a mail address to a key.

Reading is lenient, since certificates of the field break many rules (serial numbers of zero or below, odd object
identifiers, missing or doubled extensions); whether to believe one is decided in `trust`.
Implements https://groups.geni.net/geni/wiki/GeniApiCertificates.
"""

import base64
import binascii
import re
import uuid
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import BasicConstraints, KeyUsage

from credentials.errors import BadGID, BadName
from credentials.urn import URN

LARGEST = 128 * 1024
"""Bytes of a whole chain; the longest seen has four certificates of 2 KiB."""

LONGEST_CHAIN = 10

MOST_RSA_BITS = 8192
"""Twice what anybody uses; the time that a stranger's key can cost us grows with the square."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----")
"""Without a dash inside: a file of beginnings that never end must not be searched once for each of them."""

_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises, early or late, for certificates that it can't make sense of."""

# Serial numbers of zero and below and countries of three letters are wrong, common and harmless here. The filters are
# set once, since taking them back after each certificate would race with other threads.
warnings.filterwarnings("ignore", message="Parsed a serial number", category=CryptographyDeprecationWarning)
warnings.filterwarnings("ignore", message="Attribute's length must be", category=UserWarning)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Certificate:
    """What one certificate says, read once however often it is met: the same few stand in most chains.

    library:  as the library has it
    key:      None where it is of no use, and then `fault` says why
    key_kind: "RSA", "EC", or "" for others; `key_bits`: its size
    flaws:    critical extensions that are not understood here
    """

    library: x509.Certificate
    is_remembered: bool
    key: CertificatePublicKeyTypes | None
    key_kind: str
    key_bits: int
    key_bytes: bytes
    fault: str
    urn: URN | None
    uuid: uuid.UUID | None
    email: str | None
    not_before: datetime
    not_after: datetime
    constraints: BasicConstraints | None
    usage: KeyUsage | None
    flaws: tuple[str, ...]
    fingerprint: str
    subject: bytes
    issuer: bytes


class GID:
    """A certificate with the chain that came with it, leaf first."""

    __slots__ = ("_leaf", "certificates")

    def __init__(self, chain: Iterable[x509.Certificate | Certificate]) -> None:
        """chain: not empty."""
        self.certificates = tuple(one if isinstance(one, Certificate) else _said(one) for one in chain)
        self._leaf = self.certificates[0]

    @classmethod
    def parse(cls, document: bytes | str) -> "GID":
        """Read PEM (any text around and between is skipped), bare base64, or DER. Raises BadGID."""
        octets = document.encode("utf-8", "replace") if isinstance(document, str) else document
        if len(octets) > LARGEST:
            raise BadGID(f"a certificate chain of {len(octets)} bytes; at most {LARGEST} are read")
        bodies = _PEM.findall(octets)
        if len(bodies) > LONGEST_CHAIN:
            raise BadGID(f"a chain of {len(bodies)} certificates; at most {LONGEST_CHAIN} are read")
        if bodies:
            gid = cls([_said_in(body.strip()) for body in bodies])
        elif octets[:1] == b"\x30":
            gid = cls([_certificate(octets)])
        else:
            gid = cls([_said_in(octets.strip())])
        gid.public_key  # noqa: B018 - a certificate without a usable key is of no use to anybody
        return gid

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates as the library has them."""
        return tuple(one.library for one in self.certificates)

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate itself."""
        return self._leaf.library

    @property
    def public_key(self) -> CertificatePublicKeyTypes:
        """The key it binds. Raises BadGID: one that can't be used."""
        if self._leaf.key is None:
            raise BadGID(f"the key in certificate {self.subject_name} {self._leaf.fault}")
        return self._leaf.key

    @property
    def key_bytes(self) -> bytes:
        """The key in its one encoding, for comparing; empty for one that can't be used."""
        return self._leaf.key_bytes

    @property
    def urn(self) -> URN | None:
        """The name it binds; None where it has none, as self-signed first certificates do."""
        return self._leaf.urn

    @property
    def uuid(self) -> uuid.UUID | None:
        """The UUID it binds, if any."""
        return self._leaf.uuid

    @property
    def email(self) -> str | None:
        """The mail address it binds, if any."""
        return self._leaf.email

    @property
    def not_before(self) -> datetime:
        """Aware UTC."""
        return self._leaf.not_before

    @property
    def not_after(self) -> datetime:
        """Aware UTC."""
        return self._leaf.not_after

    @property
    def key_kind(self) -> str:
        """ "RSA", "EC", or "" for others."""
        return self._leaf.key_kind

    @property
    def key_bits(self) -> int:
        """The size of its key; 0 for those of other kinds."""
        return self._leaf.key_bits

    @property
    def is_authority(self) -> bool:
        """Whether it may sign other certificates (basicConstraints CA)."""
        return self._leaf.constraints is not None and self._leaf.constraints.ca

    @property
    def path_length(self) -> int | None:
        """How many authorities may follow below it (basicConstraints); None for any number."""
        return self._leaf.constraints.path_length if self._leaf.constraints is not None else None

    @property
    def usage(self) -> x509.KeyUsage | None:
        """What its key is for (keyUsage); None where it doesn't say, as SFA's don't."""
        return self._leaf.usage

    @property
    def flaws(self) -> tuple[str, ...]:
        """Critical extensions that are not understood here: it must not be trusted without."""
        return self._leaf.flaws

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the leaf, in hex."""
        return self._leaf.fingerprint

    @property
    def subject(self) -> bytes:
        """The X.509 subject in DER, for finding issuers; names that bind are in `urn`."""
        return self._leaf.subject

    @property
    def issued_by(self) -> bytes:
        """The X.509 issuer in DER, likewise."""
        return self._leaf.issuer

    @property
    def pem(self) -> str:
        """The whole chain, leaf first."""
        return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in self.chain)

    @property
    def leaf_pem(self) -> str:
        """The certificate alone."""
        return self.leaf.public_bytes(Encoding.PEM).decode()

    def same_key(self, other: "GID") -> bool:
        """Whether both bind the same key, one that can be used."""
        return self.key_bytes == other.key_bytes != b""

    @property
    def issuer(self) -> "GID | None":
        """The next of the chain, with the rest of it; None for the last."""
        return GID(self.certificates[1:]) if len(self.certificates) > 1 else None

    def __str__(self) -> str:
        return str(self.urn) if self.urn else f"certificate of {self.subject_name}"

    @property
    def subject_name(self) -> str:
        """The X.509 subject in words, for messages."""
        return _distinguished_name(lambda: self.leaf.subject)

    @property
    def issuer_name(self) -> str:
        """The X.509 issuer, likewise."""
        return _distinguished_name(lambda: self.leaf.issuer)


def forget() -> None:
    """Read every certificate anew from here on. Nothing but time depends on it."""
    _said_in_small.cache_clear()


_SMALL = 8 * 1024
"""Bytes. Larger certificates are not remembered: a stranger could fill our memory with them."""


def _said_in(body: bytes) -> Certificate:
    """What is said by the certificate in some base64, as it stands between the lines of PEM."""
    return _said_in_small(body) if len(body) <= _SMALL else _said(_certificate(_decoded(body)))


@lru_cache(maxsize=2048)
def _said_in_small(body: bytes) -> Certificate:
    return _read(_certificate(_decoded(body)), is_remembered=True)


def _said(certificate: x509.Certificate) -> Certificate:
    """What a certificate says that didn't come as text: one of ours, usually."""
    return _read(certificate, is_remembered=False)


def _decoded(body: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as e:
        raise BadGID("neither a PEM nor a DER certificate") from e


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except _UNREADABLE as e:
        raise BadGID(f"a certificate can't be read: {ascii(str(e))[1:-1]:.200}") from e


# What a certificate says


def _read(certificate: x509.Certificate, *, is_remembered: bool) -> Certificate:
    key, fault = _key(certificate)
    kind, bits = _strength(key)
    extensions, flaws = _extensions(certificate)
    names = extensions.get(x509.SubjectAlternativeName)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names is not None else []
    addresses = names.get_values_for_type(x509.RFC822Name) if names is not None else []
    return Certificate(
        library=certificate,
        is_remembered=is_remembered,
        key=key,
        key_kind=kind,
        key_bits=bits,
        key_bytes=key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) if key is not None else b"",
        fault=fault,
        urn=next(filter(None, map(_urn, uris)), None),
        uuid=next(filter(None, map(_uuid, uris)), None),
        email=addresses[0] if addresses else None,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        constraints=extensions.get(x509.BasicConstraints),
        usage=extensions.get(x509.KeyUsage),
        flaws=flaws,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        subject=_encoded(lambda: certificate.subject),
        issuer=_encoded(lambda: certificate.issuer),
    )


def _strength(key: CertificatePublicKeyTypes | None) -> tuple[str, int]:
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    return "", 0


def _key(certificate: x509.Certificate) -> tuple[CertificatePublicKeyTypes | None, str]:
    """The key, or why it is of no use."""
    try:
        key = certificate.public_key()
    except _UNREADABLE as e:
        return None, f"can't be used: {ascii(str(e))[1:-1]:.200}"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size > MOST_RSA_BITS:
        return None, f"has {key.key_size} bits, not {MOST_RSA_BITS} or less"
    return key, ""


_KNOWN = frozenset(
    {
        x509.SubjectAlternativeName,
        x509.BasicConstraints,
        x509.KeyUsage,
        # What follows restricts nothing that is asked of certificates here.
        x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier,
        x509.ExtendedKeyUsage,  # certificates of the field say all sorts of things in it
        x509.IssuerAlternativeName,
        x509.AuthorityInformationAccess,
        x509.SubjectInformationAccess,
        x509.CRLDistributionPoints,
        x509.FreshestCRL,
        x509.CertificatePolicies,
        x509.PolicyConstraints,
        x509.InhibitAnyPolicy,
    }
)
"""Extensions that may be critical."""


def _extensions(certificate: x509.Certificate) -> tuple[dict[type, Any], tuple[str, ...]]:
    """The extensions that are understood, and the names of critical ones that are not.

    The library reads all or none: of a certificate with one that is doubled or garbled nothing is known, not even whom
    it names, so nobody trusts it.
    """
    try:
        found = list(certificate.extensions)
    except _UNREADABLE:
        return {}, ()
    values = {type(one.value): one.value for one in found}
    flaws = (one.oid.dotted_string for one in found if one.critical and type(one.value) not in _KNOWN)
    return values, tuple(flaws)


def _urn(uri: str) -> URN | None:
    try:
        return URN.parse(uri)
    except BadName:
        return None


def _uuid(uri: str) -> uuid.UUID | None:
    if not uri.lower().startswith("urn:uuid:"):
        return None
    try:
        return uuid.UUID(uri[len("urn:uuid:") :])
    except ValueError:
        return None


def _encoded(read: Callable[[], x509.Name]) -> bytes:
    try:
        return read().public_bytes()
    except _UNREADABLE:
        return b""


def _distinguished_name(read: Callable[[], x509.Name]) -> str:
    try:
        return ascii(read().rfc4514_string())[1:-1][:200]
    except _UNREADABLE:
        return "an unreadable name"
