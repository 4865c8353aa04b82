"""ABAC credentials: every form of rule is read as it was written, and nothing is believed that was not signed."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from conftest import NOW, Federation
from lxml import etree

from credentials import CredentialError, CredentialRefused, Issuer, is_abac
from credentials.abac import Rule, Term, examine, key_id, read
from credentials.keys import new_ec_key
from credentials.signature import sign

A, B, C = "a" * 40, "b" * 40, "0123456789" * 4
SOON = NOW + timedelta(hours=1)


@pytest.fixture(scope="module")
def fed():
    """A federation with EC keys: signing is quick."""
    return Federation("plc", keys=new_ec_key)


def issued(fed, *tails, role="friend", by=None):
    person = by or fed.alice
    rule = Rule(Term(key_id(person.gid), role, mnemonic=str(person.urn)), tails or (Term(B),))
    return person.issuer.issue_abac(rule, expires_at=SOON).decode()


def resigned(document, change, issuer):
    """The credential with its text changed, then signed anew: a change that the signer meant."""
    unsigned = re.sub(r"<signatures>.*</signatures>", "<signatures/>", document, flags=re.DOTALL)
    changed = change(unsigned)
    assert changed != unsigned
    root = etree.fromstring(changed.encode())
    sign(root.find("signatures"), root.find("credential"), issuer.key, issuer.gid)
    return etree.tostring(root)


def check_that_failed(document, trust, now=NOW):
    with pytest.raises(CredentialRefused) as caught:
        examine(document, trust, now=now)
    assert str(caught.value).isascii()
    return caught.value.check


@pytest.mark.parametrize(
    ("tails", "text"),
    [
        ((Term(B),), f"{B}"),
        ((Term(B, "student"),), f"{B}.student"),
        ((Term(B, "student", "professor"),), f"{B}.professor.student"),
        (
            (Term(B, "student", "professor"), Term(C, "adult"), Term(A)),
            f"{B}.professor.student & {C}.adult & {A}",
        ),
    ],
)
def test_every_form_of_rule_is_issued_and_read_alike(fed, tails, text):
    document = issued(fed, *tails)
    assertion = examine(document, fed.trust(), now=NOW)
    assert str(assertion.rule) == f"{key_id(fed.alice.gid)}.friend <- {text}"
    assert assertion.rule.tails == tails
    assert assertion.rule.head.mnemonic == str(fed.alice.urn)
    assert (assertion.issuer.urn, assertion.expires_at) == (fed.alice.urn, SOON)
    assert is_abac(document)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Term("A" * 40),
        lambda: Term("a" * 39),
        lambda: Term(A, "two words"),
        lambda: Term(A, "a.b"),
        lambda: Term(A, "a<-b"),
        lambda: Term(A, "", "linking"),
        lambda: Rule(Term(A), (Term(B),)),
        lambda: Rule(Term(A, "r", "linking"), (Term(B),)),
        lambda: Rule(Term(A, "r"), ()),
    ],
)
def test_what_is_no_rule_can_not_be_made(make):
    with pytest.raises(CredentialError):
        make()


def test_a_mnemonic_changes_no_rule():
    assert Term(A, "r", mnemonic="alice") == Term(A, "r", mnemonic="mallory")


def test_nobody_issues_rules_about_a_role_of_another(fed):
    with pytest.raises(CredentialError, match="of another"):
        fed.bob.issuer.issue_abac(Rule(Term(key_id(fed.alice.gid), "friend"), (Term(B),)), expires_at=SOON)


def test_a_rule_about_a_role_of_another_is_refused(fed):
    document = resigned(issued(fed), lambda d: d.replace("friend", "enemy"), fed.bob.issuer)
    assert check_that_failed(document, fed.trust()) == "issuer"


def test_the_second_of_expiry_counts_as_expired(fed):
    document = issued(fed)
    examine(document, fed.trust(), now=SOON - timedelta(seconds=1))
    assert check_that_failed(document, fed.trust(), now=SOON) == "expiry"


def test_who_is_not_trusted_says_nothing_about_roles(fed):
    stranger = Federation("elsewhere", keys=new_ec_key)
    assert check_that_failed(issued(stranger), fed.trust()) == "root"


def test_an_ordinary_credential_is_none_of_abac_and_the_other_way_round(fed):
    assert not is_abac(fed.credential())
    assert check_that_failed(fed.credential(), fed.trust()) == "type"
    with pytest.raises(CredentialRefused, match="privilege is expected") as caught:
        fed.verifier().verify(issued(fed), caller=fed.alice.gid, target=None, operation="listnodes", now=NOW)
    assert caught.value.check == "type"


@pytest.mark.parametrize("document", ["", "x", "<a/>", "<signed-credential/>", "<!DOCTYPE a []><a/>"])
def test_what_can_not_be_read_is_not_abac(document):
    assert not is_abac(document)


TAIL = "<tail><ABACprincipal><keyid>" + "b" * 40 + "</keyid></ABACprincipal></tail>"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<version>1.1</version>", ""),
        ("<version>1.1</version>", "<version>2.0</version>"),
        ("<version>1.1</version>", "<version>1.1</version><version>1.1</version>"),
        (TAIL, ""),
        (TAIL, f"{TAIL}<head><ABACprincipal><keyid>{A}</keyid></ABACprincipal><role>friend</role></head>"),
        ("<role>friend</role>", ""),
        ("<role>friend</role>", "<role>friend</role><role>enemy</role>"),
        ("<role>friend</role>", "<role>my friend</role>"),
        ("<role>friend</role>", "<role>friend<b/></role>"),
        ("<role>friend</role>", "<role>friend</role><linking_role>boss</linking_role>"),
        (B, "b" * 38),
        (B, "g" * 40),
        (f"<keyid>{B}</keyid>", ""),
        (f"<keyid>{B}</keyid>", f"<keyid>{B}</keyid><keyid>{C}</keyid>"),
        (f"<keyid>{B}</keyid>", f"<keyid>{B}<?pi x?>{C}</keyid>"),
        ("</rt0>", "</rt0><rt0/>"),
        ("</rt0>", "<only_on_mondays/></rt0>"),
        ("</abac>", "</abac><abac/>"),
        ("</abac>", "</abac><extensions><slice>s1</slice></extensions>"),
        ("<expires>", "<expires>2099-01-01T00:00:00Z</expires><expires>"),
        ("<type>abac</type>", "<type>abac</type><type>privilege</type>"),
    ],
)
def test_what_is_not_understood_is_refused_whoever_signed_it(fed, old, new):
    document = resigned(issued(fed), lambda d: d.replace(old, new), fed.alice.issuer)
    assert check_that_failed(document, fed.trust()) == "parse"


def test_the_forms_of_the_field_are_read(fed):
    """Blanks, capitals in the key id, another place of the mnemonic, absent owner and target, an id of another kind."""

    def changed(text):
        text = re.sub(r"<(owner|target)_(gid|urn)/>", "", text).replace("ref0", "_0").replace(B, f"\n {B.upper()}\n")
        return text.replace("<rt0>", "<rt0>\n  ").replace("<role>friend</role>", "<role> friend </role>\n")

    rule = read(resigned(issued(fed), changed, fed.alice.issuer)).rule
    assert str(rule) == f"{key_id(fed.alice.gid)}.friend <- {B}"


def test_every_changed_part_of_a_rule_breaks_the_signature(fed):
    document = issued(fed)
    for old, new in [
        (B, C),
        ("friend", "enemy"),
        ("2026-06-01T13", "2036-06-01T13"),
        ("1.1", "1.0"),
        ("abac<", "privilege<"),
    ]:
        assert old in document
        assert check_that_failed(document.replace(old, new), fed.trust()) == "signature"


@pytest.mark.parametrize(
    "wrap",
    [
        lambda doc, good, evil: doc.replace(good, evil).replace("<signatures>", f"<signatures>{good}"),
        lambda doc, good, evil: doc.replace(
            good, evil.replace("</credential>", f"<parent>{good}</parent></credential>")
        ),
        lambda doc, good, evil: doc.replace(good, evil + good),
        lambda doc, good, evil: doc.replace(good, good + evil),
        lambda doc, good, evil: doc.replace(good, evil.replace('"ref0"', '"ref9"') + good),
        lambda doc, good, evil: doc.replace(good, f"<wrapper>{good}</wrapper>{evil}"),
        lambda doc, good, evil: doc.replace(good, evil).replace("</Signature>", f"<Object>{good}</Object></Signature>"),
        lambda doc, good, evil: doc.replace(good, evil.replace("<abac>", f"<extensions>{good}</extensions><abac>")),
        lambda doc, good, evil: doc.replace(good, evil.replace("<rt0>", f"{good}<rt0>")),
        lambda doc, good, evil: doc.replace(good, evil).replace("<KeyInfo>", f"<KeyInfo>{good}"),
    ],
)
def test_signature_wrapping_is_refused(fed, wrap):
    document = issued(fed)
    good = re.search(r"<credential .*</credential>", document, re.DOTALL)[0]
    wrapped = wrap(document, good, good.replace(B, C))
    assert wrapped != document
    assert check_that_failed(wrapped, fed.trust()) in ("parse", "signature")


def test_a_rule_that_was_delegated_is_refused(fed):
    """Signed by both, the way privileges are passed on: rules are not."""
    inner = issued(fed)
    good = re.search(r"<credential .*</credential>", inner, re.DOTALL)[0]
    outer = good.replace('"ref0"', '"ref1"').replace("</credential>", f"<parent>{good}</parent></credential>")
    root = etree.fromstring(inner.replace(good, outer).encode())
    sign(root.find("signatures"), root.find("credential"), fed.alice.key, fed.alice.gid)
    assert check_that_failed(etree.tostring(root), fed.trust()) == "parse"


def test_times_of_rules_are_utc(fed):
    with pytest.raises(ValueError, match="aware"):
        fed.alice.issuer.issue_abac(
            Rule(Term(key_id(fed.alice.gid), "r"), (Term(B),)),
            expires_at=datetime(2026, 6, 1),
        )
    assert read(issued(fed)).expires_at.tzinfo == UTC


def test_a_forged_signature_with_the_certificate_of_another_is_refused(fed):
    document = Issuer(fed.alice.gid, fed.bob.key).issue_abac(
        Rule(Term(key_id(fed.alice.gid), "friend"), (Term(B),)), expires_at=SOON
    )
    assert check_that_failed(document, fed.trust()) == "signature"
