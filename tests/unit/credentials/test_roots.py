"""What a root may say, how strong its signatures must be, and what happens when it is renewed or ends."""

from datetime import timedelta

import pytest
from conftest import NOW, Federation, Person
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from credentials import GID, URN, CredentialRefused, GIDRefused, Issuer, Root, Trust, Verifier, self_signed_root
from credentials.keys import new_ec_key


def refused(trust, gid, now=NOW):
    with pytest.raises(GIDRefused) as caught:
        trust.check_gid(gid, now=now)
    return caught.value.check


def outcome(trust, document, caller, now=NOW):
    """The actor that is let in, or the check that failed."""
    try:
        auth = Verifier(trust).verify(document, caller=caller.gid, target=None, operation="createsliver", now=now)
    except CredentialRefused as refusal:
        return refusal.check
    return auth.actor


@pytest.fixture(scope="module")
def pretender():
    """A peer that the operator trusts for "peer" and whose root calls itself "plc"."""
    return Federation("plc", keys=new_ec_key)


@pytest.fixture(scope="module")
def pretenders_user(pretender):
    key = new_ec_key()
    root = self_signed_root(URN("peer", "authority", "sa"), pretender.root_key, lifetime=timedelta(days=365), now=NOW)
    gid = Issuer(root, pretender.root_key).issue_gid(
        URN("peer", "user", "eve"), key.public_key(), lifetime=timedelta(days=30), now=NOW
    )
    return Person(gid, key), root


def test_a_root_that_calls_itself_by_anothers_name_speaks_only_for_what_the_operator_allowed(
    plc, pretender, pretenders_user
):
    eve, peer_root = pretenders_user
    document = plc.credential(owner=eve, target=plc.slice_gid(), by=pretender.issuer)
    trusted = [Root(plc.root, ("plc",)), Root(peer_root, ("peer",))]
    assert outcome(Trust([*trusted, Root(pretender.root, ("peer",))]), document, eve) == "issuer"
    assert outcome(Trust([*trusted, Root(pretender.root, ("peer", "plc"))]), document, eve) == eve.urn


def test_a_root_held_to_one_branch_says_nothing_about_another(plc):
    """The upper part of one federation is trusted for plc:a only; another root vouches for plc:b."""
    upper = Federation("plc", keys=new_ec_key)
    lower = Federation("plc:b", keys=new_ec_key)
    user_key = new_ec_key()
    user = Person(
        upper.issuer.issue_gid(URN("plc:a", "user", "eve"), user_key.public_key(), lifetime=timedelta(days=1), now=NOW),
        user_key,
    )
    document = plc.credential(owner=user, target=lower.slice_gid(), by=upper.issuer)
    assert outcome(Trust([Root(upper.root, ("plc:a",)), Root(lower.root, ("plc:b",))]), document, user) == "issuer"
    assert outcome(Trust([Root(upper.root, ("plc",)), Root(lower.root, ("plc:b",))]), document, user) == user.urn


def test_a_roots_own_certificate_is_no_user_of_names_it_was_not_given(plc):
    key = new_ec_key()
    posing = Person(self_signed_root(URN("plc", "user", "admin"), key, lifetime=timedelta(days=365), now=NOW), key)
    document = plc.credential(owner=posing)
    assert outcome(Trust([Root(plc.root, ("plc",)), Root(posing.gid, ("peer",))]), document, posing) == "names"
    assert outcome(Trust([Root(plc.root, ("plc",)), Root(posing.gid, ("plc",))]), document, posing) == posing.urn


def test_a_renewed_root_with_the_same_key_takes_over_when_the_old_one_ends(plc):
    urn = URN("plc", "authority", "sa")
    old = self_signed_root(urn, plc.root_key, lifetime=timedelta(days=10), now=NOW)
    new = self_signed_root(urn, plc.root_key, lifetime=timedelta(days=300), now=NOW)
    later = NOW + timedelta(days=11)
    both = Trust([Root(old, ("plc",)), Root(new, ("plc",))])
    assert both.check_gid(plc.alice.gid, now=later).gid is new
    assert refused(Trust([Root(old, ("plc",))]), plc.alice.gid, later) == "expiry"
    without_old = Trust(both.roots, [old.fingerprint])
    assert without_old.check_gid(plc.alice.gid, now=NOW).gid is new


def test_a_root_without_the_name_of_its_issuer_field_is_found_by_its_key(plc):
    """SFA tools never compare X.509 names, and some certificates get them wrong."""
    renamed = self_signed_root(URN("plc", "authority", "ch"), plc.root_key, lifetime=timedelta(days=3000), now=NOW)
    other = Issuer(
        self_signed_root(URN("PLC", "authority", "sa"), plc.root_key, lifetime=timedelta(days=9), now=NOW), plc.root_key
    )
    gid = other.issue_gid(URN("plc", "user", "dan"), new_ec_key().public_key(), lifetime=timedelta(days=1), now=NOW)
    assert gid.issuer_name != renamed.subject_name
    assert Trust([Root(renamed, ("plc",))]).check_gid(GID(gid.chain[:1]), now=NOW).gid is renamed


def test_a_remembered_credential_does_not_outlive_the_root_it_rests_on(plc):
    """The chain that came along lacks the root, so only the trust knows when the root ends."""
    root = self_signed_root(URN("plc", "authority", "sa"), plc.root_key, lifetime=timedelta(hours=1), now=NOW)
    alice = Person(GID(plc.alice.gid.chain[:1]), plc.alice.key)
    target = GID(plc.slice_gid().chain[:1])
    key = new_ec_key()
    site = plc.issuer.issue_gid(
        URN("plc", "authority", "sa"), key.public_key(), lifetime=timedelta(days=30), now=NOW, is_authority=True
    )
    document = plc.credential(owner=alice, target=target, by=Issuer(GID(site.chain[:1]), key))
    verifier = Verifier(Trust([Root(root, ("plc",))]))

    def ask(now):
        return verifier.verify(document, caller=alice.gid, target=None, operation="createsliver", now=now)

    ask(NOW)
    ask(NOW + timedelta(minutes=59))
    with pytest.raises(CredentialRefused) as caught:
        ask(NOW + timedelta(hours=1))
    assert caught.value.check == "expiry"


def test_the_clock_of_an_issuer_may_be_a_little_ahead(plc):
    """Certificates begin five minutes before they were made, and five minutes of skew are forgiven besides."""
    gid = plc.alice.gid
    plc.trust().check_gid(gid, now=gid.not_before - timedelta(minutes=5))
    assert refused(plc.trust(), gid, gid.not_before - timedelta(minutes=5, seconds=1)) == "expiry"


def test_toy_keys_prove_nothing(plc):
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505 - as old users have
    curve = ec.generate_private_key(ec.SECP192R1()).public_key()
    ok = plc.issuer.issue_gid(URN("plc", "user", "old"), short, lifetime=timedelta(days=1), now=NOW)
    plc.trust().check_gid(ok, now=NOW)
    toy = plc.issuer.issue_gid(URN("plc", "user", "toy"), curve, lifetime=timedelta(days=1), now=NOW)
    assert refused(plc.trust(), toy) == "key"


def test_a_revoked_sub_authority_takes_those_below_with_it(plc):
    key = new_ec_key()
    urn = URN("plc:site", "authority", "sa")
    site = plc.issuer.issue_gid(urn, key.public_key(), lifetime=timedelta(days=9), now=NOW, is_authority=True)
    user = Issuer(site, key).issue_gid(
        URN("plc:site", "user", "dan"), new_ec_key().public_key(), lifetime=timedelta(days=1), now=NOW
    )
    roots = [Root(plc.root, ("plc",))]
    Trust(roots).check_gid(user, now=NOW)
    assert refused(Trust(roots, [site.fingerprint]), user) == "revoked"


def test_an_expired_certificate_above_the_one_a_root_signed_is_of_no_account(plc):
    """Peers send whole chains; what stands above the trusted link proves nothing and spoils nothing."""
    stale = self_signed_root(URN("elsewhere", "authority", "sa"), new_ec_key(), lifetime=timedelta(hours=1), now=NOW)
    gid = GID((plc.alice.gid.leaf, stale.leaf))
    plc.trust().check_gid(gid, now=NOW + timedelta(days=1))


@pytest.fixture(scope="module")
def site(plc):
    """A sub-authority plc:site."""
    key = new_ec_key()
    urn = URN("plc:site", "authority", "sa")
    return Issuer(
        plc.issuer.issue_gid(urn, key.public_key(), lifetime=timedelta(days=30), now=NOW, is_authority=True), key
    )


def test_a_sub_authority_gives_rights_on_its_own_slices_and_not_on_those_above(plc, site):
    own = site.issue_gid(URN("plc:site", "slice", "s1"), site.key.public_key(), lifetime=timedelta(days=9), now=NOW)
    assert outcome(plc.trust(), plc.credential(target=own, by=site), plc.alice) == plc.alice.urn
    assert outcome(plc.trust(), plc.credential(by=site), plc.alice) == "issuer"


def test_a_certificate_that_the_next_in_its_chain_did_not_sign_is_refused(plc, site):
    """The chain of a genuine sub-authority, hung behind a certificate made with another key."""
    urn, key = URN("plc:site", "user", "eve"), new_ec_key().public_key()
    genuine = site.issue_gid(urn, key, lifetime=timedelta(days=1), now=NOW)
    plc.trust().check_gid(genuine, now=NOW)
    forged = Issuer(site.gid, new_ec_key()).issue_gid(urn, key, lifetime=timedelta(days=1), now=NOW)
    assert refused(plc.trust(), forged) == "chain"
