"""Credentials: what is believed, and each reason for not believing."""

import re
from datetime import timedelta

import pytest
from conftest import NOW

from credentials import Authorization, CredentialRefused, Root, Trust, Verifier
from credentials.privilege import EVERYTHING, PERMITS, permits, permitted


def verify(verifier, document, caller, target, operation="createsliver", now=NOW):
    return verifier.verify(document, caller=caller.gid, target=target, operation=operation, now=now)


def check_that_failed(verifier, document, caller, target, operation="createsliver", now=NOW):
    with pytest.raises(CredentialRefused) as caught:
        verify(verifier, document, caller, target, operation, now)
    assert str(caught.value).isascii()
    return caught.value.check


def test_a_good_credential_makes_an_authorization(plc):
    slice_gid = plc.slice_gid()
    auth = verify(plc.verifier(), plc.credential(target=slice_gid), plc.alice, slice_gid.urn)
    assert (auth.actor, auth.spoken_by, auth.target) == (plc.alice.urn, None, slice_gid.urn)
    assert auth.expires_at == NOW + timedelta(days=1)
    assert auth.permits("sliverstatus")
    assert not auth.permits("register")


def test_an_authorization_can_not_be_made_by_hand(plc):
    with pytest.raises(TypeError, match="Verifier"):
        Authorization(
            actor=plc.alice.urn,
            spoken_by=None,
            target=plc.alice.urn,
            privileges=frozenset(),
            expires_at=NOW,
            owner=plc.alice.gid,
            digest="",
            maker=None,
        )


def test_somebody_elses_credential_is_refused(plc):
    assert check_that_failed(plc.verifier(), plc.credential(), plc.bob, None) == "owner"


def test_a_credential_about_another_slice_is_refused(plc):
    assert check_that_failed(plc.verifier(), plc.credential(), plc.alice, plc.slice_gid("s2").urn) == "target"


def test_slice_names_are_the_same_in_any_case(plc):
    document = plc.credential(target=plc.slice_gid("MySlice"))
    verify(plc.verifier(), document, plc.alice, plc.slice_gid("myslice").urn)


@pytest.mark.parametrize(
    ("privileges", "operation", "allowed"),
    [
        ({"*": True}, "createsliver", True),
        ({"embed": False}, "createsliver", True),
        ({"info": False}, "createsliver", False),
        ({"info": False}, "listnodes", True),
        ({}, "listnodes", False),
        ({"made-up": True}, "listnodes", False),
        ({"*": True}, "register", False),
    ],
)
def test_operations_are_allowed_as_the_table_of_privileges_says(plc, privileges, operation, allowed):
    document = plc.credential(privileges=privileges)
    if allowed:
        verify(plc.verifier(), document, plc.alice, None, operation)
    else:
        assert check_that_failed(plc.verifier(), document, plc.alice, None, operation) == "privilege"


def test_an_expired_credential_is_refused_and_the_second_of_expiry_counts_as_expired(plc):
    document = plc.credential(ends_at=NOW + timedelta(hours=1))
    verify(plc.verifier(), document, plc.alice, None, now=NOW + timedelta(minutes=59, seconds=59))
    assert check_that_failed(plc.verifier(), document, plc.alice, None, now=NOW + timedelta(hours=1)) == "expiry"


def test_a_remembered_credential_is_still_refused_when_it_has_expired(plc):
    verifier = plc.verifier()
    document = plc.credential(ends_at=NOW + timedelta(hours=1))
    verify(verifier, document, plc.alice, None)
    assert check_that_failed(verifier, document, plc.alice, None, now=NOW + timedelta(hours=1)) == "expiry"


def test_a_remembered_credential_is_still_refused_to_others(plc):
    verifier = plc.verifier()
    document = plc.credential()
    verify(verifier, document, plc.alice, None)
    assert check_that_failed(verifier, document, plc.bob, None) == "owner"


def test_an_untrusted_authoritys_credential_is_refused(plc, stranger):
    assert check_that_failed(plc.verifier(), stranger.credential(), stranger.alice, None) == "root"


def test_a_trusted_authority_gives_no_rights_on_anothers_slice(plc, stranger):
    both = Verifier(Trust([Root(plc.root, ("plc",)), Root(stranger.root, ("elsewhere",))]))
    document = stranger.credential(owner=stranger.alice, target=plc.slice_gid())
    assert check_that_failed(both, document, stranger.alice, None) == "issuer"


def test_a_user_gives_themselves_nothing(plc):
    document = plc.credential(owner=plc.bob, by=plc.bob.issuer)
    assert check_that_failed(plc.verifier(), document, plc.bob, None) == "issuer"


# Delegation


def delegated(plc, privileges, *, parent=None, to=None, ends_at=NOW + timedelta(hours=1), by=None):
    document = parent or plc.credential(privileges={"embed": True, "info": False})
    return (
        (by or plc.alice.issuer)
        .delegate(document, to=(to or plc.bob).gid, privileges=privileges, expires_at=ends_at)
        .decode()
    )


def test_what_may_be_delegated_works_for_whom_it_was_given_to(plc):
    auth = verify(plc.verifier(), delegated(plc, {"embed": False}), plc.bob, None)
    assert auth.actor == plc.bob.urn
    assert auth.expires_at == NOW + timedelta(hours=1)


def test_a_chain_of_delegations_works(plc):
    carol = plc.person("carol")
    twice = plc.bob.issuer.delegate(
        delegated(plc, {"embed": True}),
        to=carol.gid,
        privileges={"embed": False},
        expires_at=NOW + timedelta(minutes=5),
    )
    assert verify(plc.verifier(), twice, carol, None).actor == carol.urn


@pytest.mark.parametrize(
    ("privileges", "ends_at"),
    [
        ({"info": False}, NOW + timedelta(hours=1)),  # may not be delegated
        ({"control": False}, NOW + timedelta(hours=1)),  # was never held
        ({"*": False}, NOW + timedelta(hours=1)),
        ({"embed": False}, NOW + timedelta(days=2)),  # outlives the parent
    ],
)
def test_delegation_widens_nothing(plc, privileges, ends_at):
    document = delegated(plc, privileges, ends_at=ends_at)
    assert check_that_failed(plc.verifier(), document, plc.bob, None) == "delegation"


def test_only_the_holder_delegates(plc):
    document = delegated(plc, {"embed": False}, by=plc.bob.issuer)
    assert check_that_failed(plc.verifier(), document, plc.bob, None) == "delegation"


def test_an_expired_parent_is_refused_even_if_the_leaf_is_valid(plc):
    parent = plc.credential(privileges={"embed": True}, ends_at=NOW + timedelta(minutes=10))
    document = delegated(plc, {"embed": False}, parent=parent, ends_at=NOW + timedelta(minutes=10))
    later = NOW + timedelta(minutes=10)
    assert check_that_failed(plc.verifier(), document, plc.bob, None, now=later) == "expiry"


def test_delegating_an_untrusted_credential_makes_it_no_better(plc, stranger):
    document = delegated(plc, {"embed": False}, parent=stranger.credential(target=plc.slice_gid()))
    assert check_that_failed(plc.verifier(), document, plc.bob, None) == "root"


# Tampering


def test_every_changed_part_of_the_statement_breaks_the_signature(plc):
    document = plc.credential()
    for old, new in [
        ("<expires>2026-06-02", "<expires>2036-06-02"),
        ("<name>*</name>", "<name>authority</name>"),
        ("<can_delegate>true", "<can_delegate>false"),
        ("<type>privilege", "<type>privileges"),
        ("slice+s1", "slice+s2"),
        (plc.alice.gid.leaf_pem, plc.bob.gid.leaf_pem),
    ]:
        assert old in document
        assert check_that_failed(plc.verifier(), document.replace(old, new, 1), plc.alice, None) == "signature"


def test_no_flipped_byte_changes_what_a_credential_says(plc):
    """Every 7th byte of a whole credential, each bit pattern once: refused, or the same authorization."""
    document = plc.credential().encode()
    genuine = verify(plc.verifier(), document, plc.alice, None)
    for place in range(0, len(document), 7):
        flipped = bytearray(document)
        flipped[place] ^= 1 << (place % 8)
        try:
            auth = verify(plc.verifier(), bytes(flipped), plc.alice, None)
        except CredentialRefused:
            continue
        assert (auth.actor, auth.target, auth.privileges, auth.expires_at) == (
            genuine.actor,
            genuine.target,
            genuine.privileges,
            genuine.expires_at,
        ), f"byte {place}"


def test_a_truncated_credential_is_refused(plc):
    document = plc.credential()
    for length in range(0, len(document) - 1, 97):
        assert check_that_failed(plc.verifier(), document[:length], plc.alice, None) in ("parse", "signature")


def _evil(document):
    """The credential element with more privileges, and the genuine one."""
    genuine = re.search(r"<credential .*</credential>", document, re.DOTALL)[0]
    return genuine, genuine.replace("<name>info</name>", "<name>authority</name>")


@pytest.mark.parametrize(
    "wrap",
    [
        # the forged statement in the genuine one's place, which moves to...
        lambda doc, good, evil: doc.replace(good, evil).replace("<signatures>", f"<signatures>{good}"),
        lambda doc, good, evil: doc.replace(
            good, evil.replace("</credential>", f"<parent>{good}</parent></credential>")
        ),
        lambda doc, good, evil: doc.replace(good, evil + good),
        lambda doc, good, evil: doc.replace(good, good + evil),
        lambda doc, good, evil: doc.replace(good, evil.replace('xml:id="ref0"', 'xml:id="ref9"') + good),
        lambda doc, good, evil: doc.replace(good, f"<wrapper>{good}</wrapper>{evil}"),
        lambda doc, good, evil: doc.replace(good, evil).replace("</Signature>", f"<Object>{good}</Object></Signature>"),
        lambda doc, good, evil: doc.replace(
            good, evil.replace("</credential>", f"<extensions>{good}</extensions></credential>")
        ),
        lambda doc, good, evil: doc.replace(good, evil.replace("<type>", f"{good}<type>")),
        lambda doc, good, evil: doc.replace(good, evil).replace("<KeyInfo>", f"<KeyInfo>{good}"),
    ],
)
def test_signature_wrapping_is_refused(plc, wrap):
    document = plc.credential(privileges={"info": False})
    wrapped = wrap(document, *_evil(document))
    assert wrapped != document
    assert check_that_failed(plc.verifier(), wrapped, plc.alice, None, "listnodes") in (
        "parse",
        "signature",
        "delegation",
    )


def test_two_elements_of_one_id_are_refused(plc):
    document = plc.credential().replace("<serial>", '<serial xml:id="ref0">')
    assert check_that_failed(plc.verifier(), document, plc.alice, None) == "parse"


def test_a_key_beside_the_certificate_counts_for_nothing(plc, stranger):
    """The forger signs with a key of their own and names a trusted certificate in KeyInfo."""
    forged = plc.credential(by=type(plc.issuer)(plc.root, stranger.root_key))
    assert check_that_failed(plc.verifier(), forged, plc.alice, None) == "signature"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("xmldsig-more#rsa-sha256", "xmldsig-more#hmac-sha256"),
        ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#md5"),
        ("http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
        ("http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
        ("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "urn:none"),
    ],
)
def test_other_algorithms_and_transforms_are_refused_by_name(plc, old, new):
    document = plc.credential()
    assert old in document
    assert check_that_failed(plc.verifier(), document.replace(old, new), plc.alice, None) == "algorithm"


@pytest.mark.parametrize(
    "document",
    [
        "",
        "nonsense",
        "<a/>",
        "<signed-credential/>",
        "<signed-credential><credential/></signed-credential>",
        '<!DOCTYPE a [<!ENTITY b "c">]><signed-credential>&b;</signed-credential>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><signed-credential/>',
        "<signed-credential>" + "<a>" * 300 + "</a>" * 300 + "</signed-credential>",
        "x" * (2 * 1024 * 1024),
        "\x00",
        "<signed-credential>\ud800</signed-credential>",
    ],
)
def test_what_is_no_credential_is_refused_as_such(plc, document):
    assert check_that_failed(plc.verifier(), document, plc.alice, None) in ("parse", "signature")


def test_entities_do_not_grow(plc):
    bomb = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    assert (
        check_that_failed(plc.verifier(), f"{bomb}]><signed-credential>&j;</signed-credential>", plc.alice, None)
        == "parse"
    )


def test_rsa_sha1_is_accepted_only_from_roots_the_operator_allowed_it(shared_reference):
    from credentials import GID

    folder = shared_reference / "samples" / "sfa"
    root = GID.parse((folder / "authority-topdom.gid.pem").read_bytes())
    alice = GID.parse((folder / "user-alice.gid.pem").read_bytes())
    document = (folder / "slice-credential.xml").read_bytes()
    now = alice.not_before + timedelta(days=1)
    Verifier(Trust([Root(root, ("topdom",), legacy_sha1=True)])).verify(
        document, caller=alice, target=None, operation="createsliver", now=now
    )
    with pytest.raises(CredentialRefused, match="trust add --legacy-sha1"):
        Verifier(Trust([Root(root, ("topdom",))])).verify(
            document, caller=alice, target=None, operation="createsliver", now=now
        )


def test_what_privileges_permit_together_is_what_they_permit_one_by_one():
    operations = {operation for some in PERMITS.values() for operation in some} - {EVERYTHING} | {"anything"}
    names = [*PERMITS, "unheard of"]
    for first in names:
        for second in names:
            together = permitted([first, second])
            for operation in operations:
                either = permits(first, operation) or permits(second, operation)
                assert (operation in together or EVERYTHING in together) == either, (first, second, operation)
