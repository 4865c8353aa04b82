"""ABAC credentials between us and the field: what its tools make is read, what we make they read.

The GENI tools fill a template with the xmlsec1 program and check with it; the published schema says what a document
may look like.
"""

import subprocess
from datetime import timedelta

import pytest
from conftest import NOW
from lxml import etree

from credentials import GID, CredentialRefused, Root, Trust, Verifier
from credentials.abac import Rule, Term, examine, key_id
from credentials.keys import private_pem
from credentials.signature import DSIG, RSA_SHA256, SHA256

SOON = NOW + timedelta(hours=1)
RSA_SHA1, SHA1 = f"{DSIG}rsa-sha1", f"{DSIG}sha1"

TEMPLATE = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<signed-credential xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <credential xml:id="_0">
    <type>abac</type>
    <serial/>
    <owner_gid/>
    <target_gid/>
    <uuid/>
    <expires>2026-06-01T13:00:00Z</expires>
    <abac>
      <rt0>
        <version>1.1</version>
        <head>
          <ABACprincipal>
            <keyid>{user}</keyid>
          </ABACprincipal>
          <role>speaks_for_{user}</role>
        </head>
        <tail>
          <ABACprincipal>
            <keyid>{tool}</keyid>
          </ABACprincipal>
        </tail>
      </rt0>
    </abac>
  </credential>
  <signatures>
    <Signature xmlns="http://www.w3.org/2000/09/xmldsig#">
      <SignedInfo>
        <CanonicalizationMethod Algorithm="{canonical}"/>
        <SignatureMethod Algorithm="{method}"/>
        <Reference URI="#_0">
          <Transforms>
            <Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
            <Transform Algorithm="{canonical}"/>
          </Transforms>
          <DigestMethod Algorithm="{digest}"/>
          <DigestValue/>
        </Reference>
      </SignedInfo>
      <SignatureValue/>
      <KeyInfo><X509Data><X509SubjectName/><X509IssuerSerial/><X509Certificate/></X509Data><KeyValue/></KeyInfo>
    </Signature>
  </signatures>
</signed-credential>"""


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def made_by_xmlsec1(user, tool, folder, *, canonical, method, digest):
    text = TEMPLATE.format(
        user=key_id(user.gid), tool=key_id(tool.gid), canonical=canonical, method=method, digest=digest
    )
    (folder / "template.xml").write_text(text)
    (folder / "key.pem").write_bytes(private_pem(user.key))
    (folder / "certificate.pem").write_text(user.gid.leaf_pem)
    done = run(
        *("xmlsec1", "--sign", "--id-attr:id", "credential"),
        *("--privkey-pem", f"{folder / 'key.pem'},{folder / 'certificate.pem'}", folder / "template.xml"),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.needs("xmlsec1")
@pytest.mark.parametrize(
    "canonical", ["http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2001/10/xml-exc-c14n#"]
)
@pytest.mark.parametrize(("method", "digest"), [(RSA_SHA256, SHA256), (RSA_SHA1, SHA1), (RSA_SHA256, SHA1)])
def test_what_tools_of_the_field_sign_is_verified_and_sha1_needs_the_operators_leave(
    plc, tmp_path, canonical, method, digest
):
    document = made_by_xmlsec1(plc.alice, plc.bob, tmp_path, canonical=canonical, method=method, digest=digest)

    def verify(trust):
        return Verifier(trust).verify_speaks_for(document, tool=plc.bob.gid, user=plc.alice.urn, now=NOW)

    assert verify(plc.trust(legacy_sha1=True)).user_urn == plc.alice.urn
    if digest == SHA1:
        with pytest.raises(CredentialRefused, match="trust add --legacy-sha1") as caught:
            verify(plc.trust())
        assert caught.value.check == "algorithm"
    else:
        assert verify(plc.trust()).tool_urn == plc.bob.urn


def abac_of(person, *tails):
    rule = Rule(Term(key_id(person.gid), "friend", mnemonic=str(person.urn)), tails)
    return person.issuer.issue_abac(rule, expires_at=SOON)


ISSUED = {
    "plain": lambda fed: fed.credential().encode(),
    "delegated": lambda fed: fed.alice.issuer.delegate(
        fed.credential(), to=fed.bob.gid, privileges={"embed": False}, expires_at=SOON
    ),
    "abac": lambda fed: abac_of(
        fed.alice, Term("b" * 40), Term("c" * 40, "student", "professor"), Term("d" * 40, "adult", mnemonic="d & <co>")
    ),
    "speaks-for": lambda fed: fed.alice.issuer.issue_speaks_for(fed.bob.gid, expires_at=SOON),
}


@pytest.mark.needs("xmlsec1")
@pytest.mark.parametrize("kind", ["abac", "speaks-for"])
@pytest.mark.parametrize("change", ["", "role", "keyid", "expires"])
def test_xmlsec1_verifies_what_we_issue_and_sees_what_was_changed(plc, tmp_path, kind, change):
    document = ISSUED[kind](plc).decode()
    if change:
        assert f"<{change}>" in document
        document = document.replace(f"<{change}>", f"<{change}>0", 1)
    (tmp_path / "root.pem").write_text(plc.root.pem)
    (tmp_path / "credential.xml").write_text(document)
    done = run(
        *("xmlsec1", "--verify", "--node-id", "Sig_ref0", "--trusted-pem", tmp_path / "root.pem"),
        *("--verification-time", "2026-06-01 12:00:00", tmp_path / "credential.xml"),
    )
    assert (done.returncode == 0) == (change == ""), done.stderr


def test_the_sample_of_the_field_verifies(shared_reference):
    folder = shared_reference / "samples" / "sfa"
    root, tool, uma, alice = (
        GID.parse((folder / f"{name}.gid.pem").read_bytes())
        for name in ("authority-topdom", "tool", "user-uma", "user-alice")
    )
    document = (folder / "speaks-for-abac.xml").read_bytes()
    now = uma.not_before + timedelta(days=1)

    def verify(tool=tool, user=uma.urn, **trust):
        return Verifier(Trust([Root(root, ("topdom",), **trust)])).verify_speaks_for(
            document, tool=tool, user=user, now=now
        )

    speaks_for = verify(legacy_sha1=True)
    assert (speaks_for.user_urn, speaks_for.tool_urn) == (uma.urn, tool.urn)
    with pytest.raises(CredentialRefused, match="SHA-1"):
        verify()
    with pytest.raises(CredentialRefused, match="may speak for"):
        verify(tool=alice, legacy_sha1=True)
    with pytest.raises(CredentialRefused, match="the call is for"):
        verify(user=alice.urn, legacy_sha1=True)
    # Key ids are those that its certificates carry as subjectKeyIdentifier.
    rule = examine(document, Trust([Root(root, ("topdom",), legacy_sha1=True)]), now=now).rule
    assert rule.head.keyid == "b4ccbad05f2fddda273a073315430801d75fa511"
    assert str(rule.tails[0]) == "25ca01680eb687d4e83bf192277e6d8d54d1a502"


XS = "{http://www.w3.org/2001/XMLSchema}"
VERSION_2 = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:complexType name="term"><xs:sequence>
    <xs:element name="ABACprincipal"><xs:complexType><xs:sequence>
      <xs:element name="keyid" type="xs:string"/><xs:element name="mnemonic" type="xs:string" minOccurs="0"/>
    </xs:sequence></xs:complexType></xs:element>
    <xs:element name="role" type="xs:string" minOccurs="0"/>
    <xs:element name="linking_role" type="xs:string" minOccurs="0"/>
  </xs:sequence></xs:complexType>
  <xs:element name="abac"><xs:complexType><xs:sequence>
    <xs:element name="rt0"><xs:complexType><xs:sequence>
      <xs:element name="version" type="xs:string"/>
      <xs:element name="head" type="term"/><xs:element name="tail" type="term" maxOccurs="unbounded"/>
    </xs:sequence></xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>"""


def schema(folder, version):
    """The published schema of version 1, and with what version 2 has beyond it: ABAC."""
    tree = etree.parse(folder / "schemas" / "credential" / "credential.xsd")
    if version == 2:
        tree.getroot().extend(etree.fromstring(VERSION_2))
        choice = tree.find(f"{XS}element[@name='credential']//{XS}choice")
        etree.SubElement(choice, f"{XS}element", ref="abac")
        kinds = tree.find(f"{XS}element[@name='type']//{XS}restriction")
        etree.SubElement(kinds, f"{XS}enumeration", value="abac")
    return etree.XMLSchema(tree)


@pytest.mark.parametrize(
    ("kind", "version"),
    [("plain", 1), ("plain", 2), ("delegated", 1), ("delegated", 2), ("abac", 2), ("speaks-for", 2)],
)
def test_what_we_issue_is_as_the_schemas_say(plc, shared_reference, kind, version):
    schema(shared_reference, version).assertValid(etree.fromstring(ISSUED[kind](plc)))


def test_the_schemas_would_tell(plc, shared_reference):
    document = ISSUED["speaks-for"](plc)
    assert not schema(shared_reference, 1).validate(etree.fromstring(document))
    misplaced = document.replace(b"<version>1.1</version>", b"").replace(b"</rt0>", b"<version>1.1</version></rt0>")
    assert not schema(shared_reference, 2).validate(etree.fromstring(misplaced))


def test_the_samples_of_the_field_are_as_that_schema_says(shared_reference):
    folder = shared_reference / "samples" / "sfa"
    for name in ("speaks-for-abac", "slice-credential", "slice-credential-delegated-to-bob"):
        schema(shared_reference, 2).assertValid(etree.parse(folder / f"{name}.xml"))
