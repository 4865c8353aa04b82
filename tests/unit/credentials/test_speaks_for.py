"""Tools that speak for users: what a user signed lets one tool do what the user can, and nothing lets it do more."""

import re
from datetime import timedelta

import pytest
from conftest import NOW, Federation, Person

from credentials import (
    URN,
    CredentialError,
    CredentialRefused,
    Issuer,
    Root,
    SpeaksFor,
    Trust,
    Verifier,
    self_signed_root,
)
from credentials.abac import Rule, Term, key_id
from credentials.keys import new_ec_key

SOON = NOW + timedelta(hours=1)


@pytest.fixture(scope="module")
def fed():
    return Federation("plc", keys=new_ec_key)


@pytest.fixture(scope="module")
def tool(fed):
    key = new_ec_key()
    gid = fed.issuer.issue_gid(
        URN("plc", "tool", "portal"), key.public_key(), lifetime=timedelta(days=30), now=NOW, email="p@example.org"
    )
    return Person(gid, key)


def word(fed, tool, *, by=None, ends_at=SOON):
    return (by or fed.alice).issuer.issue_speaks_for(tool.gid, expires_at=ends_at).decode()


def rule_of(fed, user, *tails, role=None):
    own = key_id(user.gid)
    rule = Rule(Term(own, role or f"speaks_for_{own}"), tails)
    return user.issuer.issue_abac(rule, expires_at=SOON).decode()


def heard(fed, document, tool, *, user=None, verifier=None, now=NOW):
    verifier = verifier or fed.verifier()
    return verifier.verify_speaks_for(document, tool=tool.gid, user=user or fed.alice.urn, now=now)


def check_that_failed(fed, document, tool, **changes):
    with pytest.raises(CredentialRefused) as caught:
        heard(fed, document, tool, **changes)
    assert str(caught.value).isascii()
    return caught.value.check


def acted(fed, document, tool, *, speaks_for, target=None, operation="createsliver", now=NOW):
    return fed.verifier().verify(
        document, caller=tool.gid, target=target, operation=operation, now=now, speaks_for=speaks_for
    )


def check_of_act(fed, document, tool, **changes):
    with pytest.raises(CredentialRefused) as caught:
        acted(fed, document, tool, **changes)
    assert str(caught.value).isascii()
    return caught.value.check


def test_a_tool_does_what_its_user_can_and_the_user_is_the_actor(fed, tool):
    auth = acted(fed, fed.credential(), tool, speaks_for=heard(fed, word(fed, tool), tool))
    assert (auth.actor, auth.spoken_by, auth.owner.urn) == (fed.alice.urn, tool.urn, fed.alice.urn)
    assert auth.expires_at == SOON  # the user's word ends before the credential


def test_a_longer_word_makes_no_credential_longer(fed, tool):
    speaks_for = heard(fed, word(fed, tool, ends_at=NOW + timedelta(days=300)), tool)
    assert acted(fed, fed.credential(), tool, speaks_for=speaks_for).expires_at == NOW + timedelta(days=1)


def test_the_user_need_not_be_named_where_nobody_asks(fed, tool):
    heard_of = fed.verifier().verify_speaks_for(word(fed, tool), tool=tool.gid, user=None, now=NOW)
    assert (heard_of.user_urn, heard_of.tool_urn) == (fed.alice.urn, tool.urn)


def test_a_proof_can_not_be_made_by_hand(fed, tool):
    with pytest.raises(TypeError, match="Verifier"):
        SpeaksFor(
            user=fed.alice.gid,
            user_urn=fed.alice.urn,
            tool=tool.gid,
            tool_urn=tool.urn,
            expires_at=SOON,
            digest="",
            maker=None,
        )


def test_the_word_of_another_user_is_refused(fed, tool):
    assert check_that_failed(fed, word(fed, tool, by=fed.bob), tool) == "speaks_for"


def test_a_word_for_another_tool_is_refused(fed, tool):
    other = fed.person("other")
    assert check_that_failed(fed, word(fed, other), tool) == "speaks_for"


def test_a_user_names_no_other_user_in_the_head(fed, tool):
    """Bob says: alice.speaks_for_alice <- tool."""
    document = word(fed, tool)
    alice, bob = key_id(fed.alice.gid), key_id(fed.bob.gid)
    forged = rule_of(fed, fed.bob, Term(key_id(tool.gid)), role=f"speaks_for_{alice}")
    assert check_that_failed(fed, forged, tool, user=fed.bob.urn) == "speaks_for"
    assert check_that_failed(fed, document.replace(alice, bob), tool) == "signature"


def test_an_expired_word_is_refused_and_the_second_of_expiry_counts_as_expired(fed, tool):
    document = word(fed, tool)
    speaks_for = heard(fed, document, tool, now=SOON - timedelta(seconds=1))
    assert check_that_failed(fed, document, tool, now=SOON) == "expiry"
    assert check_of_act(fed, fed.credential(), tool, speaks_for=speaks_for, now=SOON) == "expiry"


@pytest.mark.parametrize(
    "role", ["speaks_for", "speaks_for_" + "0" * 40, "SPEAKS_FOR_{}", "speaks_for_{}x", "x_speaks_for_{}"]
)
def test_another_role_is_refused(fed, tool, role):
    document = rule_of(fed, fed.alice, Term(key_id(tool.gid)), role=role.format(key_id(fed.alice.gid)))
    assert check_that_failed(fed, document, tool) == "speaks_for"


@pytest.mark.parametrize(
    "tails",
    [
        lambda t: (Term(t), Term("c" * 40)),
        lambda t: (Term("c" * 40), Term(t)),
        lambda t: (Term(t), Term(t)),
        lambda t: (Term(t, "operators"),),
        lambda t: (Term(t, "operators", "sites"),),
    ],
)
def test_anything_but_one_tool_in_the_tail_is_refused(fed, tool, tails):
    assert check_that_failed(fed, rule_of(fed, fed.alice, *tails(key_id(tool.gid))), tool) == "speaks_for"


def test_a_mnemonic_makes_nobody_a_tool(fed, tool):
    other = fed.person("other")
    document = rule_of(fed, fed.alice, Term(key_id(other.gid), mnemonic=str(tool.urn)))
    assert check_that_failed(fed, document, tool) == "speaks_for"


def test_a_wrapped_word_is_refused(fed, tool):
    other = fed.person("other")
    document = word(fed, other)
    good = re.search(r"<credential .*</credential>", document, re.DOTALL)[0]
    evil = good.replace(key_id(other.gid), key_id(tool.gid))
    for wrapped in (
        document.replace(good, evil),
        document.replace(good, evil + good),
        document.replace(good, evil).replace("</Signature>", f"<Object>{good}</Object></Signature>"),
        document.replace(good, evil.replace("</credential>", f"<parent>{good}</parent></credential>")),
    ):
        assert check_that_failed(fed, wrapped, tool) in ("parse", "signature")


def test_a_tool_of_an_untrusted_authority_speaks_for_nobody(fed):
    stranger = Federation("elsewhere", keys=new_ec_key)
    assert check_that_failed(fed, word(fed, stranger.alice), stranger.alice) == "root"


def test_a_user_of_an_untrusted_authority_is_not_spoken_for(fed, tool):
    stranger = Federation("elsewhere", keys=new_ec_key)
    document = word(fed, tool, by=stranger.alice)
    assert check_that_failed(fed, document, tool, user=stranger.alice.urn) == "root"


def test_a_revoked_tool_speaks_for_nobody(fed, tool):
    verifier = Verifier(Trust([Root(fed.root, ("plc",))], revoked=[tool.gid.fingerprint]))
    assert check_that_failed(fed, word(fed, tool), tool, verifier=verifier) == "revoked"


def test_a_revoked_user_is_not_spoken_for(fed, tool):
    verifier = Verifier(Trust([Root(fed.root, ("plc",))], revoked=[fed.alice.gid.fingerprint]))
    assert check_that_failed(fed, word(fed, tool), tool, verifier=verifier) == "revoked"


def test_an_expired_tool_speaks_for_nobody(fed, tool):
    document = word(fed, tool, ends_at=NOW + timedelta(days=300))
    assert check_that_failed(fed, document, tool, now=NOW + timedelta(days=30)) == "expiry"


def test_a_root_that_calls_itself_a_user_or_a_tool_is_neither(fed, tool):
    """The operator trusts it for "peer"; as a root it may sign, but not be somebody of "plc"."""
    key = new_ec_key()
    for kind, name in (("user", "alice"), ("tool", "portal")):
        posing = Person(self_signed_root(URN("plc", kind, name), key, lifetime=timedelta(days=9), now=NOW), key)
        verifier = Verifier(Trust([Root(fed.root, ("plc",)), Root(posing.gid, ("peer",))]))
        if kind == "user":
            assert check_that_failed(fed, word(fed, tool, by=posing), tool, verifier=verifier) == "names"
        else:
            assert check_that_failed(fed, word(fed, posing), posing, verifier=verifier) == "names"


def test_a_tool_of_a_sub_authority_is_known_by_its_chain(fed):
    key, own = new_ec_key(), new_ec_key()
    site = Issuer(
        fed.issuer.issue_gid(
            URN("plc:site", "authority", "sa"), key.public_key(), lifetime=timedelta(days=9), now=NOW, is_authority=True
        ),
        key,
    )
    whole = site.issue_gid(URN("plc:site", "tool", "t"), own.public_key(), lifetime=timedelta(days=9), now=NOW)
    tool = Person(whole, own)
    assert heard(fed, word(fed, tool), tool).tool_urn == tool.urn
    alone = Person(type(whole)(whole.chain[:1]), own)
    assert check_that_failed(fed, word(fed, tool), alone) == "root"


def test_only_users_let_tools_speak(fed, tool):
    with pytest.raises(CredentialError, match="speak for users"):
        fed.issuer.issue_speaks_for(tool.gid, expires_at=SOON)
    authority = Person(fed.root, fed.root_key)
    document = rule_of(fed, authority, Term(key_id(tool.gid)))
    assert check_that_failed(fed, document, tool, user=authority.urn) == "speaks_for"


# With the user's credentials


def test_another_callers_key_does_not_profit_from_a_proof(fed, tool):
    speaks_for = heard(fed, word(fed, tool), tool)
    assert check_of_act(fed, fed.credential(), fed.bob, speaks_for=speaks_for) == "speaks_for"
    assert check_of_act(fed, fed.credential(), fed.alice, speaks_for=speaks_for) == "speaks_for"


def test_without_the_proof_a_tool_can_not_use_its_users_credential(fed, tool):
    assert check_of_act(fed, fed.credential(), tool, speaks_for=None) == "owner"


def test_a_tool_that_speaks_uses_its_users_credentials_and_not_its_own(fed, tool):
    speaks_for = heard(fed, word(fed, tool), tool)
    assert check_of_act(fed, fed.credential(tool), tool, speaks_for=speaks_for) == "owner"
    assert check_of_act(fed, fed.credential(fed.bob), tool, speaks_for=speaks_for) == "owner"


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"operation": "register"}, "privilege"),
        ({"target": URN("plc", "slice", "another")}, "target"),
        ({"now": NOW + timedelta(minutes=50)}, "expiry"),
    ],
)
def test_all_checks_of_an_ordinary_credential_run(fed, tool, changes, check):
    speaks_for = heard(fed, word(fed, tool), tool)
    document = fed.credential(ends_at=NOW + timedelta(minutes=30))
    assert check_of_act(fed, document, tool, speaks_for=speaks_for, **changes) == check


def test_a_forged_credential_of_the_user_is_refused(fed, tool):
    speaks_for = heard(fed, word(fed, tool), tool)
    forged = fed.credential(by=Issuer(fed.root, tool.key))
    assert check_of_act(fed, forged, tool, speaks_for=speaks_for) == "signature"
    by_tool = fed.credential(by=tool.issuer)
    assert check_of_act(fed, by_tool, tool, speaks_for=speaks_for) == "issuer"


def test_what_was_delegated_to_the_user_is_the_users(fed, tool):
    from_bob = fed.bob.issuer.delegate(
        fed.credential(fed.bob), to=fed.alice.gid, privileges={"embed": False}, expires_at=NOW + timedelta(minutes=9)
    )
    speaks_for = heard(fed, word(fed, tool), tool)
    auth = acted(fed, from_bob, tool, speaks_for=speaks_for)
    assert (auth.actor, auth.spoken_by, auth.expires_at) == (fed.alice.urn, tool.urn, NOW + timedelta(minutes=9))


def test_a_tool_passes_nothing_on_in_the_users_name(fed, tool):
    """Delegation needs the user's key, which a tool that speaks doesn't have."""
    by_tool = tool.issuer.delegate(fed.credential(), to=fed.bob.gid, privileges={"embed": False}, expires_at=SOON)
    with pytest.raises(CredentialRefused) as caught:
        fed.verifier().verify(by_tool, caller=fed.bob.gid, target=None, operation="createsliver", now=NOW)
    assert caught.value.check == "delegation"


def test_what_was_delegated_away_by_the_user_is_not_the_tools(fed, tool):
    speaks_for = heard(fed, word(fed, tool), tool)
    to_bob = fed.alice.issuer.delegate(fed.credential(), to=fed.bob.gid, privileges={"embed": False}, expires_at=SOON)
    assert check_of_act(fed, to_bob, tool, speaks_for=speaks_for) == "owner"


def test_one_key_under_two_names_is_two_users(fed, tool):
    """The certificate in a signature is not signed: another one with the same key must not change who acts."""
    twin = Person(
        fed.issuer.issue_gid(
            URN("plc", "user", "twin"), fed.alice.key.public_key(), lifetime=timedelta(days=9), now=NOW
        ),
        fed.alice.key,
    )
    speaks_for = heard(fed, word(fed, tool, by=twin), tool, user=twin.urn)
    assert check_of_act(fed, fed.credential(), tool, speaks_for=speaks_for) == "owner"
