"""Credentials as the tools of the field sign them, and our certificates in the hands of OpenSSL.

SFAWrap and the GENI tools sign by filling a template with the xmlsec1 program; what that makes is verified here by us.
"""

import re
import subprocess
from datetime import timedelta

import pytest
from conftest import NOW

from credentials import GID, URN, BadGID, CredentialRefused, GIDRefused, Issuer, Root, Trust, Verifier
from credentials.keys import new_ec_key, private_pem
from credentials.signature import DSIG

MORE = "http://www.w3.org/2001/04/xmldsig-more#"
TEMPLATE = """<Signature xml:id="Sig_ref0" xmlns="{dsig}">
 <SignedInfo>
  <CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>
  <SignatureMethod Algorithm="{method}"/>
  <Reference URI="#ref0">
   <Transforms><Transform Algorithm="{dsig}enveloped-signature"/></Transforms>
   <DigestMethod Algorithm="{digest}"/>
   <DigestValue></DigestValue>
  </Reference>
 </SignedInfo>
 <SignatureValue/>
 <KeyInfo>
  <X509Data><X509SubjectName/><X509IssuerSerial/><X509Certificate/></X509Data>
  <KeyValue/>
 </KeyInfo>
</Signature>"""


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def signed_by_xmlsec1(document, issuer, folder, method, digest):
    template = TEMPLATE.format(dsig=DSIG, method=method, digest=digest)
    unsigned = re.sub(r"<signatures>.*</signatures>", f"<signatures>{template}</signatures>", document, flags=re.DOTALL)
    (folder / "template.xml").write_text(unsigned)
    (folder / "key.pem").write_bytes(private_pem(issuer.key))
    (folder / "certificate.pem").write_text(issuer.gid.leaf_pem)
    return run(
        *("xmlsec1", "--sign", "--node-id", "Sig_ref0"),
        *("--privkey-pem", f"{folder / 'key.pem'},{folder / 'certificate.pem'}", folder / "template.xml"),
    )


@pytest.mark.needs("xmlsec1")
@pytest.mark.parametrize(
    ("method", "digest", "legacy"),
    [
        (f"{MORE}rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256", False),
        (f"{MORE}rsa-sha512", "http://www.w3.org/2001/04/xmlenc#sha512", False),
        (f"{DSIG}rsa-sha1", f"{DSIG}sha1", True),
        (f"{MORE}rsa-sha256", f"{DSIG}sha1", True),
        (f"{DSIG}rsa-sha1", "http://www.w3.org/2001/04/xmlenc#sha256", True),
    ],
)
def test_what_xmlsec1_signs_is_verified_and_sha1_anywhere_needs_the_operators_leave(
    plc, tmp_path, method, digest, legacy
):
    document = signed_by_xmlsec1(plc.credential(), plc.issuer, tmp_path, method, digest)

    def verify(trust):
        return Verifier(trust).verify(document, caller=plc.alice.gid, target=None, operation="createsliver", now=NOW)

    assert verify(plc.trust(legacy_sha1=True)).actor == plc.alice.urn
    if legacy:
        with pytest.raises(CredentialRefused, match="trust add --legacy-sha1") as caught:
            verify(plc.trust())
        assert caught.value.check == "algorithm"
    else:
        assert verify(plc.trust()).actor == plc.alice.urn


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("purpose", ["sslclient", "sslserver"])
def test_openssl_follows_our_chains_through_a_sub_authority(plc, tmp_path, purpose):
    key, leaf_key = new_ec_key(), new_ec_key()
    site = Issuer(
        plc.issuer.issue_gid(
            URN("plc:site", "authority", "sa"),
            key.public_key(),
            lifetime=timedelta(days=99),
            now=NOW,
            is_authority=True,
        ),
        key,
    )
    urn = URN("plc:site", "authority", "am")
    gid = site.issue_gid(
        urn, leaf_key.public_key(), lifetime=timedelta(days=9), now=NOW, hosts=["am.example.org", "192.0.2.1", "::1"]
    )
    for name, text in (("root", plc.root.pem), ("site", site.gid.leaf_pem), ("leaf", gid.leaf_pem)):
        (tmp_path / f"{name}.pem").write_text(text)
    run(
        *("openssl", "verify", "-x509_strict", "-purpose", purpose, "-attime", str(int(NOW.timestamp()))),
        *("-CAfile", "root.pem", "-untrusted", "site.pem", "-verify_hostname", "am.example.org", "leaf.pem"),
        cwd=tmp_path,
    )
    names = run("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", "leaf.pem", cwd=tmp_path)
    assert re.search(r"URI:urn:publicid:IDN\+plc:site\+authority\+am, URI:urn:uuid:[0-9a-f-]{36}, DNS:am", names)


EXTENSIONS = """[req]
distinguished_name = dn
x509_extensions = gid
prompt = no
[dn]
CN = odd
[gid]
subjectAltName = URI:urn:publicid:IDN+plc+user+odd,URI:urn:uuid:05b13298-8055-4ee6-94c4-5693cfba454b,email:o@example.org
"""
ODD = {
    "nothing odd": ("", "1"),
    "a negative serial": ("", "-5"),
    "serial zero": ("", "0"),
    "a serial of 22 bytes": ("", "0x" + "f" * 44),
    "an object identifier of 128 bits": (
        "authorityInfoAccess = 2.25.305821105408246119474742976030998643995;URI:https://example.org/\n",
        "1",
    ),
    "extensions of its own making": ("1.2.3.4 = DER:0500\n1.2.3.5 = critical,DER:0500\n", "1"),
}


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("oddity", ODD)
def test_odd_certificates_of_the_field_are_read(tmp_path, oddity):
    more, serial = ODD[oddity]
    (tmp_path / "odd.cnf").write_text(EXTENSIONS + more)
    run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "odd.key", "-out", "odd.pem"),
        *("-config", "odd.cnf", "-set_serial", serial),
        cwd=tmp_path,
    )
    gid = GID.parse((tmp_path / "odd.pem").read_bytes())
    assert (str(gid.urn), gid.email) == ("urn:publicid:IDN+plc+user+odd", "o@example.org")
    assert str(gid.uuid) == "05b13298-8055-4ee6-94c4-5693cfba454b"
    assert not gid.is_authority


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(
    ("digest", "strict", "lenient"), [("sha256", "", ""), ("sha1", "algorithm", ""), ("md5", "algorithm", "algorithm")]
)
def test_sha1_certificates_need_the_operators_leave_and_md5_is_never_accepted(plc, tmp_path, digest, strict, lenient):
    (tmp_path / "odd.cnf").write_text(EXTENSIONS)
    (tmp_path / "root.pem").write_text(plc.root.pem)
    (tmp_path / "root.key").write_bytes(private_pem(plc.root_key))
    run(
        *("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "odd.key", "-out", "odd.csr"),
        *("-config", "odd.cnf"),
        cwd=tmp_path,
    )
    run(
        *("openssl", "x509", "-req", f"-{digest}", "-in", "odd.csr", "-CA", "root.pem", "-CAkey", "root.key"),
        *("-set_serial", "7", "-extfile", "odd.cnf", "-extensions", "gid", "-out", "odd.pem", "-days", "1"),
        cwd=tmp_path,
    )
    gid = GID.parse((tmp_path / "odd.pem").read_bytes())

    def verdict(trust):
        try:
            trust.check_gid(gid, now=gid.not_before)
        except GIDRefused as refusal:
            return refusal.check
        return ""

    assert verdict(Trust([Root(plc.root, ("plc",))])) == strict
    assert verdict(Trust([Root(plc.root, ("plc",), legacy_sha1=True)])) == lenient


def test_a_file_of_beginnings_without_an_end_is_read_once_only():
    """Searched anew from every beginning, 20 of these would take minutes."""
    junk = b"-----BEGIN CERTIFICATE-----" * 4700
    for _ in range(20):
        with pytest.raises(BadGID):
            GID.parse(junk)
