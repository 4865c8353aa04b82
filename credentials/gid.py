"""GIDs: X.509 certificates that bind a URN, a UUID and perhaps a mail address to a key, with the chain above them.

Implements https://groups.geni.net/geni/wiki/GeniApiCertificates.
"""

import re
import uuid
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from credentials.certificate import Certificate
from credentials.errors import BadGID
from credentials.urn import URN

LARGEST = 128 * 1024
"""Bytes of a whole chain; the longest seen has four certificates of 2 KiB."""

LONGEST_CHAIN = 10

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----")
"""Without a dash inside: a file of beginnings that never end must not be searched once for each of them."""


class GID:
    """A certificate with the chain that came with it, leaf first. Its own properties are the leaf's."""

    __slots__ = ("_leaf", "certificates")

    def __init__(self, chain: Iterable[x509.Certificate | Certificate]) -> None:
        """chain: not empty."""
        self.certificates = tuple(one if isinstance(one, Certificate) else Certificate.of(one) for one in chain)
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
            gid = cls([Certificate.from_base64(body.strip()) for body in bodies])
        elif octets[:1] == b"\x30":
            gid = cls([Certificate.from_der(octets)])
        else:
            gid = cls([Certificate.from_base64(octets.strip())])
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
    def key_kind(self) -> str:
        """RSA or EC, or nothing for others."""
        return self._leaf.key_kind

    @property
    def key_bits(self) -> int:
        """The size of an RSA or EC key; 0 for others."""
        return self._leaf.key_bits

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

    def may_be_issued_by(self, subject: bytes) -> bool:
        """Whether an X.509 name is in the leaf's bytes, as its issuer's would be: a quick hint, no more."""
        return subject in self._leaf.der

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

    def same_certificate(self, other: "GID") -> bool:
        """Whether both are the same certificate, whatever chains they came with."""
        return self._leaf.der == other._leaf.der

    @property
    def issuer(self) -> "GID | None":
        """The next of the chain, with the rest of it; None for the last."""
        return GID(self.certificates[1:]) if len(self.certificates) > 1 else None

    def __str__(self) -> str:
        return str(self.urn) if self.urn else f"certificate of {self.subject_name}"

    @property
    def subject_name(self) -> str:
        """The X.509 subject in words, for messages and as a hint."""
        return self._leaf.subject_name

    @property
    def issuer_name(self) -> str:
        """The X.509 issuer, likewise."""
        return self._leaf.issuer_name
