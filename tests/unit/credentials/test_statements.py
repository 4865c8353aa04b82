"""What a well-signed credential may say: each form that is read, and each that its signature does not save."""

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from conftest import NOW, Federation
from lxml import etree

from credentials import URN, CredentialError, CredentialRefused, Issuer, Root, Trust, Verifier, self_signed_user
from credentials.keys import new_ec_key
from credentials.privilege import Privilege
from credentials.signature import sign


@pytest.fixture(scope="module")
def fed():
    """A federation with EC keys: signing is quick."""
    return Federation("plc", keys=new_ec_key)


def resigned(document, change, issuer):
    """The credential with its text changed, then signed anew by `issuer`: a change that the signer meant."""
    unsigned = re.sub(r"<signatures>.*</signatures>", "<signatures/>", document, flags=re.DOTALL)
    changed = change(unsigned)
    assert changed != unsigned
    root = etree.fromstring(changed.encode())
    sign(root.find("signatures"), root.find("credential"), issuer.key, issuer.gid)
    return etree.tostring(root)


def replaced(old, new):
    return lambda text: text.replace(old, new)


def verified(fed, document, *, caller=None, operation="createsliver", now=NOW):
    return fed.verifier().verify(document, caller=(caller or fed.alice).gid, target=None, operation=operation, now=now)


def check_that_failed(fed, document, **changes):
    with pytest.raises(CredentialRefused) as caught:
        verified(fed, document, **changes)
    assert str(caught.value).isascii()
    return caught.value.check


def statement(fed, old, new, **of):
    return resigned(fed.credential(**of), replaced(old, new), fed.issuer)


EXPIRES = "2026-06-02T12:00:00Z"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-06-02T12:00:00", datetime(2026, 6, 2, 12, tzinfo=UTC)),
        ("2026-06-02T12:00:00+02:00", datetime(2026, 6, 2, 10, tzinfo=UTC)),
        ("2026-06-02T12:00:00-02:00", datetime(2026, 6, 2, 14, tzinfo=UTC)),
        ("  2026-06-02T12:00:00.5Z\n", datetime(2026, 6, 2, 12, 0, 0, 500000, tzinfo=UTC)),
    ],
)
def test_expiry_is_read_with_its_zone_and_as_utc_without(fed, written, meant):
    assert verified(fed, statement(fed, EXPIRES, written)).expires_at == meant


@pytest.mark.parametrize(
    "written", ["", "never", "+4w", "1780401600", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59"]
)
def test_an_expiry_that_is_no_time_is_refused(fed, written):
    assert check_that_failed(fed, statement(fed, EXPIRES, written)) == "parse"


@pytest.mark.parametrize(
    ("written", "may"), [(" true\n", True), ("1", True), ("TRUE", True), ("0", False), ("yes", False), ("", False)]
)
def test_can_delegate_is_read_as_the_field_writes_it(fed, written, may):
    document = statement(fed, "<can_delegate>true", f"<can_delegate>{written}", privileges={"embed": True})
    assert verified(fed, document).privileges == {Privilege("embed", may)}


def test_a_ticket_is_no_privilege_credential(fed):
    assert check_that_failed(fed, statement(fed, "<type>privilege", "<type>ticket")) == "type"


@pytest.mark.parametrize("name", ["owner_urn", "target_urn"])
def test_the_name_beside_a_certificate_is_optional_and_must_agree(fed, name):
    document = fed.credential()
    written = re.search(f"<{name}>(.*)</{name}>", document)[1]
    verified(fed, resigned(document, replaced(f"<{name}>{written}</{name}>", ""), fed.issuer))
    verified(
        fed,
        resigned(
            document,
            replaced(
                f"<{name}>{written}", f"<{name}>{written.upper().replace('USER', 'user').replace('SLICE', 'slice')}"
            ),
            fed.issuer,
        ),
    )
    other = resigned(document, replaced(f"<{name}>{written}", f"<{name}>{written}2"), fed.issuer)
    assert check_that_failed(fed, other) == "parse"
    nonsense = resigned(document, replaced(f"<{name}>{written}", f"<{name}>nobody"), fed.issuer)
    assert check_that_failed(fed, nonsense) == "parse"


@pytest.mark.parametrize("part", ["owner_gid", "target_gid", "expires", "type", "serial"])
def test_a_part_that_is_there_twice_is_refused_even_if_signed(fed, part):
    def twice(text):
        return re.sub(f"(<{part}>.*?</{part}>)", r"\1\1", text, flags=re.DOTALL)

    assert check_that_failed(fed, resigned(fed.credential(), twice, fed.issuer)) == "parse"


@pytest.mark.parametrize("part", ["owner_gid", "target_gid"])
def test_a_part_that_is_missing_is_refused(fed, part):
    def without(text):
        return re.sub(f"<{part}>.*?</{part}>", "", text, flags=re.DOTALL)

    assert check_that_failed(fed, resigned(fed.credential(), without, fed.issuer)) == "parse"


def test_unknown_extensions_of_a_statement_are_carried_and_ignored(fed):
    document = statement(fed, "</privileges>", '</privileges><extensions><q xmlns="urn:q">1</q></extensions>')
    assert verified(fed, document).actor == fed.alice.urn


def test_an_unsigned_credential_is_refused(fed):
    bare = re.sub(r"<signatures>.*</signatures>", "", fed.credential(), flags=re.DOTALL)
    assert check_that_failed(fed, bare) == "signature"
    assert (
        check_that_failed(fed, bare.replace("</signed-credential>", "<signatures/></signed-credential>")) == "signature"
    )


def test_two_signatures_of_one_statement_are_refused(fed):
    document = re.sub(
        r"(<Signature .*</Signature>)",
        lambda m: m[1] + m[1].replace("Sig_ref0", "Sig_2"),
        fed.credential(),
        flags=re.DOTALL,
    )
    assert check_that_failed(fed, document) == "signature"


def test_a_reference_to_the_whole_document_is_refused(fed):
    assert check_that_failed(fed, fed.credential().replace('URI="#ref0"', 'URI=""')) == "signature"


def test_two_references_in_one_signature_are_refused(fed):
    document = re.sub(r"(<Reference .*</Reference>)", r"\1\1", fed.credential(), flags=re.DOTALL)
    assert check_that_failed(fed, document) == "signature"


def test_a_comment_does_not_cut_a_name_short(fed):
    """Some parsers read text up to the first comment; what is believed here is the text that was signed, whole."""
    long = fed.slice_gid("s1x")
    document = fed.credential(target=long).replace("slice+s1x</target_urn>", "slice+s1<!-- -->x</target_urn>")
    assert verified(fed, document).target == long.urn


def test_text_and_bytes_mean_the_same(fed):
    text = fed.credential()
    assert text.startswith("<?xml")
    from_text, from_bytes = verified(fed, text), verified(fed, text.encode())
    assert (from_text.actor, from_text.target, from_text.digest) == (
        from_bytes.actor,
        from_bytes.target,
        from_bytes.digest,
    )
    verified(fed, "\n  " + text.replace("UTF-8", "latin-1"))
    verified(fed, text.replace("UTF-8", "utf-16").encode("utf-16"))


def test_a_document_type_is_refused_even_if_it_says_nothing(fed):
    head, body = fed.credential().split("\n", 1)
    verified(fed, f"{head}\n{body}")
    assert check_that_failed(fed, f"{head}\n<!DOCTYPE signed-credential>\n{body}") == "parse"


@pytest.mark.parametrize("place", ["</Signature>", "</KeyInfo>", "</signatures>"])
def test_a_second_credential_anywhere_outside_a_parent_is_refused(fed, place):
    """The signature stays good: nothing that it covers was touched."""
    name = "Object" if place == "</Signature>" else "x"
    document = fed.credential().replace(place, f"<{name}></{name}>{place}")
    verified(fed, document)
    planted = document.replace(f"<{name}></{name}>", f'<{name}><credential xmlns=""/></{name}>')
    assert check_that_failed(fed, planted) == "parse"


def test_a_transform_with_parameters_is_refused_as_such(fed):
    document = re.sub(r"(<Transform [^>]*)/>", r"\1><XPath/></Transform>", fed.credential())
    assert "<XPath/>" in document
    assert check_that_failed(fed, document) == "algorithm"


# Signatures with elliptic curves


def test_a_chain_of_elliptic_keys_verifies(fed):
    document = fed.credential()
    assert "ecdsa-sha256" in document
    assert verified(fed, document).actor == fed.alice.urn


@pytest.mark.parametrize("value", [b"", b"\0", b"\0" * 64, b"\xff" * 64, b"\x30" * 70])
def test_a_made_up_elliptic_signature_is_refused(fed, value):
    written = f"<SignatureValue>{base64.b64encode(value).decode()}<"
    document = re.sub(r"<SignatureValue>[^<]*<", written, fed.credential())
    assert check_that_failed(fed, document) == "signature"


# What "*" stands for


@pytest.mark.parametrize(
    ("target", "operation", "allowed"),
    [
        ("slice", "createsliver", True),
        ("slice", "register", False),
        ("user", "resolve", True),
        ("user", "getticket", False),
        ("authority", "register", True),
        ("authority", "anything at all", True),
    ],
)
def test_a_star_stands_for_what_the_kind_of_target_needs(fed, target, operation, allowed):
    gid = {"slice": fed.slice_gid(), "user": fed.alice.gid, "authority": fed.root}[target]
    document = fed.credential(target=gid)
    if allowed:
        verified(fed, document, operation=operation)
    else:
        assert check_that_failed(fed, document, operation=operation) == "privilege"


# Delegation, step by step


def passed_on(document, by, to, privileges=None, ends_at=NOW + timedelta(hours=1)):
    return by.issuer.delegate(
        document, to=to.gid, privileges={"embed": True} if privileges is None else privileges, expires_at=ends_at
    )


def test_a_delegation_may_give_all_of_it_for_as_long(fed):
    parent = fed.credential(privileges={"embed": True, "info": True})
    document = passed_on(parent, fed.alice, fed.bob, {"embed": True, "info": False}, NOW + timedelta(days=1))
    auth = verified(fed, document, caller=fed.bob)
    assert auth.privileges == {Privilege("embed", True), Privilege("info", False)}
    assert auth.expires_at == NOW + timedelta(days=1)


def test_a_star_that_may_be_delegated_can_be_passed_on_in_parts(fed):
    document = passed_on(fed.credential(privileges={"*": True}), fed.alice, fed.bob, {"embed": False})
    verified(fed, document, caller=fed.bob)
    kept = passed_on(fed.credential(privileges={"*": False}), fed.alice, fed.bob, {"embed": False})
    assert check_that_failed(fed, kept, caller=fed.bob) == "delegation"


def test_a_privilege_given_without_the_right_to_pass_it_on_stops_there(fed):
    once = passed_on(fed.credential(privileges={"embed": True}), fed.alice, fed.bob, {"embed": False})
    verified(fed, once, caller=fed.bob)
    carol = fed.person("carol")
    twice = passed_on(once, fed.bob, carol, {"embed": False})
    assert check_that_failed(fed, twice, caller=carol) == "delegation"


def test_a_delegated_credential_is_no_longer_the_delegators(fed):
    document = passed_on(fed.credential(privileges={"embed": True}), fed.alice, fed.bob)
    assert check_that_failed(fed, document, caller=fed.alice) == "owner"


def test_a_delegation_to_another_target_is_refused(fed):
    document = passed_on(fed.credential(privileges={"embed": True}), fed.alice, fed.bob).decode()
    genuine, other = fed.slice_gid("s1"), fed.slice_gid("s2")
    root = etree.fromstring(document.encode())
    child = root.find("credential")
    assert URN.parse(child.findtext("target_urn")) == genuine.urn
    child.find("target_gid").text = other.pem
    child.find("target_urn").text = str(other.urn)
    signatures = root.find("signatures")
    signatures.remove(signatures[-1])
    sign(signatures, child, fed.alice.key, fed.alice.gid)
    assert check_that_failed(fed, etree.tostring(root), caller=fed.bob) == "delegation"


def test_another_user_with_the_delegators_key_is_not_the_delegator(fed):
    twin = Issuer(
        fed.issuer.issue_gid(
            URN("plc", "user", "mallory"), fed.alice.key.public_key(), lifetime=timedelta(days=1), now=NOW
        ),
        fed.alice.key,
    )
    parent = fed.credential(privileges={"embed": True})
    document = twin.delegate(parent, to=fed.bob.gid, privileges={"embed": False}, expires_at=NOW + timedelta(hours=1))
    assert check_that_failed(fed, document, caller=fed.bob) == "delegation"


def test_an_authority_does_not_pass_on_what_a_user_holds(fed):
    parent = fed.credential(privileges={"embed": True})
    document = fed.issuer.delegate(
        parent, to=fed.bob.gid, privileges={"embed": False}, expires_at=NOW + timedelta(hours=1)
    )
    assert check_that_failed(fed, document, caller=fed.bob) == "delegation"


def test_a_changed_parent_is_refused_though_the_child_was_signed_over_it(fed):
    """Bob holds no more than info, and signs a delegation over a parent that he has improved."""
    parent = fed.credential(owner=fed.bob, privileges={"info": True})
    improved = parent.replace("<name>info<", "<name>embed<")
    document = passed_on(improved, fed.bob, fed.alice)
    assert check_that_failed(fed, document) == "signature"


def test_a_parent_without_its_signature_is_refused(fed):
    document = passed_on(fed.credential(privileges={"embed": True}), fed.alice, fed.bob)
    root = etree.fromstring(document)
    signatures = root.find("signatures")
    signatures.remove(signatures[0])
    assert check_that_failed(fed, etree.tostring(root), caller=fed.bob) == "signature"


def test_a_delegation_whose_parent_is_left_out_comes_from_nobody(fed):
    document = passed_on(fed.credential(privileges={"embed": True}), fed.alice, fed.bob)
    root = etree.fromstring(document)
    child, signatures = root.find("credential"), root.find("signatures")
    child.remove(child.find("parent"))
    for one in list(signatures):
        signatures.remove(one)
    sign(signatures, child, fed.alice.key, fed.alice.gid)
    assert check_that_failed(fed, etree.tostring(root), caller=fed.bob) == "issuer"


def test_nine_delegations_are_followed_and_ten_are_too_many(fed):
    document, holder = fed.credential(privileges={"embed": True}), fed.alice
    for number in range(9):
        other = fed.person(f"p{number}")
        document, holder = passed_on(document, holder, other), other
    assert verified(fed, document, caller=holder).actor == holder.urn
    too_far = passed_on(document, holder, fed.bob)
    assert check_that_failed(fed, too_far, caller=fed.bob) == "delegation"


def test_a_user_of_one_federation_passes_on_what_another_gave_them(fed):
    """The delegator's certificate leads to one root, the slice to another; each vouches for its own."""
    home = Federation("home", keys=new_ec_key)
    parent = fed.credential(owner=home.alice, privileges={"embed": True})
    document = passed_on(parent, home.alice, fed.bob, {"embed": False})
    trust = Trust([Root(fed.root, ("plc",)), Root(home.root, ("home",))])
    auth = Verifier(trust).verify(document, caller=fed.bob.gid, target=None, operation="createsliver", now=NOW)
    assert auth.actor == fed.bob.urn
    assert check_that_failed(fed, document, caller=fed.bob) == "root"


# Issuing


def test_nothing_is_delegated_from_what_is_no_credential(fed):
    for document in ("", "nonsense", "<a/>", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'):
        with pytest.raises(CredentialError):
            passed_on(document, fed.alice, fed.bob)


def test_a_credential_is_not_issued_without_names_nor_for_a_time_without_a_zone(fed):
    nobody = self_signed_user("nobody", fed.alice.key, lifetime=timedelta(days=1), now=NOW)
    with pytest.raises(CredentialError, match="no URN"):
        fed.issuer.issue_credential(owner=nobody, target=fed.root, privileges={}, expires_at=NOW)
    with pytest.raises(ValueError, match="aware"):
        fed.issuer.issue_credential(
            owner=fed.alice.gid, target=fed.root, privileges={}, expires_at=NOW.replace(tzinfo=None)
        )


def test_an_authority_that_has_ended_certifies_nobody(fed):
    key = new_ec_key().public_key()
    urn = URN("plc", "user", "late")
    end = fed.root.not_after
    assert fed.issuer.issue_gid(urn, key, lifetime=timedelta(days=1), now=end - timedelta(hours=1)).not_after == end
    with pytest.raises(CredentialError, match="expired"):
        fed.issuer.issue_gid(urn, key, lifetime=timedelta(days=1), now=end)


@pytest.mark.parametrize("email", ["zoë@example.org", "not an address é"])
def test_a_mail_address_that_no_certificate_can_carry_is_refused_as_such(fed, email):
    with pytest.raises(CredentialError, match="certificate"):
        fed.issuer.issue_gid(
            URN("plc", "user", "zoe"), new_ec_key().public_key(), lifetime=timedelta(days=1), now=NOW, email=email
        )
