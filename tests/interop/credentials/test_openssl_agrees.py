"""Certificates: where we trust one, `openssl verify` does, with the same root; and where it doesn't, we don't.

Known differences, on purpose: OpenSSL knows nothing of URNs, so it takes names that an authority may not vouch for; it
asks for issuer names to match, and we don't; it refuses what a late revocation list covers, and we don't.
"""

import subprocess
from datetime import timedelta

import pytest
from conftest import NOW, Federation
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from credentials import CRL, GID, GIDRefused, Root, Trust
from credentials.keys import new_ec_key, new_rsa_key

DAY = timedelta(days=1)
pytestmark = pytest.mark.needs("openssl")


@pytest.fixture(scope="module")
def keys():
    return {"RSA": [new_rsa_key() for _ in range(4)], "EC": [new_ec_key() for _ in range(4)]}


def certificate(name, key, signer, *, ca=True, begins=NOW - DAY, ends=NOW + DAY, depth=None, usage=None, unknown=None):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(signer[0].subject if signer else subject, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca, depth), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if usage is not None:
        use = x509.KeyUsage(True, False, False, False, False, usage, usage, False, False)
        builder = builder.add_extension(use, critical=True)
    if unknown is not None:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=unknown
        )
    return builder.sign(signer[1] if signer else key, hashes.SHA256())


TOP, SITE, LAB = (f"urn:publicid:IDN+{path}+authority+sa" for path in ("plc", "plc:a", "plc:a:b"))
ALICE = "urn:publicid:IDN+plc:a:b+user+alice"

CASES = {
    "good": {},
    "path lengths just so": {"top": {"depth": 2}, "site": {"depth": 1}, "lab": {"depth": 0}},
    "path length of the root": {"top": {"depth": 1}},
    "path length in between": {"site": {"depth": 0}},
    "no authority in between": {"site": {"ca": False}},
    "the lowest is no authority": {"lab": {"ca": False}},
    "key usage in order": {"top": {"usage": True}, "site": {"usage": True}, "alice": {"usage": False}},
    "key usage of one in between": {"site": {"usage": False}},
    "expired": {"alice": {"ends": NOW - timedelta(hours=1)}},
    "one in between expired": {"site": {"ends": NOW - timedelta(hours=1)}},
    "the root expired": {"top": {"ends": NOW - timedelta(hours=1)}},
    "not valid yet": {"alice": {"begins": NOW + timedelta(hours=1)}},
    "a critical extension": {"alice": {"unknown": True}},
    "one in between": {"site": {"unknown": True}},
    "not critical": {"alice": {"unknown": False}, "site": {"unknown": False}},
}


def chain(keys, **more):
    def of(role):
        return more.get(role, {})

    top = certificate(TOP, keys[0], None, **of("top"))
    site = certificate(SITE, keys[1], (top, keys[0]), **of("site"))
    lab = certificate(LAB, keys[2], (site, keys[1]), **of("lab"))
    return [certificate(ALICE, keys[3], (lab, keys[2]), **{"ca": False, **of("alice")}), lab, site, top]


def by_us(certificates, crls=()):
    trust = Trust([Root(GID(certificates[-1:]), ("plc",))], crls=[CRL.parse(one) for one in crls])
    try:
        trust.check_gid(GID(certificates), now=NOW)
    except GIDRefused:
        return False
    return True


def by_openssl(certificates, folder, crls=()):
    leaf, *between, top = (one.public_bytes(Encoding.PEM) for one in certificates)
    (folder / "leaf.pem").write_bytes(leaf)
    (folder / "between.pem").write_bytes(b"".join(between))
    (folder / "top.pem").write_bytes(top + b"".join(crls))
    command = ["openssl", "verify", "-attime", str(int(NOW.timestamp())), "-CAfile", folder / "top.pem"]
    command += ["-crl_check_all"] if crls else []
    command += ["-untrusted", folder / "between.pem"] if between else []
    return subprocess.run([*command, folder / "leaf.pem"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("kind", ["RSA", "EC"])
@pytest.mark.parametrize("case", CASES)
def test_the_same_verdict_as_openssl(keys, tmp_path, kind, case):
    certificates = chain(keys[kind], **CASES[case])
    verdict = by_us(certificates)
    assert verdict == by_openssl(certificates, tmp_path)
    if case == "good":
        assert verdict


def test_a_changed_byte_is_seen_by_both(keys, tmp_path):
    leaf, *rest = chain(keys["EC"])
    der = bytearray(leaf.public_bytes(Encoding.DER))
    der[-5] ^= 1
    certificates = [x509.load_der_x509_certificate(bytes(der)), *rest]
    assert by_us(certificates) == by_openssl(certificates, tmp_path) == False  # noqa: E712 - three values


def revocations(signer, key, *revoked, ends=NOW + DAY):
    builder = x509.CertificateRevocationListBuilder().issuer_name(signer.subject)
    builder = builder.last_update(NOW - 2 * DAY).next_update(ends)
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number).revocation_date(NOW - DAY)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("revoked", [None, 0, 1, 2])
def test_the_same_verdict_with_revocation_lists(keys, tmp_path, revoked):
    own = keys["RSA"]
    certificates = chain(own)
    lists = [
        revocations(certificates[above], own[3 - above], *([certificates[above - 1]] if revoked == above - 1 else []))
        for above in (1, 2, 3)
    ]
    verdict = by_us(certificates, lists)
    assert verdict == by_openssl(certificates, tmp_path, lists)
    assert verdict == (revoked is None)


def test_what_openssl_does_not_know_and_what_it_is_stricter_in(keys, tmp_path):
    own = keys["EC"]
    top = certificate(TOP, own[0], None)
    stranger = certificate("urn:publicid:IDN+other+user+eve", own[1], (top, own[0]), ca=False)
    assert by_openssl([stranger, top], tmp_path)
    assert not by_us([stranger, top])
    certificates = chain(keys["RSA"])
    late = [revocations(certificates[above], keys["RSA"][3 - above], ends=NOW - DAY) for above in (1, 2, 3)]
    assert not by_openssl(certificates, tmp_path, late)
    assert by_us(certificates, late)
    other = certificate("urn:publicid:IDN+elsewhere+authority+sa", own[2], None)
    misnamed = certificate("urn:publicid:IDN+plc+user+odd", own[1], (other, own[0]), ca=False)
    assert not by_openssl([misnamed, top], tmp_path)
    assert by_us([misnamed, top])


def test_our_own_chains_are_good_to_openssl(tmp_path):
    fed = Federation("plc", keys=new_ec_key)
    assert by_us(fed.alice.gid.chain)
    assert by_openssl(fed.alice.gid.chain, tmp_path)
