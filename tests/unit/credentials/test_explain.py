"""What files with certificates and credentials are said to say, and that the verdict is the gate's."""

import json
from datetime import timedelta

import pytest
from conftest import NOW
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials import CredentialError, Root, Trust
from credentials.explain import explain, report
from credentials.keys import private_pem


def one(document, trust=None, now=NOW):
    (found,) = explain(document if isinstance(document, bytes) else document.encode(), trust=trust, now=now)
    return found


def facts(found):
    return dict(found.facts)


def test_a_certificate_is_told_with_its_chain(plc):
    found = one(plc.alice.gid.pem, plc.trust())
    assert (found.kind, found.is_good) == ("certificate", True)
    told = facts(found)
    assert told["for"] == "urn:publicid:IDN+plc+user+alice"
    assert told["mail"] == "alice@example.org"
    assert told["key"] == "RSA, 3072 bits"
    assert told["until"] == "2027-06-01T12:00:00Z (in 365 days)"
    assert told["signed by"].endswith("with SHA256")
    assert told["chain"].startswith("urn:publicid:IDN+plc+authority+sa, until 2036")
    assert "trusted root urn:publicid:IDN+plc+authority+sa" in found.verdict


def test_an_authority_is_told_to_be_one(plc):
    assert facts(one(plc.root.pem))["may"] == "sign other certificates"
    assert "not checked" in one(plc.root.pem).verdict


@pytest.mark.parametrize("form", ["pem", "der", "base64"])
def test_certificates_are_found_in_every_form(plc, form):
    der = plc.alice.gid.leaf.public_bytes(Encoding.DER)
    pem = plc.alice.gid.leaf_pem
    document = {"pem": pem.encode(), "der": der, "base64": "".join(pem.splitlines()[1:-1]).encode()}[form]
    assert facts(one(document))["for"] == "urn:publicid:IDN+plc+user+alice"


def test_refusals_are_those_of_the_gate(plc, stranger):
    refused = one(stranger.alice.gid.pem, plc.trust())
    assert (refused.is_good, refused.check) == (False, "root")
    assert "does not trust" in refused.verdict
    late = one(plc.credential(), plc.trust(), NOW + timedelta(days=2))
    assert (late.check, facts(late)["until"]) == ("expiry", "2026-06-02T12:00:00Z (1 day ago)")
    assert one(stranger.credential(), plc.trust()).check == "root"
    altered = one(plc.credential().replace("<expires>2026", "<expires>2027"), plc.trust())
    assert altered.check == "signature"
    assert facts(altered)["until"].startswith("2027")  # as it claims; the verdict says what that is worth


def test_a_credential_is_told(plc):
    found = one(plc.credential(privileges={"embed": True, "info": False}), plc.trust())
    told = facts(found)
    assert found.is_good
    assert told["given to"] == "urn:publicid:IDN+plc+user+alice"
    assert told["about"] == "urn:publicid:IDN+plc+slice+s1"
    assert told["allows"] == "embed, info (may be passed on: embed)"
    assert told["until"] == "2026-06-02T12:00:00Z (in 1 day)"
    assert told["signed by"] == "urn:publicid:IDN+plc+authority+sa, with RSA-SHA256"


def test_who_passed_a_credential_on_is_told(plc):
    document = plc.alice.issuer.delegate(
        plc.credential(privileges={"embed": True, "info": True}),
        to=plc.bob.gid,
        privileges={"embed": False},
        expires_at=NOW + timedelta(hours=2),
    )
    told = facts(one(document, plc.trust()))
    assert told["given to"] == "urn:publicid:IDN+plc+user+bob"
    assert told["until"].endswith("(in 2 hours)")
    assert told["passed on by"].startswith(
        "urn:publicid:IDN+plc+user+alice, who had embed, info (may be passed on: all)"
    )


def test_a_speaks_for_credential_is_told_in_words(plc):
    tool = plc.person("portal")
    document = plc.alice.issuer.issue_speaks_for(tool.gid, expires_at=NOW + timedelta(days=30))
    found = one(document, plc.trust())
    assert (found.kind, found.is_good) == ("speaks-for credential", True)
    assert "user+portal (key" in facts(found)["says"]
    assert "may act for urn:publicid:IDN+plc+user+alice" in facts(found)["says"]
    assert one(document, plc.trust(), NOW + timedelta(days=31)).check == "expiry"
    assert one(document).is_good


def test_bundles_are_taken_apart_and_private_keys_are_not_shown(plc):
    key = private_pem(plc.alice.key).decode()
    found = explain((key + plc.alice.gid.pem).encode(), trust=plc.trust(), now=NOW)
    assert [part.kind for part in found] == ["private key", "certificate"]
    assert key.splitlines()[3] not in str(found)
    wrapped = [{"geni_type": "geni_sfa", "geni_version": "3", "geni_value": plc.credential()}, plc.credential()]
    assert [part.kind for part in explain(json.dumps(wrapped).encode(), trust=None, now=NOW)] == ["credential"] * 2


def test_a_revocation_list_is_told(plc):
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(plc.root.leaf.subject)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=7))
        .sign(plc.root_key, hashes.SHA256())
    )
    found = one(crl.public_bytes(Encoding.PEM))
    assert (found.kind, facts(found)["revokes"]) == ("revocation list", "0 certificates")
    assert facts(found)["newer one"].endswith("(in 7 days)")


def test_words_of_strangers_can_not_steer_a_terminal(plc):
    evil = plc.credential().replace("<serial>", "<serial>\u202e\x85")
    assert str(one(evil)).isascii()
    assert all(ord(character) >= 32 or character == "\n" for character in str(one(evil)))


def test_reports_on_several_files(plc):
    good, bad = ("good.xml", plc.credential().encode()), ("bad.xml", plc.credential().replace("embed", "sa").encode())
    trust = Trust([Root(plc.root, ("plc",))])
    assert report([good], trust=trust, now=NOW).status == 0
    done = report([good, ("bad.xml", bad[1].replace(b"2026-06-02", b"2026-06-03"))], trust=trust, now=NOW)
    assert (done.status, [entry["ok"] for entry in done.struct]) == (1, [True, False])
    assert "(check: signature)" in done.text
    noise = report([("noise", b"\0"), good], trust=trust, now=NOW)
    assert (noise.status, noise.struct[0]["file"]) == (2, "noise")
    json.dumps(noise.struct)


def test_too_much_is_not_looked_at():
    with pytest.raises(CredentialError, match="at most"):
        explain(b"x" * (5 * 1024 * 1024), trust=None, now=NOW)


NOISE = st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))


@settings(max_examples=200, deadline=None)
@given(NOISE, st.floats(0, 1))
def test_whatever_is_in_a_file_is_explained_or_refused(plc, noise, where):
    genuine = plc.credential().encode()
    place = int(where * len(genuine))
    for document in (noise, genuine[:place] + noise + genuine[place:], b"-----BEGIN CERTIFICATE-----" + noise):
        done = report([("file", document)], trust=plc.trust(), now=NOW)
        assert done.text.isascii()
        assert done.status in (0, 1, 2)
