"""What certificates on a path may be: how deep, for what use, with which extensions and keys."""

from datetime import timedelta

import pytest
from conftest import NOW, Federation
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from credentials import GID, URN, GIDRefused, Root, Trust
from credentials.certificate import Certificate
from credentials.keys import new_ec_key

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def fed():
    return Federation("plc", keys=new_ec_key)


def usage(*, certificates, digital=True):
    return x509.KeyUsage(digital, False, False, False, False, certificates, certificates, False, False)


def certificate(name, key, signer, *, is_authority=True, depth=None, extensions=(), digest=None):
    """Issued by `signer`: (certificate, key), or None for itself."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(is_authority, depth), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)]), critical=False)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(signer[1] if signer else key, digest or hashes.SHA256())


def authority(path):
    return f"urn:publicid:IDN+{path}+authority+sa"


ALICE = "urn:publicid:IDN+plc:a:b+user+alice"


def chain(*, root=(), middle=(), lower=(), leaf=(), depths=(None, None, None), leaf_key=None):
    """Alice, below plc:a:b, below plc:a, below plc; with further extensions for each."""
    keys = [new_ec_key() for _ in range(3)]
    top = certificate(authority("plc"), keys[0], None, depth=depths[0], extensions=root)
    a = certificate(authority("plc:a"), keys[1], (top, keys[0]), depth=depths[1], extensions=middle)
    b = certificate(authority("plc:a:b"), keys[2], (a, keys[1]), depth=depths[2], extensions=lower)
    alice = certificate(ALICE, leaf_key or new_ec_key(), (b, keys[2]), is_authority=False, extensions=leaf)
    return GID([alice, b, a, top]), Trust([Root(GID([top]), ("plc",))])


def check_that_fails(gid, trust):
    try:
        trust.check_gid(gid, now=NOW)
    except GIDRefused as refusal:
        return refusal.check
    return None


@pytest.mark.parametrize(
    ("depths", "fails"),
    [
        ((None, None, None), None),
        ((2, 1, 0), None),
        ((1, 0, 0), "chain"),
        ((1, None, None), "chain"),
        ((None, 0, None), "chain"),
        ((None, None, 0), None),
        ((0, None, None), "chain"),
        ((9, 9, 9), None),
    ],
)
def test_path_lengths_are_kept(depths, fails):
    """plc has two authorities below it, plc:a one, plc:a:b none."""
    assert check_that_fails(*chain(depths=depths)) == fails


@pytest.mark.parametrize("where", ["root", "middle", "lower"])
@pytest.mark.parametrize("may", [True, False])
def test_a_key_that_is_not_for_signing_certificates_signs_none(where, may):
    assert check_that_fails(*chain(**{where: [(usage(certificates=may), True)]})) == (None if may else "chain")


def test_a_users_key_usage_is_not_asked():
    assert check_that_fails(*chain(leaf=[(usage(certificates=False, digital=False), True)])) is None


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
CONSTRAINTS = x509.NameConstraints([x509.DNSName("example.org")], None)


@pytest.mark.parametrize("where", ["root", "middle", "lower", "leaf"])
@pytest.mark.parametrize(
    ("extension", "critical", "fails"),
    [
        (UNKNOWN, True, "extension"),
        (UNKNOWN, False, None),
        (CONSTRAINTS, True, "extension"),
        (CONSTRAINTS, False, None),
        (x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.2")]), True, None),
        (x509.OCSPNoCheck(), True, "extension"),
    ],
)
def test_critical_extensions_that_are_not_known_are_refused_by_name(where, extension, critical, fails):
    gid, trust = chain(**{where: [(extension, critical)]})
    assert check_that_fails(gid, trust) == fails
    if fails:
        with pytest.raises(GIDRefused, match=extension.oid.dotted_string):
            trust.check_gid(gid, now=NOW)


@pytest.mark.parametrize(
    ("key", "fails"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), None),
        (lambda: ec.generate_private_key(ec.SECP521R1()), None),
        (lambda: ec.generate_private_key(ec.SECP192R1()), "key"),
        (lambda: rsa.generate_private_key(public_exponent=65537, key_size=1024), None),  # noqa: S505 - on purpose
        (ed25519.Ed25519PrivateKey.generate, "key"),
    ],
)
def test_keys_must_be_of_a_kind_and_a_strength(key, fails):
    assert check_that_fails(*chain(leaf_key=key())) == fails


def test_a_wrong_issuer_field_does_not_hide_the_root_that_signed(fed):
    """SFA tools never compare names, and some certificates get them wrong."""
    key = new_ec_key()
    other = certificate(authority("elsewhere"), new_ec_key(), None)
    misnamed = certificate("urn:publicid:IDN+plc+user+odd", key, (other, fed.root_key), is_authority=False)
    trust = Trust([Root(GID([other]), ("elsewhere",)), Root(fed.root, ("plc",))])
    assert trust.check_gid(GID([misnamed]), now=NOW).gid is fed.root
    assert trust.check_gid(GID([misnamed, other]), now=NOW).gid is fed.root


def test_certificates_of_text_are_remembered_and_large_ones_are_not(fed):
    body = "".join(fed.alice.gid.leaf_pem.splitlines()[1:-1]).encode()
    assert Certificate.from_base64(body) is Certificate.from_base64(body)
    long_name = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x04\x82\x20\x00" + bytes(8192))
    large = certificate(
        "urn:publicid:IDN+plc+user+large", new_ec_key(), (fed.root.leaf, fed.root_key), extensions=[(long_name, False)]
    )
    text = "".join(GID([large]).leaf_pem.splitlines()[1:-1]).encode()
    assert Certificate.from_base64(text) is not Certificate.from_base64(text)
    assert fed.trust().check_gid(GID.parse(text), now=NOW).gid is fed.root


def test_two_certificates_are_the_same_by_their_bytes(fed):
    again = GID.parse(fed.alice.gid.pem)
    assert again.same_certificate(fed.alice.gid)
    assert not again.same_certificate(fed.bob.gid)
    assert URN("plc", "user", "alice") == again.urn
