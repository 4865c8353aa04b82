"""What people are told when a certificate, or a tool that speaks, is refused, to the letter."""

from datetime import timedelta

import pytest
from conftest import NOW, Federation
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from credentials import GID, URN, CredentialRefused, GIDRefused, Issuer, Root, SpeaksFor, Trust
from credentials.keys import new_ec_key

DAY = timedelta(days=1)
ROOT, ALICE = "urn:publicid:IDN+plc+authority+sa", "urn:publicid:IDN+plc+user+alice"
SITE = "urn:publicid:IDN+plc:a+authority+sa"


@pytest.fixture(scope="module")
def fed():
    return Federation("plc", keys=new_ec_key)


def issued(name, signer, *, key=None, ca=False, depth=None, usage=None, digest=None, ends=NOW + DAY, begins=NOW - DAY):
    """A certificate by `signer`: (GID, key)."""
    gid, signing = signer
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(gid.leaf.subject)
        .public_key((key or new_ec_key()).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca, depth), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)]), critical=False)
    )
    if usage is not None:
        builder = builder.add_extension(
            x509.KeyUsage(True, False, False, False, False, usage, usage, False, False), critical=True
        )
    return GID([builder.sign(signing, digest or hashes.SHA256()), *gid.chain])


def told(trust, gid, now=NOW):
    with pytest.raises(GIDRefused) as caught:
        trust.check_gid(gid, now=now)
    return caught.value.check, str(caught.value)


def test_of_one_certificate(fed):
    own = (fed.root, fed.root_key)
    ended = issued(ALICE, own, ends=NOW - timedelta(hours=1))
    assert told(fed.trust(), ended) == ("expiry", f"certificate of {ALICE} expired 2026-06-01T11:00:00Z")
    early = issued(ALICE, own, begins=NOW + timedelta(hours=1))
    assert told(fed.trust(), early) == ("expiry", f"certificate of {ALICE} is not valid before 2026-06-01T13:00:00Z")
    revoking = Trust([Root(fed.root, ("plc",))], revoked=[fed.alice.gid.fingerprint])
    assert told(revoking, fed.alice.gid) == ("revoked", f"certificate of {ALICE} was revoked")
    odd = issued(ALICE, own, key=ed25519.Ed25519PrivateKey.generate())
    assert told(fed.trust(), odd) == (
        "key",
        f"certificate of {ALICE} has a key that is neither RSA nor EC, or can't be used",
    )
    short = issued(ALICE, own, key=ec.generate_private_key(ec.SECP192R1()))
    assert told(fed.trust(), short) == ("key", f"certificate of {ALICE} has an EC key of 192 bits, which is too short")


def test_of_a_path(fed):
    key = new_ec_key()
    site = issued(SITE, (fed.root, fed.root_key), key=key, ca=True, usage=True)
    user = "urn:publicid:IDN+plc:a+user+eve"
    forged = GID([issued(user, (site, new_ec_key())).leaf, *site.chain])
    assert told(fed.trust(), forged) == (
        "chain",
        f"certificate of {user} was not signed by the next in its chain, {SITE}",
    )
    nobody = issued(SITE, (fed.root, fed.root_key), key=key)
    assert told(fed.trust(), issued(user, (nobody, key))) == (
        "chain",
        f"{SITE} signed {user} and is no certificate authority",
    )
    idle = issued(SITE, (fed.root, fed.root_key), key=key, ca=True, usage=False)
    assert told(fed.trust(), issued(user, (idle, key))) == (
        "chain",
        f"the key of {SITE} is not for signing certificates (keyUsage)",
    )
    assert told(fed.trust(), issued(ALICE, (site, key))) == ("names", f"{SITE} signed {ALICE}, which is not below it")
    flat = issued(SITE, (fed.root, fed.root_key), key=key, ca=True, depth=0)
    lower, lower_key = "urn:publicid:IDN+plc:a:b+authority+sa", new_ec_key()
    deep = issued(lower, (flat, key), key=lower_key, ca=True)
    assert told(fed.trust(), issued("urn:publicid:IDN+plc:a:b+user+x", (deep, lower_key))) == (
        "chain",
        f"{SITE} allows 0 authorities below it (pathLength), not 1",
    )


def test_of_a_root_that_is_trusted_for_other_names(fed):
    trust = Trust([Root(fed.root, ("peer", "plc:x"))])
    assert told(trust, fed.alice.gid) == ("names", f"{ROOT} is trusted here for peer, plc:x, not for {ALICE}")


def test_of_odd_digests(fed):
    odd = issued(ALICE, (fed.root, fed.root_key), digest=hashes.SHA3_256())
    assert told(fed.trust(), odd) == ("algorithm", f"certificate of {ALICE} is signed with sha3-256; SHA-256 would do")


def test_a_list_is_stale_from_the_moment_it_promised_another(fed):
    from credentials import CRL

    builder = x509.CertificateRevocationListBuilder().issuer_name(fed.root.leaf.subject)
    signed = builder.last_update(NOW - DAY).next_update(NOW).sign(fed.root_key, hashes.SHA256())
    crl = CRL(signed)
    trust = Trust([Root(fed.root, ("plc",))], crls=[crl])
    assert trust.stale_crls(NOW) == (crl,)
    assert trust.stale_crls(NOW - timedelta(seconds=1)) == ()


# Tools that speak


def refused(fed, document, tool, user=None, now=NOW, trust=None):
    from credentials import Verifier

    with pytest.raises(CredentialRefused) as caught:
        Verifier(trust or fed.trust()).verify_speaks_for(document, tool=tool.gid, user=user, now=now)
    return caught.value.check, str(caught.value)


def test_of_tools(fed):
    tool, carol = fed.person("portal"), fed.person("carol")
    word = fed.alice.issuer.issue_speaks_for(tool.gid, expires_at=NOW + DAY)
    assert refused(fed, word, tool, URN("plc", "user", "bob")) == (
        "speaks_for",
        f"{ALICE} signed the speaks-for credential, and the call is for urn:publicid:IDN+plc+user+bob",
    )
    check, sentence = refused(fed, word, carol)
    assert check == "speaks_for"
    assert sentence.startswith("it says ")
    assert f"; that {carol.urn} may speak for {ALICE} would be " in sentence
    stranger = Federation("other", keys=new_ec_key)
    assert refused(fed, word, stranger.alice) == (
        "root",
        "its tool: urn:publicid:IDN+other+authority+sa was issued by CN=other, whom this server does not trust",
    )
    speaks_for = fed.verifier().verify_speaks_for(word, tool=tool.gid, user=None, now=NOW)
    for caller, now, expected in (
        (carol, NOW, ("speaks_for", f"{tool.urn} may speak for {ALICE}, not {carol.urn}")),
        (tool, NOW + DAY, ("expiry", "the speaks-for credential expired 2026-06-02T12:00:00Z")),
    ):
        with pytest.raises(CredentialRefused) as caught:
            speaks_for.user_behind(caller.gid, now=now)
        assert (caught.value.check, str(caught.value)) == expected
    assert len(speaks_for.digest) == 64


def test_of_an_authority_that_would_be_spoken_for(fed):
    tool = fed.person("portal")
    from credentials.speaks_for import rule

    key = new_ec_key()
    site = fed.issuer.issue_gid(
        URN("plc:a", "authority", "sa"), key.public_key(), lifetime=DAY, now=NOW, is_authority=True
    )
    word = Issuer(site, key).issue_abac(rule(site, tool.gid), expires_at=NOW + DAY)
    assert refused(fed, word, tool) == ("speaks_for", f"tools speak for users; {SITE} signed the speaks-for credential")


def test_of_somebody_who_makes_a_proof_by_hand(fed):
    with pytest.raises(TypeError) as caught:
        SpeaksFor(
            user=fed.alice.gid,
            user_urn=fed.alice.urn,
            tool=fed.bob.gid,
            tool_urn=fed.bob.urn,
            expires_at=NOW,
            digest="",
            maker=None,
        )
    assert str(caught.value) == "a SpeaksFor comes from credentials.Verifier.verify_speaks_for and from nowhere else"
