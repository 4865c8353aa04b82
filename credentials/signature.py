"""XML signatures, the part of them that SFA credentials use, checked and made in this process.

Implements https://www.w3.org/TR/xmldsig-core/ for one case: a `Signature` with exactly one reference, by ``xml:id``, to
an element of the same document. Everything that case does not need is refused, which leaves attackers little to play
with: no other transforms, no external references, no keys but those of certificates.

Canonical form is lxml's, over a copy of the element that carries what inclusive canonicalisation inherits from its
ancestors: namespace declarations and ``xml:`` attributes. GENI tools put an ``xml:id`` on `Signature`, so it is part of
the bytes of every `SignedInfo`.
"""

import base64
import binascii
import copy
import hashlib
import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from credentials.errors import BadGID, CredentialRefused
from credentials.gid import GID

DSIG = "http://www.w3.org/2000/09/xmldsig#"
XML = "http://www.w3.org/XML/1998/namespace"
XML_ID = f"{{{XML}}}id"

C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_CANONICAL = {
    C14N: (False, False),
    f"{C14N}#WithComments": (False, True),
    _EXCLUSIVE: (True, False),
    f"{_EXCLUSIVE}WithComments": (True, True),
}
"""Algorithm -> (exclusive, with comments)."""

ENVELOPED = f"{DSIG}enveloped-signature"

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
RSA_SHA256 = f"{_MORE}rsa-sha256"
_SIGNATURES: dict[str, tuple[type, hashes.HashAlgorithm]] = {
    RSA_SHA256: (rsa.RSAPublicKey, hashes.SHA256()),
    f"{_MORE}rsa-sha384": (rsa.RSAPublicKey, hashes.SHA384()),
    f"{_MORE}rsa-sha512": (rsa.RSAPublicKey, hashes.SHA512()),
    f"{_MORE}ecdsa-sha256": (ec.EllipticCurvePublicKey, hashes.SHA256()),
    f"{_MORE}ecdsa-sha384": (ec.EllipticCurvePublicKey, hashes.SHA384()),
    f"{DSIG}rsa-sha1": (rsa.RSAPublicKey, hashes.SHA1()),  # noqa: S303 - only from roots the operator allowed it
}
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_DIGESTS = {
    SHA256: "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
    f"{DSIG}sha1": "sha1",
}
_LEGACY = (f"{DSIG}rsa-sha1", f"{DSIG}sha1")

_MOST_CERTIFICATES = 10


@dataclass(frozen=True, slots=True)
class Signed:
    """What a good signature covers and who made it.

    octets:  the canonical bytes; nothing else of the document may be believed
    signer:  the certificate whose key made the signature, with the chain that came along
    is_sha1: whether SHA-1 was used anywhere in it
    """

    octets: bytes
    signer: GID
    is_sha1: bool


def canonical(
    element: etree._Element, *, exclusive: bool = False, comments: bool = False, consume: bool = False
) -> bytes:
    """The canonical bytes of an element in its place in the document.

    consume: whether the element may be left without its children
    Raises CredentialRefused: it has no such form.
    """
    try:
        return _canonical(element, exclusive=exclusive, comments=comments, consume=consume)
    except (etree.C14NError, ValueError) as e:  # such as a namespace that is no absolute URI
        raise CredentialRefused("signature", "the credential has no canonical form: a namespace in it is odd") from e


def _canonical(element: etree._Element, *, exclusive: bool, comments: bool, consume: bool) -> bytes:
    inherited = [] if exclusive else _inherited(element)
    if not inherited and None not in element.nsmap:
        # lxml gives a subtree the namespaces it is in, and neither the attributes nor, below it, the default namespace.
        return etree.tostring(element, method="c14n", exclusive=exclusive, with_comments=comments)
    apex = etree.Element(element.tag, nsmap=element.nsmap)  # type: ignore[arg-type]  # the stubs forget None
    for name, value in (*inherited, *element.attrib.items()):
        apex.set(name, value)
    apex.text = element.text
    apex.extend(list(element) if consume else [copy.deepcopy(child) for child in element])
    return etree.tostring(apex, method="c14n", exclusive=exclusive, with_comments=comments)


def _inherited(element: etree._Element) -> list[tuple[str, str]]:
    """``xml:`` attributes of the ancestors, the nearest last so that it wins."""
    ancestors = reversed(list(element.iterancestors()))
    return [
        (str(name), str(value))
        for ancestor in ancestors
        for name, value in ancestor.items()
        if str(name).startswith(f"{{{XML}}}")
    ]


def check(signature: etree._Element, referenced: etree._Element) -> Signed:
    """Check that `signature` is a good signature of `referenced` and nothing else. Raises CredentialRefused.

    That the signer may be believed is not checked here.
    """
    parts = _Parts(signature, "SignedInfo", "SignatureValue", "KeyInfo", "Object")
    info = parts.only("SignedInfo")
    said = _Parts(info, "CanonicalizationMethod", "SignatureMethod", "Reference")
    algorithm = _algorithm(said.only("SignatureMethod"))
    canonicalisation = _algorithm(said.only("CanonicalizationMethod"))
    reference = said.only("Reference")
    referred = _Parts(reference, "Transforms", "DigestMethod", "DigestValue")
    digest_algorithm = _algorithm(referred.only("DigestMethod"))
    # 1. Algorithms that we know; the key's kind follows from the algorithm, never from the document's KeyInfo.
    if algorithm not in _SIGNATURES:
        raise CredentialRefused("algorithm", f"signature algorithm {algorithm!a:.100} is not accepted")
    if digest_algorithm not in _DIGESTS:
        raise CredentialRefused("algorithm", f"digest algorithm {digest_algorithm!a:.100} is not accepted")
    if canonicalisation not in _CANONICAL:
        raise CredentialRefused("algorithm", f"canonicalisation {canonicalisation!a:.100} is not accepted")
    # 2. The reference means the element we were given.
    identifier = referenced.get(XML_ID)
    if not identifier or (written := reference.get("URI")) != f"#{identifier}":
        raise CredentialRefused("signature", f"a signature refers to {written!a:.100}, not to {identifier!a:.100}")
    # 3. The element's bytes are those that were signed.
    octets = _transformed(reference, referenced)
    digest = hashlib.new(_DIGESTS[digest_algorithm], octets, usedforsecurity=False).digest()
    if not hmac.compare_digest(digest, _base64(referred.only("DigestValue"))):
        raise CredentialRefused("signature", f"credential {identifier!a:.100} was altered after it was signed")
    # 4. The key of a certificate that came along made the signature.
    exclusive, comments = _CANONICAL[canonicalisation]
    # Last, since it takes the children away: copying them would take as long as all the rest of this.
    message = canonical(info, exclusive=exclusive, comments=comments, consume=True)
    signer = _signer(parts.only("KeyInfo"), algorithm, message, _base64(parts.only("SignatureValue")))
    return Signed(octets, signer, is_sha1=algorithm in _LEGACY or digest_algorithm in _LEGACY)


def _transformed(reference: etree._Element, referenced: etree._Element) -> bytes:
    """The referenced bytes after the transforms: an enveloped signature (which is never inside what it signs here, so
    nothing is removed), then at most one canonicalisation."""
    transforms = reference.findall(f"{{{DSIG}}}Transforms/{{{DSIG}}}Transform")
    wanted = [_algorithm(transform) for transform in transforms]
    if any(len(transform) for transform in transforms):
        raise CredentialRefused("algorithm", "transforms with parameters are not accepted")
    if wanted[:1] == [ENVELOPED]:
        wanted = wanted[1:]
    if len(wanted) > 1 or any(one not in _CANONICAL for one in wanted):
        raise CredentialRefused("algorithm", f"transform {wanted[0]!a:.100} is not accepted")
    # A reference by bare name leaves comments out, whatever the transform says.
    exclusive, _ = _CANONICAL[wanted[0] if wanted else C14N]
    return canonical(referenced, exclusive=exclusive, comments=False)


def _signer(key_info: etree._Element, algorithm: str, message: bytes, value: bytes) -> GID:
    """The certificate of KeyInfo whose key made `value`; usually the first. Bare keys in KeyInfo mean nothing."""
    texts = [_text_of(e) for e in key_info.iterfind(f"{{{DSIG}}}X509Data/{{{DSIG}}}X509Certificate")]
    if not texts:
        raise CredentialRefused("signature", "a signature comes without a certificate of its signer")
    if len(texts) > _MOST_CERTIFICATES:
        raise CredentialRefused("signature", f"a signature comes with {len(texts)} certificates")
    try:
        gids = [GID.parse(text.strip()) for text in texts]
    except BadGID as e:
        raise CredentialRefused("signature", f"a certificate of a signature can't be read: {e}") from e
    for number, gid in enumerate(gids):
        if _verifies(gid, algorithm, message, value):
            others = [other.certificates[0] for place, other in enumerate(gids) if place != number]
            return GID((gid.certificates[0], *others))
    raise CredentialRefused("signature", f"the signature was not made with the key of {gids[0]}")


def _verifies(gid: GID, algorithm: str, message: bytes, value: bytes) -> bool:
    kind, digest = _SIGNATURES[algorithm]
    key = gid.public_key
    if not isinstance(key, kind):
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(value, message, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            half = len(value) // 2  # XML signatures carry r and s side by side, not in DER
            der = encode_dss_signature(int.from_bytes(value[:half]), int.from_bytes(value[half:]))
            key.verify(der, message, ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def sign(signatures: etree._Element, referenced: etree._Element, key: PrivateKey, gid: GID) -> None:
    """Append to `signatures` a signature of `referenced`, made with `key`, carrying the chain of `gid`.

    RSA-SHA256, or ECDSA-SHA256 for an EC key; inclusive canonicalisation, as the field's tools expect.
    """
    identifier = referenced.get(XML_ID)
    algorithm = RSA_SHA256 if isinstance(key, rsa.RSAPrivateKey) else f"{_MORE}ecdsa-sha256"
    signature = etree.SubElement(signatures, f"{{{DSIG}}}Signature", nsmap={None: DSIG})  # type: ignore[dict-item]  # as above
    signature.set(XML_ID, f"Sig_{identifier}")
    info = etree.SubElement(signature, f"{{{DSIG}}}SignedInfo")
    etree.SubElement(info, f"{{{DSIG}}}CanonicalizationMethod", Algorithm=C14N)
    etree.SubElement(info, f"{{{DSIG}}}SignatureMethod", Algorithm=algorithm)
    reference = etree.SubElement(info, f"{{{DSIG}}}Reference", URI=f"#{identifier}")
    transforms = etree.SubElement(reference, f"{{{DSIG}}}Transforms")
    etree.SubElement(transforms, f"{{{DSIG}}}Transform", Algorithm=ENVELOPED)
    etree.SubElement(reference, f"{{{DSIG}}}DigestMethod", Algorithm=SHA256)
    digest = etree.SubElement(reference, f"{{{DSIG}}}DigestValue")
    digest.text = _text(hashlib.sha256(canonical(referenced)).digest())
    value = etree.SubElement(signature, f"{{{DSIG}}}SignatureValue")
    value.text = _text(_signed(key, canonical(info)))
    data = etree.SubElement(etree.SubElement(signature, f"{{{DSIG}}}KeyInfo"), f"{{{DSIG}}}X509Data")
    for certificate in gid.chain:
        # The lines of a PEM file: SFAWrap puts them between its own first and last line, with no line break at either
        # end to spare, and the OpenSSL of older Pythons reads no line longer than 64.
        lines = certificate.public_bytes(Encoding.PEM).decode().splitlines()[1:-1]
        etree.SubElement(data, f"{{{DSIG}}}X509Certificate").text = "\n".join(lines)


def _signed(key: PrivateKey, message: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size) + s.to_bytes(size)


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


class _Parts:
    """The children of an element of a signature by name. They are known and stand in the order of the specification."""

    def __init__(self, element: etree._Element, *order: str) -> None:
        """Raises CredentialRefused."""
        self._found: dict[str, list[etree._Element]] = {}
        names = [f"{{{DSIG}}}{name}" for name in order]
        place = 0
        for child in element.iterchildren(etree.Element):
            if child.tag not in names[place:]:
                strange = ascii(str(child.tag).replace(f"{{{DSIG}}}", ""))[1:-1]
                raise CredentialRefused("signature", f"a signature has {strange:.60} where it doesn't belong")
            place = names.index(str(child.tag))
            self._found.setdefault(str(child.tag), []).append(child)

    def only(self, name: str) -> etree._Element:
        """The one child of that name. Raises CredentialRefused: there are none, or several."""
        found = self._found.get(f"{{{DSIG}}}{name}", ())
        if len(found) != 1:
            raise CredentialRefused("signature", f"a signature has {len(found)} {name} elements where one is expected")
        return found[0]


def _algorithm(element: etree._Element) -> str:
    return element.get("Algorithm") or ""


def _text_of(element: etree._Element) -> str:
    """All the text of an element that holds nothing else: who stops reading at a child sees less than others do.

    Raises CredentialRefused.
    """
    if len(element):
        raise CredentialRefused("signature", "a signature has something other than text where base64 is expected")
    return element.text or ""


def _base64(element: etree._Element) -> bytes:
    try:
        return base64.b64decode("".join(_text_of(element).split()), validate=True)
    except (binascii.Error, ValueError) as e:
        raise CredentialRefused("signature", "a signature holds something that is not base64") from e
