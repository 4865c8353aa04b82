"""The classic attacks on signed XML and on certificates, each held off. docs/explanation/credentials.md lists them."""

import base64
import copy
import hashlib
import hmac
import re
from datetime import timedelta

import pytest
from conftest import NOW, Federation
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from credentials import URN, BadName, CredentialRefused, GIDRefused, Verifier
from credentials import signature as xmldsig
from credentials.keys import new_ec_key
from credentials.signature import DSIG, XML_ID


@pytest.fixture(scope="module")
def fed():
    return Federation("plc", keys=new_ec_key)


@pytest.fixture(scope="module")
def plain(fed):
    """A credential that allows to look, and no more."""
    return fed.credential(privileges={"info": False})


def check_that_fails(fed, document, *, operation="listnodes", now=NOW):
    with pytest.raises(CredentialRefused) as caught:
        Verifier(fed.trust()).verify(document, caller=fed.alice.gid, target=None, operation=operation, now=now)
    assert str(caught.value).isascii()
    return caught.value.check


# Signature wrapping


def into(place):
    """Where the genuine statement goes; an evil one takes its place."""

    def wrap(root, genuine, evil):
        root.replace(genuine, evil)
        match place:
            case "extensions of the evil one":
                etree.SubElement(evil, "extensions").append(genuine)
            case "parent of the evil one":
                etree.SubElement(evil, "parent").append(genuine)
            case "an object in the signature":
                etree.SubElement(root.find(f"signatures/{{{DSIG}}}Signature"), f"{{{DSIG}}}Object").append(genuine)
            case "KeyInfo":
                root.find(f"signatures/{{{DSIG}}}Signature/{{{DSIG}}}KeyInfo").append(genuine)
            case "signatures":
                root.find("signatures").append(genuine)
            case "before it":
                evil.addprevious(genuine)
            case "after it":
                evil.addnext(genuine)
            case "a stranger's element":
                etree.SubElement(root, "{urn:x}box").append(genuine)

    return wrap


PLACES = [
    "extensions of the evil one",
    "parent of the evil one",
    "an object in the signature",
    "KeyInfo",
    "signatures",
    "before it",
    "after it",
    "a stranger's element",
]


@pytest.mark.parametrize("named", ["the same", "another", "none"])
@pytest.mark.parametrize("place", PLACES)
def test_wrapped_signatures(fed, plain, place, named):
    root = etree.fromstring(plain.encode())
    genuine = root.find("credential")
    evil = copy.deepcopy(genuine)
    evil.find("privileges/privilege/name").text = "embed"
    if named == "another":
        evil.set(XML_ID, "ref7")
    elif named == "none":
        del evil.attrib[XML_ID]
    into(place)(root, genuine, evil)
    assert check_that_fails(fed, etree.tostring(root), operation="createsliver") in ("parse", "signature")


def test_a_signed_document_inside_another(fed, plain):
    inner = etree.fromstring(plain.encode())
    evil = copy.deepcopy(inner)
    evil.find("credential/privileges/privilege/name").text = "embed"
    etree.SubElement(evil.find("credential"), "extensions").append(inner)
    assert check_that_fails(fed, etree.tostring(evil), operation="createsliver") == "parse"


@pytest.mark.parametrize("attribute", [XML_ID, "Id", "ID", "id", "{urn:x}id"])
def test_identifiers_that_are_there_twice(fed, plain, attribute):
    """Other spellings mean nothing to us: what they are on is covered by the signature, or is outside of it."""
    root = etree.fromstring(plain.encode())
    evil = etree.SubElement(root.find(f"signatures/{{{DSIG}}}Signature"), f"{{{DSIG}}}Object")
    evil.set(attribute, "ref0")
    if attribute == XML_ID:
        assert check_that_fails(fed, etree.tostring(root)) == "parse"
    else:
        auth = Verifier(fed.trust()).verify(
            etree.tostring(root), caller=fed.alice.gid, target=None, operation="listnodes", now=NOW
        )
        assert {privilege.name for privilege in auth.privileges} == {"info"}


# XML itself


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE a>",
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE a PUBLIC "-//x" "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE a [<!ENTITY e "x">]>',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/"> %p;]>',
        '<!DOCTYPE signed-credential [<!ATTLIST credential x ID "ref0">]>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_and_entities(fed, plain, doctype, encoding):
    body = re.sub(r"^<\?xml[^>]*\?>", "", plain)
    document = f'<?xml version="1.0" encoding="{encoding}"?>{doctype}{body}'.encode(encoding)
    assert check_that_fails(fed, document) == "parse"


def test_undeclared_entities(fed, plain):
    assert check_that_fails(fed, plain.replace("<serial>", "<serial>&e;")) == "parse"


# Algorithms


@pytest.mark.parametrize(
    "transform",
    [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/2002/07/decrypt#XML",
        "http://www.w3.org/2006/12/xml-c14n11",
        "",
    ],
)
@pytest.mark.parametrize("where", ["instead", "before", "after"])
def test_transforms(fed, plain, transform, where):
    root = etree.fromstring(plain.encode())
    enveloped = root.find(f".//{{{DSIG}}}Transform")
    other = etree.Element(f"{{{DSIG}}}Transform", Algorithm=transform)
    match where:
        case "instead":
            enveloped.getparent().replace(enveloped, other)
        case "before":
            enveloped.addprevious(other)
        case _:
            enveloped.addnext(other)
    assert check_that_fails(fed, etree.tostring(root)) == "algorithm"


def test_a_stylesheet_in_a_transform(fed, plain):
    inside = '<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"/></Transform>'
    document = re.sub(r"(<Transform [^>]*)/>", rf"\1>{inside}", plain)
    assert document != plain
    assert check_that_fails(fed, document) == "algorithm"


@pytest.mark.parametrize(
    "algorithm",
    [
        f"{DSIG}hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",  # with an EC key
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
        f"{DSIG}dsa-sha1",
        "none",
        "",
    ],
)
def test_algorithms(fed, plain, algorithm):
    """A symmetric signature with the public key as its secret is the classic."""
    root = etree.fromstring(plain.encode())
    root.find(f".//{{{DSIG}}}SignatureMethod").set("Algorithm", algorithm)
    message = xmldsig.canonical(root.find(f".//{{{DSIG}}}SignedInfo"))
    secret = fed.root_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    value = hmac.new(secret, message, hashlib.sha1 if algorithm.endswith("sha1") else hashlib.sha256).digest()
    root.find(f".//{{{DSIG}}}SignatureValue").text = base64.b64encode(value).decode()
    expected = "signature" if algorithm.endswith("rsa-sha256") else "algorithm"
    assert check_that_fails(fed, etree.tostring(root)) == expected


@pytest.mark.parametrize("digest", ["http://www.w3.org/2001/04/xmldsig-more#md5", "", "sha256"])
def test_digests(fed, plain, digest):
    document = plain.replace("http://www.w3.org/2001/04/xmlenc#sha256", digest)
    assert check_that_fails(fed, document) == "algorithm"


def test_keys_that_are_not_the_chains(fed, plain):
    """Signed with a key of the attacker's, whose certificate, or bare key, is put beside the authority's."""
    mallory = Federation("plc", keys=new_ec_key)
    forged = etree.fromstring(
        mallory.issuer.issue_credential(
            owner=fed.alice.gid,
            target=fed.slice_gid(),
            privileges={"embed": False},
            expires_at=NOW + timedelta(days=1),
        )
    )
    data = forged.find(f".//{{{DSIG}}}X509Data")
    own = data[0]
    genuine = copy.deepcopy(etree.fromstring(plain.encode()).find(f".//{{{DSIG}}}X509Certificate"))
    assert check_that_fails(fed, etree.tostring(forged), operation="createsliver") == "root"
    data.insert(0, genuine)
    assert check_that_fails(fed, etree.tostring(forged), operation="createsliver") == "chain"
    data.append(copy.deepcopy(genuine))
    assert check_that_fails(fed, etree.tostring(forged), operation="createsliver") in ("chain", "root")
    data.remove(own)
    value = etree.SubElement(data.getparent(), f"{{{DSIG}}}KeyValue")
    value.text = base64.b64encode(
        mallory.root_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    assert check_that_fails(fed, etree.tostring(forged), operation="createsliver") == "signature"


# Damage


@pytest.mark.parametrize(
    "path",
    [
        f"{{{DSIG}}}SignedInfo/{{{DSIG}}}Reference/{{{DSIG}}}DigestValue",
        f"{{{DSIG}}}SignatureValue",
        f"{{{DSIG}}}KeyInfo/{{{DSIG}}}X509Data/{{{DSIG}}}X509Certificate",
    ],
)
def test_an_element_in_the_midst_of_base64(fed, plain, path):
    """Readers differ in what they take for the text of an element with children."""
    root = etree.fromstring(plain.encode())
    etree.SubElement(root.find(f"signatures/{{{DSIG}}}Signature/{path}"), "more")
    assert check_that_fails(fed, etree.tostring(root)) == "signature"


def test_two_key_infos(fed, plain):
    root = etree.fromstring(plain.encode())
    (info,) = root.iter(f"{{{DSIG}}}KeyInfo")
    info.addnext(copy.deepcopy(info))
    assert check_that_fails(fed, etree.tostring(root)) == "signature"


def test_truncated(fed, plain):
    """At every byte. What is missing at the very end is white space at most."""
    octets = plain.encode()
    for end in range(len(octets.rstrip()) - 1):
        assert check_that_fails(fed, octets[:end]) == "parse", end


def test_ten_megabytes(fed, plain):
    assert check_that_fails(fed, plain.replace("<serial>", f"<serial>{'1' * 10_000_000}")) == "parse"
    assert check_that_fails(fed, plain + " " * 10_000_000) == "parse"


# Names


@pytest.mark.parametrize(
    "name",
    [
        "urn:publicid:IDN+plc+user+аlice",  # noqa: RUF001 - a Cyrillic letter
        "urn:publicid:IDN+plc+user+alice\u00ad",  # soft hyphen
        "urn:publicid:IDN+plc+user+\u202eecila",
        "urn:publicid:IDN+plc＋user+alice",  # noqa: RUF001 - a full-width plus
        "urn:publicid:IDN+plc+user+alice\u200b",
        "urn:publicid:IDN+plc+user+ali\u0000ce",
        "urn:publicid:IDN+plc+user+alice\n",
        "urn:publicid:IDN+plc+user+alice ",
        "urn:publicid:IDN+ＰＬＣ+user+alice",  # noqa: RUF001
        "urn：publicid:IDN+plc+user+alice",  # noqa: RUF001
    ],
)
def test_names_that_look_alike(name):
    with pytest.raises(BadName):
        URN.parse(name)


def test_authorities_that_look_alike_are_not_below_one_another():
    plc = URN("plc", "authority", "sa")
    for other in ("plcx", "plc.x", "plc-x", "xplc", "x:plc", "pl"):
        assert not plc.covers(URN(other, "user", "alice")), other
    assert plc.covers(URN("PLC:x", "user", "alice"))


# Clocks


@pytest.mark.parametrize(
    ("ahead", "check"),
    [(timedelta(0), None), (timedelta(minutes=9, seconds=59), None), (timedelta(minutes=10, seconds=1), "expiry")],
)
def test_clocks(fed, ahead, check):
    """Certificates are dated five minutes back, and five more are given to those whose clock is ahead of ours."""
    later = fed.issuer.issue_gid(
        URN("plc", "user", "late"), new_ec_key().public_key(), lifetime=timedelta(days=1), now=NOW + ahead
    )
    if check is None:
        assert fed.trust().check_gid(later, now=NOW).gid is fed.root
        return
    with pytest.raises(GIDRefused, match="not valid before") as caught:
        fed.trust().check_gid(later, now=NOW)
    assert caught.value.check == check


def test_expiry_has_no_grace(fed, plain):
    assert check_that_fails(fed, plain, now=NOW + timedelta(days=1)) == "expiry"
    Verifier(fed.trust()).verify(
        plain,
        caller=fed.alice.gid,
        target=None,
        operation="listnodes",
        now=NOW + timedelta(days=1) - timedelta(seconds=1),
    )
