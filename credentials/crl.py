"""Certificate revocation lists: which serial numbers an authority has taken back (RFC 5280, section 5)."""

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from credentials.certificate import words_of
from credentials.errors import BadCRL, BadGID
from credentials.gid import GID

_UNREADABLE = (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
_HARMLESS = (x509.AuthorityKeyIdentifier, x509.CRLNumber, x509.IssuerAlternativeName, x509.FreshestCRL)


class CRL:
    """A list as its authority signed it. Whose it is, `is_of` says; before that nothing in it counts."""

    def __init__(self, library: x509.CertificateRevocationList) -> None:
        """library: as the library has it."""
        self._list = library
        self._signed_by: dict[bytes, bool] = {}

    @classmethod
    def parse(cls, document: bytes) -> "CRL":
        """Read PEM or DER. Raises BadCRL: it can't be read, or covers a part only, as delta and indirect lists do."""
        is_pem = document.lstrip().startswith(b"-----")
        try:
            crl = cls((x509.load_pem_x509_crl if is_pem else x509.load_der_x509_crl)(document))
            critical = [one.oid.dotted_string for one in crl._list.extensions if _matters(one)]
            len(crl._list)  # reads all of it
        except _UNREADABLE as e:
            raise BadCRL(f"a revocation list can't be read: {words_of(e)}") from e
        if critical:
            raise BadCRL(
                f"a revocation list with the extension {critical[0]} covers a part only; a whole one is expected"
            )
        return crl

    def __len__(self) -> int:
        """How many certificates it revokes."""
        return len(self._list)

    @property
    def issuer(self) -> bytes:
        """The X.509 name of its authority in DER."""
        return self._list.issuer.public_bytes()

    @property
    def issuer_name(self) -> str:
        """The same in words."""
        return ascii(self._list.issuer.rfc4514_string())[1:-1][:200]

    @property
    def next_update(self) -> datetime | None:
        """When there will be a newer one, aware UTC, if it says."""
        return self._list.next_update_utc

    @property
    def last_update(self) -> datetime:
        """When it was made, aware UTC."""
        return self._list.last_update_utc

    @property
    def number(self) -> int | None:
        """Its place among the lists of its authority (CRLNumber); None where it doesn't say."""
        try:
            return self._list.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        except x509.ExtensionNotFound:
            return None

    @property
    def pem(self) -> str:
        """As a file holds it."""
        return self._list.public_bytes(Encoding.PEM).decode()

    def is_older_than(self, other: "CRL") -> bool:
        """Whether its authority made the other one later: it has a higher number, or the same one and a later date.

        A list without a number is older than any that has one.
        """
        return self._age < other._age

    @property
    def _age(self) -> tuple[int, datetime]:
        return (-1 if self.number is None else self.number, self.last_update)

    def is_of(self, authority: GID) -> bool:
        """Whether this authority signed it, with a key that may sign such lists."""
        if self.issuer != authority.subject or (authority.usage is not None and not authority.usage.crl_sign):
            return False
        key = authority.key_bytes
        if key not in self._signed_by:
            self._signed_by[key] = self._is_signed_by(authority)
        return self._signed_by[key]

    def _is_signed_by(self, authority: GID) -> bool:
        try:
            return self._list.is_signature_valid(authority.public_key)  # type: ignore[arg-type]  # other kinds raise
        except (TypeError, ValueError, BadGID, UnsupportedAlgorithm):
            return False

    def revoked_at(self, certificate: x509.Certificate) -> datetime | None:
        """When a certificate of the same authority was revoked; None when it was not."""
        entry = self._list.get_revoked_certificate_by_serial_number(certificate.serial_number)
        return entry.revocation_date_utc if entry is not None else None


def _matters(extension: x509.Extension[x509.ExtensionType]) -> bool:
    return extension.critical and not isinstance(extension.value, _HARMLESS)
