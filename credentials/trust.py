"""Trusted roots, and the path from a certificate to one of them.

A root is trusted for the names the operator gave it and no others. Between a root and a certificate every step is
signed by the one above, which must be an authority over the name below: an authority vouches only for what is under it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from credentials.certificate import Certificate
from credentials.crl import CRL
from credentials.errors import GIDRefused
from credentials.gid import GID
from credentials.urn import URN, authority_covers

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of ours the clock of an issuer may be; expiry gets no such grace."""

_LEAST_BITS = {"RSA": 1024, "EC": 224}
"""The field still has 1024-bit user keys; 512-bit ones can be broken by anybody."""

_STRONG = (hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512)
"""SHA-1 is for an operator to allow; MD5 is for nobody: certificates have been forged with it."""


@dataclass(frozen=True, slots=True)
class Root:
    """A self-standing certificate that the operator trusts.

    names:       authorities ("plc", "plc:princeton") it may vouch for, with all below them
    legacy_sha1: whether signatures with SHA-1 are accepted from it and those it vouches for
    """

    gid: GID
    names: tuple[str, ...]
    legacy_sha1: bool = False

    def may_vouch_for(self, name: URN) -> bool:
        """Whether the operator lets this root speak about `name`."""
        return any(authority_covers(own, name.authority) for own in self.names)


@dataclass(frozen=True, eq=False)
class Trust:
    """All roots, and the certificates that are revoked.

    revoked: SHA-256 fingerprints in hex
    crls:    revocation lists of authorities; each counts for the certificates of the one that signed it, also after the
             time at which it promised a newer one
    """

    roots: tuple[Root, ...]
    revoked: frozenset[str] = frozenset()
    crls: tuple[CRL, ...] = ()

    def __init__(self, roots: Iterable[Root], revoked: Iterable[str] = (), crls: Iterable[CRL] = ()) -> None:
        object.__setattr__(self, "roots", tuple(roots))
        object.__setattr__(self, "revoked", frozenset(revoked))
        object.__setattr__(self, "crls", tuple(crls))
        by_issuer: dict[bytes, list[CRL]] = defaultdict(list)
        for crl in self.crls:
            by_issuer[crl.issuer].append(crl)
        object.__setattr__(self, "_crls_of", dict(by_issuer))

    def stale_crls(self, now: datetime) -> tuple[CRL, ...]:
        """The lists that should have been replaced by now: revocations since then are not known here."""
        return tuple(crl for crl in self.crls if crl.next_update is not None and crl.next_update <= now)

    def check_gid(self, gid: GID, *, now: datetime) -> Root:
        """Follow the chain to a root. Raises GIDRefused at the first check that fails; returns the root it ends at.

        With a few hundred roots the signature is tried only against those whose name the issuer field gives, and
        against all where nothing else fits.
        """
        path: list[GID] = []
        current = gid
        while True:
            # 1. It binds a name, is in its time, not revoked, and its key is no toy.
            name = _name(current)
            self._check_alone(current, now)
            path.append(current)
            # 2. A root signed it, or it is one: the path ends here.
            if roots := self._roots_of(current):
                return self._first_that_vouches(roots, path, now)
            # 3. Otherwise the next of the chain signed it and is an authority over its name.
            above = current.issuer
            if above is None or not _signed_by(current, above):
                if roots := self._other_roots_of(current):
                    return self._first_that_vouches(roots, path, now)
                if above is None:
                    by = current.issuer_name
                    raise GIDRefused("root", f"{name} was issued by {by}, whom this server does not trust")
                raise GIDRefused("chain", f"certificate of {name} was not signed by the next in its chain, {above}")
            if not above.is_authority:
                raise GIDRefused("chain", f"{above} signed {name} and is no certificate authority")
            current = above

    def _check_alone(self, gid: GID, now: datetime) -> None:
        """What can be said of one certificate without those above it."""
        if gid.not_after <= now:
            raise GIDRefused("expiry", f"certificate of {gid} expired {gid.not_after:%Y-%m-%dT%H:%M:%SZ}")
        if gid.not_before > now + CLOCK_SKEW:
            raise GIDRefused("expiry", f"certificate of {gid} is not valid before {gid.not_before:%Y-%m-%dT%H:%M:%SZ}")
        if self.revoked and gid.fingerprint in self.revoked:
            raise GIDRefused("revoked", f"certificate of {gid} was revoked")
        if gid.flaws:
            raise GIDRefused(
                "extension", f"certificate of {gid} has the critical extension {gid.flaws[0]}, which is not known here"
            )
        if (least := _LEAST_BITS.get(gid.key_kind)) is None:
            raise GIDRefused("key", f"certificate of {gid} has a key that is neither RSA nor EC, or can't be used")
        if gid.key_bits < least:
            kind, bits = gid.key_kind, gid.key_bits
            raise GIDRefused("key", f"certificate of {gid} has an {kind} key of {bits} bits, which is too short")

    def _roots_of(self, gid: GID) -> list[Root]:
        """The roots that the certificate is, or whose key signed it: several when a root was renewed with its key."""
        if same := [root for root in self.roots if root.gid.same_certificate(gid)]:
            return same
        return [root for root in self.roots if gid.may_be_issued_by(root.gid.subject) and _signed_by(gid, root.gid)]

    def _other_roots_of(self, gid: GID) -> list[Root]:
        """The roots whose key signed it, though its issuer field says otherwise: SFA tools don't compare the two."""
        return [root for root in self.roots if not gid.may_be_issued_by(root.gid.subject) and _signed_by(gid, root.gid)]

    def _first_that_vouches(self, roots: list[Root], path: list[GID], now: datetime) -> Root:
        refusals = []
        for root in roots:
            whole = path if path[-1].same_certificate(root.gid) else [*path, root.gid]
            try:
                self._check_alone(root.gid, now)
                for place, (below, above) in enumerate(pairwise(whole)):
                    self._check_step(below, above, root, authorities_below=place)
                _check_root(whole, root)
            except GIDRefused as refusal:
                refusals.append(refusal)
            else:
                return root
        raise refusals[0]

    def _check_step(self, below: GID, above: GID, root: Root, *, authorities_below: int) -> None:
        """One certificate and the one that signed it: it may, and hasn't taken it back."""
        above_name, below_name = _name(above), _name(below)
        if above_name.type != "authority" or not above_name.covers(below_name):
            raise GIDRefused("names", f"{above_name} signed {below_name}, which is not below it")
        if above.usage is not None and not above.usage.key_cert_sign:
            raise GIDRefused("chain", f"the key of {above_name} is not for signing certificates (keyUsage)")
        if above.path_length is not None and authorities_below > above.path_length:
            most = above.path_length
            raise GIDRefused(
                "chain", f"{above_name} allows {most} authorities below it (pathLength), not {authorities_below}"
            )
        for crl in self._crls_of.get(above.subject, ()) if self.crls else ():  # type: ignore[attr-defined]
            if crl.is_of(above) and (at := crl.revoked_at(below.leaf)) is not None:
                raise GIDRefused("revoked", f"certificate of {below_name} was revoked {at:%Y-%m-%dT%H:%M:%SZ}")
        algorithm = below.leaf.signature_hash_algorithm
        if isinstance(algorithm, hashes.SHA1):
            if not root.legacy_sha1:
                raise GIDRefused(
                    "algorithm",
                    f"certificate of {below_name} is signed with SHA-1, which is not accepted from "
                    f"{_name(root.gid)}; an operator can allow it: sfa-am trust add --legacy-sha1",
                )
        elif not isinstance(algorithm, _STRONG):
            used = algorithm.name if algorithm else "no digest"
            raise GIDRefused("algorithm", f"certificate of {below_name} is signed with {used}; SHA-256 would do")


def _check_root(path: list[GID], root: Root) -> None:
    """Every name on the path is one that the operator lets the root vouch for."""
    for gid in path:
        if not gid.same_certificate(root.gid) and not root.may_vouch_for(_name(gid)):
            allowed = ", ".join(root.names)
            raise GIDRefused("names", f"{_name(root.gid)} is trusted here for {allowed}, not for {_name(gid)}")


def _name(gid: GID) -> URN:
    if gid.urn is None:
        raise GIDRefused("name", f"{gid} has no URN in its subjectAltName")
    return gid.urn


def forget() -> None:
    """Check every signature anew from here on. Nothing but time depends on it."""
    _signed_remembered.cache_clear()


def _signed_by(below: GID, above: GID) -> bool:
    """Whether a certificate's signature was made by the key of another. Names are compared elsewhere, as URNs.

    It depends on the two alone, so it is remembered; but for large ones, with which a stranger could fill our memory.
    """
    certificate, issuer = below.certificates[0], above.certificates[0]
    if certificate.is_remembered and issuer.is_remembered:
        return _signed_remembered(certificate, issuer)
    return _is_signed(certificate, issuer)


@lru_cache(maxsize=4096)
def _signed_remembered(certificate: Certificate, issuer: Certificate) -> bool:
    return _is_signed(certificate, issuer)


def _is_signed(certificate: Certificate, issuer: Certificate) -> bool:
    signed, key = certificate.library, issuer.key
    try:
        algorithm = signed.signature_hash_algorithm
        if algorithm is None:
            return False
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signed.signature, signed.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signed.signature, signed.tbs_certificate_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
