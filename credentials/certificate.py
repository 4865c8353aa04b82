"""One X.509 certificate, read leniently, and once however often it is met: the same few stand in most chains.

Certificates of the field break many rules (serial numbers of zero or below, odd object identifiers, missing or doubled
extensions). Here they are read; whether to believe one is decided in `trust`.
"""

import base64
import binascii
import re
import uuid
import warnings
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from credentials.errors import BadGID, BadName
from credentials.urn import URN

MOST_RSA_BITS = 8192
"""Twice what anybody uses; the time that a stranger's key can cost us grows with the square."""

_SMALL = 8 * 1024
"""Bytes. Larger certificates are not remembered: a stranger could fill our memory with them."""

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

_ITS_TYPES = re.compile(r":? *\b\w+Error ?[{(].*", re.DOTALL)

_HARMLESS = (
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
)
"""Extensions that may be critical and are passed over: they restrict nothing that is asked of certificates here."""

# Serial numbers of zero and below and countries of three letters are wrong, common and harmless here. The filters are
# set once, since taking them back after each certificate would race with other threads.
warnings.filterwarnings("ignore", message="Parsed a serial number", category=CryptographyDeprecationWarning)
warnings.filterwarnings("ignore", message="Attribute's length must be", category=UserWarning)


class Certificate:
    """What one certificate says.

    library:       as the library has it; `der`: its bytes
    is_remembered: whether the same bytes give this same object again
    key:           that it binds; None for one that can't be used, and then `fault` says why
    key_kind:      RSA or EC, or nothing for others; `key_bits`: its size, 0 for others
    urn, uuid, email: the first of each in subjectAltName, or None
    constraints:   whether it may sign others, and how deep; None where it doesn't say
    usage:         what its key is for; None where it doesn't say, as SFA's don't
    flaws:         critical extensions that are not understood here
    """

    def __init__(self, library: x509.Certificate, der: bytes, *, is_remembered: bool) -> None:
        self.library = library
        self.der = der
        self.is_remembered = is_remembered
        self.not_before: datetime = library.not_valid_before_utc
        self.not_after: datetime = library.not_valid_after_utc
        self.key, self.fault = _key(library)
        self.key_kind, self.key_bits = _strength(self.key)
        self.urn: URN | None = None
        self.uuid: uuid.UUID | None = None
        self.email: str | None = None
        self.constraints: x509.BasicConstraints | None = None
        self.usage: x509.KeyUsage | None = None
        self.flaws: tuple[str, ...] = ()
        for extension in _extensions(library):
            self._take(extension)

    def _take(self, extension: x509.Extension[x509.ExtensionType]) -> None:
        value: Any = extension.value
        kind = type(value)
        if kind is x509.SubjectAlternativeName:
            for name in value:
                if type(name) is x509.UniformResourceIdentifier:
                    self.urn = self.urn or _urn(name.value)
                    self.uuid = self.uuid or _uuid(name.value)
                elif type(name) is x509.RFC822Name:
                    self.email = self.email or name.value
        elif kind is x509.BasicConstraints:
            self.constraints = value
        elif kind is x509.KeyUsage:
            self.usage = value
        elif extension.critical and kind not in _HARMLESS:
            self.flaws = (*self.flaws, extension.oid.dotted_string)

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "Certificate":
        """Of one that didn't come as text: one of ours, usually."""
        return cls(certificate, certificate.public_bytes(Encoding.DER), is_remembered=False)

    @classmethod
    def from_der(cls, der: bytes) -> "Certificate":
        """Raises BadGID."""
        return _read(der, is_remembered=False)

    @classmethod
    def from_base64(cls, body: bytes) -> "Certificate":
        """Of what stands between the lines of PEM. Raises BadGID."""
        return _small(body) if len(body) <= _SMALL else _read(_decoded(body), is_remembered=False)

    @cached_property
    def key_bytes(self) -> bytes:
        """The key in its one encoding, for comparing; empty for one that can't be used."""
        return self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) if self.key is not None else b""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hex."""
        return self.library.fingerprint(hashes.SHA256()).hex()

    @cached_property
    def subject(self) -> bytes:
        """The X.509 subject in DER; empty where it is unreadable."""
        try:
            return self.library.subject.public_bytes()
        except _UNREADABLE:
            return b""

    @property
    def subject_name(self) -> str:
        """The X.509 subject in words, for messages."""
        return _in_words(lambda: self.library.subject)

    @property
    def issuer_name(self) -> str:
        """The X.509 issuer, likewise."""
        return _in_words(lambda: self.library.issuer)


def words_of(e: Exception) -> str:
    """What the library says is wrong, without the names of its own types behind it."""
    return _ITS_TYPES.sub("", ascii(str(e))[1:-1])[:200]


def forget() -> None:
    """Read every certificate anew from here on. Nothing but time depends on it."""
    _small.cache_clear()


@lru_cache(maxsize=2048)
def _small(body: bytes) -> Certificate:
    return _read(_decoded(body), is_remembered=True)


def _decoded(body: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as e:
        raise BadGID("neither a PEM nor a DER certificate") from e


def _read(der: bytes, *, is_remembered: bool) -> Certificate:
    try:
        return Certificate(x509.load_der_x509_certificate(der), der, is_remembered=is_remembered)
    except _UNREADABLE as e:
        raise BadGID(f"a certificate can't be read: {words_of(e)}") from e


def _key(certificate: x509.Certificate) -> tuple[CertificatePublicKeyTypes | None, str]:
    """The key, or why it is of no use."""
    try:
        key = certificate.public_key()
    except _UNREADABLE as e:
        return None, f"can't be used: {words_of(e)}"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size > MOST_RSA_BITS:
        return None, f"has {key.key_size} bits, not {MOST_RSA_BITS} or less"
    return key, ""


def _strength(key: CertificatePublicKeyTypes | None) -> tuple[str, int]:
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    return "", 0


def _extensions(certificate: x509.Certificate) -> Iterable[x509.Extension[x509.ExtensionType]]:
    """The library reads all or none: of a certificate with one that is doubled or garbled nothing is known, not even
    whom it names, so nobody trusts it."""
    try:
        return certificate.extensions
    except _UNREADABLE:
        return ()


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


def _in_words(read: Callable[[], x509.Name]) -> str:
    try:
        return ascii(read().rfc4514_string())[1:-1][:200]
    except _UNREADABLE:
        return "an unreadable name"
