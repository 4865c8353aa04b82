"""Our verdict on signatures is that of xmlsec1, the program that the field uses."""

import re
import subprocess
from datetime import timedelta

import pytest
from conftest import NOW

from credentials import CredentialRefused
from credentials.credential import read

CHANGES = {
    "as issued": lambda d: d,
    "carriage returns": lambda d: d.replace("\n", "\r\n"),
    "a comment in the statement": lambda d: d.replace("<serial>", "<!-- hello --><serial>"),
    "a comment in the signed info": lambda d: d.replace("<SignatureMethod", "<!-- hello --><SignatureMethod"),
    "white space in the statement": lambda d: d.replace("<serial>", "\n  <serial>"),
    "white space between signatures": lambda d: d.replace("<signatures>", "<signatures>\n "),
    "another quote": lambda d: d.replace('xml:id="ref0"', "xml:id='ref0'"),
    "an attribute at the root": lambda d: d.replace("<signed-credential ", '<signed-credential a="b" '),
    "a namespace at the root": lambda d: d.replace("<signed-credential ", '<signed-credential xmlns:q="urn:q" '),
    "a language at the root": lambda d: d.replace("<signed-credential ", '<signed-credential xml:lang="en" '),
    "another expiry": lambda d: d.replace("<expires>2026-06-02", "<expires>2027-06-02"),
    "another privilege": lambda d: d.replace("<name>*</name>", "<name>sa</name>"),
    "a digest altered": lambda d: re.sub(r"<DigestValue>.", "<DigestValue>x", d, count=1),
    "a signature altered": lambda d: re.sub(r"<SignatureValue>.", "<SignatureValue>x", d, count=1),
    "a character reference": lambda d: d.replace("privilege</type>", "privileg&#101;</type>"),
}


def ours(document):
    try:
        read(document)
    except CredentialRefused:
        return False
    return True


def by_program(document, root, folder):
    (folder / "root.pem").write_text(root.pem)
    (folder / "credential.xml").write_bytes(document)
    nodes = re.findall(rb"""<Signature [^>]*xml:id=["'](Sig_\w+)""", document)
    assert nodes
    return all(
        subprocess.run(
            [
                *("xmlsec1", "--verify", "--node-id", node.decode(), "--trusted-pem", folder / "root.pem"),
                *("--verification-time", "2026-06-01 12:00:00", folder / "credential.xml"),
            ],
            capture_output=True,
            check=False,
        ).returncode
        == 0
        for node in nodes
    )


@pytest.mark.needs("xmlsec1")
@pytest.mark.parametrize("kind", ["plain", "delegated"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_same_verdict_as_the_xmlsec1_program(plc, tmp_path, kind, change):
    document = plc.credential()
    if kind == "delegated":
        document = plc.alice.issuer.delegate(
            document, to=plc.bob.gid, privileges={"embed": False}, expires_at=NOW + timedelta(hours=1)
        ).decode()
    changed = CHANGES[change](document).encode()
    verdict = ours(changed)
    assert verdict == by_program(changed, plc.root, tmp_path)
    if change == "as issued":
        assert verdict
    if change.startswith("another") and change != "another quote":
        assert not verdict


def test_the_samples_of_the_field_verify(shared_reference):
    folder = shared_reference / "samples" / "sfa"
    for name in ("slice-credential", "user-credential", "authority-credential", "slice-credential-delegated-to-bob"):
        assert ours((folder / f"{name}.xml").read_bytes()), name


@pytest.mark.needs("openssl")
def test_openssl_follows_our_chains(plc, tmp_path):
    (tmp_path / "root.pem").write_text(plc.root.pem)
    (tmp_path / "alice.pem").write_text(plc.alice.gid.leaf_pem)
    done = subprocess.run(
        [
            *("openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp()))),
            *("-CAfile", tmp_path / "root.pem", tmp_path / "alice.pem"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
