"""Our verdict on signatures is that of the xmlsec library, which other aggregate managers call in process.

Each signature is checked against the key of the certificate that we say made it.
"""

import re
from datetime import timedelta
from itertools import pairwise

import pytest
from conftest import NOW, Federation
from lxml import etree

from credentials import CredentialRefused
from credentials.credential import read
from credentials.keys import new_ec_key
from credentials.signature import DSIG, XML_ID

xmlsec = pytest.importorskip("xmlsec", reason="needs the Python package xmlsec (make setup-dev installs it)")

HOUR = timedelta(hours=1)


def ours(document):
    try:
        return [statement.signer for statement in read(document)]
    except CredentialRefused:
        return None


def theirs(document, signers):
    """Whether every signature is good under the key of one of `signers`; False also when the library gives up."""
    root = etree.fromstring(document)
    signatures = root.findall(f"signatures/{{{DSIG}}}Signature")
    return bool(signatures) and all(any(_good(root, one, signer) for signer in signers) for one in signatures)


def _good(root, signature, signer):
    context = xmlsec.SignatureContext()
    for element in root.iter():
        if isinstance(element.tag, str) and element.get(XML_ID):
            context.register_id(element, "id", "http://www.w3.org/XML/1998/namespace")
    context.key = xmlsec.Key.from_memory(signer.leaf_pem.encode(), xmlsec.constants.KeyDataFormatCertPem)
    try:
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True


def reindented(document):
    """As a tool does that prints XML prettily: white space within what was signed."""
    root = etree.fromstring(document.encode(), etree.XMLParser(remove_blank_text=True))
    etree.indent(root)
    return etree.tostring(root).decode()


def reserialized(document):
    """As a tool does that parses and writes: other quotes, no declaration, the same meaning."""
    return etree.tostring(etree.fromstring(document.encode())).decode()


CHANGES = {
    "as issued": (lambda d: d, True),
    "parsed and written again": (reserialized, True),
    "carriage returns": (lambda d: d.replace("\n", "\r\n"), True),
    "a comment in a name": (lambda d: d.replace("slice+s1</target_urn>", "slice+<!-- -->s1</target_urn>"), True),
    "a comment in the signed info": (lambda d: d.replace("<SignatureMethod", "<!-- a --><SignatureMethod"), True),
    "a processing instruction": (lambda d: d.replace("<type>", "<?a b?><type>"), False),
    "character data": (lambda d: d.replace("<type>privilege</type>", "<type><![CDATA[privilege]]></type>"), True),
    "an empty element written long": (lambda d: d.replace("<uuid/>", "<uuid></uuid>"), True),
    "an unused namespace on the statement": (
        lambda d: d.replace("<credential ", '<credential xmlns:q="urn:q" '),
        False,
    ),
    "printed prettily": (reindented, False),
    "a language above all": (lambda d: d.replace("<signed-credential ", '<signed-credential xml:lang="en" '), False),
    "another serial": (lambda d: re.sub(r"<serial>.", "<serial>x", d), False),
    "another signature id": (lambda d: d.replace("Sig_ref", "Sign_ref"), False),
}


@pytest.fixture(scope="module", params=["RSA", "elliptic"])
def fed(request, plc):
    return plc if request.param == "RSA" else Federation("plc", keys=new_ec_key)


@pytest.mark.parametrize("delegations", [0, 1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_the_same_verdict_as_the_xmlsec_library(fed, delegations, change):
    document = fed.credential(privileges={"embed": True}).encode()
    people = [fed.alice, fed.bob, fed.alice]
    for by, to in list(pairwise(people))[:delegations]:
        document = by.issuer.delegate(document, to=to.gid, privileges={"embed": True}, expires_at=NOW + HOUR)
    alter, good = CHANGES[change]
    changed = alter(document.decode()).encode()
    signers = ours(changed)
    assert (signers is not None) == good
    assert theirs(changed, signers or [fed.root, fed.alice.gid, fed.bob.gid]) == good


@pytest.mark.parametrize(
    "name",
    [
        "slice-credential",
        "user-credential",
        "authority-credential",
        "slice-credential-delegated-to-bob",
        "slice-credential-delegated-to-authority",
    ],
)
def test_the_same_verdict_on_credentials_of_the_field_and_on_spoilt_ones(shared_reference, name):
    document = (shared_reference / "samples" / "sfa" / f"{name}.xml").read_bytes()
    signers = ours(document)
    assert signers is not None
    assert theirs(document, signers)
    for old, new in ((b"<expires>2026", b"<expires>2027"), (b"<can_delegate>true", b"<can_delegate>1")):
        spoilt = document.replace(old, new)
        assert spoilt != document
        assert ours(spoilt) is None
        assert not theirs(spoilt, signers)
