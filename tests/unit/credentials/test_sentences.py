"""What people are told when a credential is refused, to the letter: it is all they have to find out what to do."""

import base64
import hashlib
from datetime import timedelta

import pytest
from conftest import NOW, Federation, Person
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from credentials import URN, Authorization, CredentialRefused, Issuer, Root, Trust, Verifier, self_signed_root
from credentials.keys import new_ec_key, new_rsa_key
from credentials.signature import DSIG, canonical

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALICE, BOB, SLICE = "urn:publicid:IDN+plc+user+alice", "urn:publicid:IDN+plc+user+bob", "urn:publicid:IDN+plc+slice+s1"
ROOT = "urn:publicid:IDN+plc+authority+sa"


@pytest.fixture(scope="module")
def fed():
    return Federation("plc", keys=new_ec_key)


def refusal(fed, document, *, caller=None, target=None, operation="createsliver", now=NOW, trust=None, speaks_for=None):
    with pytest.raises(CredentialRefused) as caught:
        Verifier(trust or fed.trust()).verify(
            document,
            caller=(caller or fed.alice).gid,
            target=target,
            operation=operation,
            now=now,
            speaks_for=speaks_for,
        )
    return caught.value.check, str(caught.value)


def test_of_the_call(fed):
    credential = fed.credential(privileges={"info": False, "bind": False})
    assert refusal(fed, credential, caller=fed.bob) == (
        "owner",
        f"the credential was issued to {ALICE}, and {BOB} presented it",
    )
    other = URN("plc", "slice", "s2")
    assert refusal(fed, credential, target=other) == (
        "target",
        f"the credential is about {SLICE}, not about urn:publicid:IDN+plc+slice+s2",
    )
    assert refusal(fed, credential) == ("privilege", "its privileges (bind, info) do not permit createsliver")
    assert refusal(fed, fed.credential(privileges={})) == (
        "privilege",
        "its privileges (none) do not permit createsliver",
    )


def test_of_a_tool(fed):
    tool = fed.person("portal")
    word = fed.bob.issuer.issue_speaks_for(tool.gid, expires_at=NOW + DAY)
    speaks_for = fed.verifier().verify_speaks_for(word, tool=tool.gid, user=None, now=NOW)
    assert refusal(fed, fed.credential(), caller=tool, speaks_for=speaks_for) == (
        "owner",
        f"the credential was issued to {ALICE}, and {tool.urn}, who speaks for {BOB}, presented it",
    )


def test_of_time(fed):
    assert refusal(fed, fed.credential(), now=NOW + 2 * DAY) == (
        "expiry",
        "the credential expired 2026-06-02T12:00:00Z",
    )


def test_of_who_issued_it(fed):
    mine = Issuer(fed.alice.gid, fed.alice.key).issue_credential(
        owner=fed.alice.gid, target=fed.slice_gid(), privileges={"embed": False}, expires_at=NOW + DAY
    )
    assert refusal(fed, mine) == ("issuer", f"{ALICE} signed the credential and is no authority over {SLICE}")


def test_of_a_root_that_is_trusted_for_other_names(fed):
    lower = Federation("plc", keys=new_ec_key)
    roots = [Root(fed.root, ("plc",)), Root(lower.root, ("peer", "plc:x"))]
    document = fed.credential(by=lower.issuer)
    assert refusal(fed, document, trust=Trust(roots)) == (
        "issuer",
        f"{ROOT} is trusted here for peer, plc:x, not for {SLICE}",
    )


def test_of_certificates_that_lead_nowhere(fed):
    stranger = Federation("other", keys=new_ec_key)
    nobody = "issued by CN=other, whom this server does not trust"
    by_stranger = stranger.issuer.issue_credential(
        owner=fed.alice.gid, target=fed.slice_gid(), privileges={"embed": False}, expires_at=NOW + DAY
    )
    # A root that is not trusted issued itself.
    assert refusal(fed, by_stranger) == ("root", f"its signer: urn:publicid:IDN+other+authority+sa was {nobody}")
    for_stranger = fed.credential(owner=stranger.alice)
    assert refusal(fed, for_stranger, caller=stranger.alice) == (
        "root",
        f"its owner: urn:publicid:IDN+other+authority+sa was {nobody}",
    )
    about_stranger = fed.credential(target=stranger.slice_gid())
    assert refusal(fed, about_stranger) == ("root", f"its target: urn:publicid:IDN+other+authority+sa was {nobody}")


def test_of_a_root_as_owner_or_target(fed):
    """A root that is trusted for a branch calls itself by a name above it."""
    branch = Federation("plc:x", keys=new_ec_key)
    above = self_signed_root(URN("plc", "authority", "sa"), branch.root_key, lifetime=DAY, now=NOW)
    trust = Trust([Root(fed.root, ("plc",)), Root(above, ("plc:x", "plc:y"))])
    owned = fed.credential(owner=Person(above, branch.root_key))
    told = f"{ROOT} is trusted here for plc:x, plc:y"
    assert refusal(fed, owned, trust=trust) == ("names", f"its owner: {told}")
    assert refusal(fed, fed.credential(target=above), trust=trust) == ("names", f"its target: {told}")


def passed_on(fed, *, by=None, to=None, parent=None, privileges=None, ends_at=NOW + HOUR):
    return (by or fed.alice.issuer).delegate(
        parent or fed.credential(privileges={"embed": True, "bind": False, "info": False}),
        to=(to or fed.bob).gid,
        privileges=privileges or {"embed": False},
        expires_at=ends_at,
    )


def test_of_delegation(fed):
    told = f"{ALICE} passed the credential on to {BOB}"
    carol = fed.person("carol")
    assert refusal(fed, passed_on(fed, by=carol.issuer), caller=fed.bob) == (
        "delegation",
        f"urn:publicid:IDN+plc+user+carol passed the credential on to {BOB}, but it was {ALICE}'s",
    )
    assert refusal(fed, passed_on(fed, ends_at=NOW + 2 * DAY), caller=fed.bob) == (
        "delegation",
        f"{told}, and made it last longer than their own",
    )
    wide = passed_on(fed, privileges={"info": False, "embed": False, "bind": False})
    assert refusal(fed, wide, caller=fed.bob) == (
        "delegation",
        f"{told}, with bind, info, which they could not pass on",
    )


def test_of_a_delegation_that_changes_what_it_is_about(fed):
    about_another = fed.credential(target=fed.slice_gid("s2"), privileges={"embed": True})
    document = etree.fromstring(passed_on(fed, parent=about_another))
    outer = document.find("credential")
    inner = etree.fromstring(fed.credential(privileges={"embed": True}).encode())
    outer.find("parent").replace(outer.find("parent/credential"), inner.find("credential"))
    for one in list(document.find("signatures")):
        document.find("signatures").remove(one)
    document.find("signatures").append(inner.find(f"signatures/{{{DSIG}}}Signature"))
    from credentials import signature

    signature.sign(document.find("signatures"), outer, fed.alice.key, fed.alice.gid)
    assert refusal(fed, etree.tostring(document), caller=fed.bob) == (
        "delegation",
        f"{ALICE} passed the credential on to {BOB}, and changed what it is about",
    )


def signed_with_sha1(fed):
    """As the GENI and SFA tools do."""
    root = etree.fromstring(fed.credential().encode())
    info = root.find(f".//{{{DSIG}}}SignedInfo")
    info.find(f".//{{{DSIG}}}SignatureMethod").set("Algorithm", f"{DSIG}rsa-sha1")
    info.find(f".//{{{DSIG}}}DigestMethod").set("Algorithm", f"{DSIG}sha1")
    digest = hashlib.sha1(canonical(root.find("credential"))).digest()  # noqa: S324 - as they do
    info.find(f".//{{{DSIG}}}DigestValue").text = base64.b64encode(digest).decode()
    value = fed.root_key.sign(canonical(info), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - likewise
    root.find(f".//{{{DSIG}}}SignatureValue").text = base64.b64encode(value).decode()
    return etree.tostring(root)


def test_of_sha1():
    fed = Federation("plc", keys=new_rsa_key)
    document = signed_with_sha1(fed)
    assert refusal(fed, document) == (
        "algorithm",
        f"it is signed with SHA-1, which is not accepted from {ROOT}; "
        "an operator can allow it: sfa-am trust add --legacy-sha1",
    )
    allowed = Verifier(fed.trust(legacy_sha1=True))
    auth = allowed.verify(document, caller=fed.alice.gid, target=None, operation="createsliver", now=NOW)
    assert (str(auth.actor), auth.is_sha1) == (ALICE, True)
    plain = fed.verifier().verify(
        fed.credential(), caller=fed.alice.gid, target=None, operation="createsliver", now=NOW
    )
    assert not plain.is_sha1


def test_of_somebody_who_makes_an_authorization_by_hand(fed):
    with pytest.raises(TypeError) as caught:
        Authorization(
            actor=fed.alice.urn,
            spoken_by=None,
            target=fed.alice.urn,
            privileges=frozenset(),
            expires_at=NOW,
            owner=fed.alice.gid,
            digest="",
            maker=object(),
        )
    assert str(caught.value) == "an Authorization comes from credentials.Verifier.verify and from nowhere else"
