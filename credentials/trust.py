"""Trusted roots, and the path from a certificate to one of them.

A root is trusted for the names the operator gave it and no others. Between a root and a certificate every step is
signed by the one above, which must be an authority over the name below: an authority vouches only for what is under it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from credentials.errors import BadGID, GIDRefused
from credentials.gid import GID
from credentials.urn import URN, authority_covers

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of ours the clock of an issuer may be; expiry gets no such grace."""

LEAST_RSA_BITS = 1024
"""The field still has 1024-bit user keys; 512-bit ones can be broken by anybody."""
LEAST_EC_BITS = 224

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


@dataclass(frozen=True)
class Trust:
    """All roots, and the certificates that are revoked.

    revoked: SHA-256 fingerprints in hex
    """

    roots: tuple[Root, ...]
    revoked: frozenset[str] = frozenset()

    def __init__(self, roots: Iterable[Root], revoked: Iterable[str] = ()) -> None:
        object.__setattr__(self, "roots", tuple(roots))
        object.__setattr__(self, "revoked", frozenset(revoked))

    def check_gid(self, gid: GID, *, now: datetime) -> Root:
        """Follow the chain to a root. Raises GIDRefused at the first check that fails; returns the root it ends at.

        With a few hundred roots the signature is tried only against those whose name the issuer field gives, then
        against all: SFA tools never compare those names, and some certificates get them wrong.
        """
        current: GID | None = gid
        while current is not None:
            # 1. It binds a name, is in its time, not revoked, and its key is no toy.
            name = _name(current)
            self._check_alone(current, now)
            # 2. A root signed it, or it is one: the path ends here.
            if roots := self._roots_of(current):
                return self._first_that_vouches(roots, gid, current, now)
            # 3. Otherwise the next of the chain signed it and is an authority over its name.
            above = current.issuer
            if above is None:
                raise GIDRefused("root", f"{name} was issued by {current.issuer_name}, whom this server does not trust")
            if not _signed_by(current.leaf, above):
                raise GIDRefused("chain", f"certificate of {name} was not signed by the next in its chain, {above}")
            if not above.is_authority:
                raise GIDRefused("chain", f"{above} signed {name} and is no certificate authority")
            current = above
        raise GIDRefused("root", f"{gid} leads to no root that this server trusts")  # unreachable; for the type

    def _check_alone(self, gid: GID, now: datetime) -> None:
        """What can be said of one certificate without those above it."""
        if gid.not_after <= now:
            raise GIDRefused("expiry", f"certificate of {gid} expired {gid.not_after:%Y-%m-%dT%H:%M:%SZ}")
        if gid.not_before > now + CLOCK_SKEW:
            raise GIDRefused("expiry", f"certificate of {gid} is not valid before {gid.not_before:%Y-%m-%dT%H:%M:%SZ}")
        if gid.fingerprint in self.revoked:
            raise GIDRefused("revoked", f"certificate of {gid} was revoked")
        try:
            key = gid.public_key
        except BadGID as e:
            raise GIDRefused("key", str(e)) from e
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
            raise GIDRefused("key", f"certificate of {gid} has an RSA key of {key.key_size} bits, which is too short")
        if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < LEAST_EC_BITS:
            raise GIDRefused("key", f"certificate of {gid} has an EC key of {key.key_size} bits, which is too short")

    def _roots_of(self, gid: GID) -> list[Root]:
        """The roots that the certificate is, or whose key signed it: several when a root was renewed with its key."""
        if same := [root for root in self.roots if root.gid.leaf == gid.leaf]:
            return same
        likely = [root for root in self.roots if root.gid.subject_name == gid.issuer_name]
        if signers := [root for root in likely if _signed_by(gid.leaf, root.gid)]:
            return signers
        return [root for root in self.roots if root not in likely and _signed_by(gid.leaf, root.gid)]

    def _first_that_vouches(self, roots: list[Root], gid: GID, top: GID, now: datetime) -> Root:
        refusals = []
        for root in roots:
            try:
                self._check_alone(root.gid, now)
                self._check_names(gid, top, root)
            except GIDRefused as refusal:
                refusals.append(refusal)
            else:
                return root
        raise refusals[0]

    def _check_names(self, gid: GID, top: GID, root: Root) -> None:
        """Every name on the path is one that the certificate above it, and the root, may vouch for."""
        path = [GID((certificate,)) for certificate in gid.chain[: gid.chain.index(top.leaf) + 1]]
        if top.leaf != root.gid.leaf:
            path.append(root.gid)
        for below, above in pairwise(path):
            above_name, below_name = _name(above), _name(below)
            if above_name.type != "authority" or not above_name.covers(below_name):
                raise GIDRefused("names", f"{above_name} signed {below_name}, which is not below it")
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
        for certificate in path:
            if certificate.leaf != root.gid.leaf and not root.may_vouch_for(_name(certificate)):
                allowed = ", ".join(root.names)
                raise GIDRefused(
                    "names", f"{_name(root.gid)} is trusted here for {allowed}, not for {_name(certificate)}"
                )


def _name(gid: GID) -> URN:
    if gid.urn is None:
        raise GIDRefused("name", f"{gid} has no URN in its subjectAltName")
    return gid.urn


def _signed_by(certificate: x509.Certificate, issuer: GID) -> bool:
    """Whether the issuer's key made the certificate's signature. Names are compared elsewhere, as URNs."""
    try:
        algorithm = certificate.signature_hash_algorithm
        key = issuer.public_key
        if algorithm is None:
            return False
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, BadGID):
        return False
    return True
