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
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

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


@dataclass(frozen=True, eq=False)
class GID:
    """A certificate with the chain that came with it, leaf first."""

    chain: tuple[x509.Certificate, ...]

    @classmethod
    def parse(cls, document: bytes | str) -> "GID":
        """Read PEM (any text around and between is skipped), bare base64, or DER. Raises BadGID."""
        octets = document.encode("utf-8", "replace") if isinstance(document, str) else document
        if len(octets) > LARGEST:
            raise BadGID(f"a certificate chain of {len(octets)} bytes; at most {LARGEST} are read")
        ders = [_decoded(body) for body in _PEM.findall(octets)] or [
            octets if octets[:1] == b"\x30" else _decoded(octets)
        ]
        if len(ders) > LONGEST_CHAIN:
            raise BadGID(f"a chain of {len(ders)} certificates; at most {LONGEST_CHAIN} are read")
        gid = cls(tuple(_certificate(der) for der in ders))
        gid.key_bytes  # noqa: B018 - a certificate without a usable key is of no use to anybody
        return gid

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate itself."""
        return self.chain[0]

    @cached_property
    def public_key(self) -> CertificatePublicKeyTypes:
        """The key it binds."""
        try:
            key = self.leaf.public_key()
        except _UNREADABLE as e:
            raise BadGID(f"the key in certificate {self.subject_name} can't be used: {ascii(str(e))[1:-1]:.200}") from e
        if isinstance(key, rsa.RSAPublicKey) and key.key_size > MOST_RSA_BITS:
            raise BadGID(
                f"the key in certificate {self.subject_name} has {key.key_size} bits, not {MOST_RSA_BITS} or less"
            )
        return key

    @cached_property
    def key_bytes(self) -> bytes:
        """The key in its one encoding, for comparing."""
        return self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @cached_property
    def urn(self) -> URN | None:
        """The name it binds; None where it has none, as self-signed first certificates do."""
        for uri in self._uris:
            try:
                return URN.parse(uri)
            except BadName:
                continue
        return None

    @cached_property
    def uuid(self) -> uuid.UUID | None:
        """The UUID it binds, if any."""
        for uri in self._uris:
            if uri.lower().startswith("urn:uuid:"):
                try:
                    return uuid.UUID(uri[len("urn:uuid:") :])
                except ValueError:
                    continue
        return None

    @cached_property
    def email(self) -> str | None:
        """The mail address it binds, if any."""
        names = self._alternative_names
        addresses = names.get_values_for_type(x509.RFC822Name) if names else []
        return addresses[0] if addresses else None

    @property
    def not_before(self) -> datetime:
        """Aware UTC."""
        return self.leaf.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """Aware UTC."""
        return self.leaf.not_valid_after_utc

    @cached_property
    def is_authority(self) -> bool:
        """Whether it may sign other certificates (basicConstraints CA)."""
        try:
            return self.leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except _UNREADABLE:
            return False

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the leaf, in hex."""
        return self.leaf.fingerprint(hashes.SHA256()).hex()

    @property
    def pem(self) -> str:
        """The whole chain, leaf first."""
        return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in self.chain)

    @property
    def leaf_pem(self) -> str:
        """The certificate alone."""
        return self.leaf.public_bytes(Encoding.PEM).decode()

    def same_key(self, other: "GID") -> bool:
        """Whether both bind the same key."""
        return self.key_bytes == other.key_bytes

    @property
    def issuer(self) -> "GID | None":
        """The next of the chain, with the rest of it; None for the last."""
        return GID(self.chain[1:]) if len(self.chain) > 1 else None

    def __str__(self) -> str:
        return str(self.urn) if self.urn else f"certificate of {self.subject_name}"

    @cached_property
    def subject_name(self) -> str:
        """The X.509 subject, for messages and as a hint: names that bind are in `urn`."""
        return _distinguished_name(lambda: self.leaf.subject)

    @cached_property
    def issuer_name(self) -> str:
        """The X.509 issuer, likewise."""
        return _distinguished_name(lambda: self.leaf.issuer)

    @property
    def _uris(self) -> list[str]:
        names = self._alternative_names
        return names.get_values_for_type(x509.UniformResourceIdentifier) if names else []

    @cached_property
    def _alternative_names(self) -> x509.SubjectAlternativeName | None:
        try:
            return self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except _UNREADABLE:
            return None


def _distinguished_name(read: Callable[[], x509.Name]) -> str:
    try:
        return ascii(read().rfc4514_string())[1:-1][:200]
    except _UNREADABLE:
        return "an unreadable name"


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
