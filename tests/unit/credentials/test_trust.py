"""From a certificate to a trusted root, or to the reason why there is no way."""

from datetime import timedelta

import pytest
from conftest import NOW, Federation

from credentials import GID, URN, BadGID, CredentialError, GIDRefused, Issuer, Root, Trust
from credentials.keys import new_ec_key, new_rsa_key


def refused(trust, gid, now=NOW):
    with pytest.raises(GIDRefused) as caught:
        trust.check_gid(gid, now=now)
    return caught.value.check


@pytest.fixture(scope="module")
def site(plc):
    """A sub-authority plc:site."""
    key = new_rsa_key()
    urn = URN("plc:site", "authority", "sa")
    gid = plc.issuer.issue_gid(urn, key.public_key(), lifetime=timedelta(days=365), now=NOW, is_authority=True)
    return Issuer(gid, key)


def test_a_certificate_of_a_trusted_authority_is_trusted(plc):
    assert plc.trust().check_gid(plc.alice.gid, now=NOW).gid.urn == plc.root.urn


def test_the_leaf_alone_suffices_when_the_root_made_it(plc):
    plc.trust().check_gid(GID.parse(plc.alice.gid.leaf_pem), now=NOW)


def test_a_chain_through_a_sub_authority_is_trusted(plc, site):
    gid = site.issue_gid(
        URN("plc:site", "user", "carol"), new_ec_key().public_key(), lifetime=timedelta(days=1), now=NOW
    )
    assert len(gid.chain) == 3
    plc.trust().check_gid(gid, now=NOW)
    assert refused(plc.trust(), GID(gid.chain[:1])) == "root"


def test_a_sub_authority_vouches_only_for_names_below_it(plc, site):
    key = new_ec_key()
    with pytest.raises(CredentialError, match="no authority over"):
        site.issue_gid(URN("plc", "user", "alice"), key.public_key(), lifetime=timedelta(days=1), now=NOW)
    # An authority that does it all the same is not believed.
    rogue = Issuer(GID((plc.root.leaf,)), site.key)
    forged = rogue.issue_gid(URN("plc", "user", "alice"), key.public_key(), lifetime=timedelta(days=1), now=NOW)
    assert refused(plc.trust(), GID((forged.leaf, *site.gid.chain))) == "names"


def test_a_root_vouches_only_for_the_names_the_operator_gave_it(plc):
    assert refused(Trust([Root(plc.root, ("plc:other",))]), plc.alice.gid) == "names"
    assert refused(Trust([Root(plc.root, ())]), plc.alice.gid) == "names"


def test_a_user_signs_no_certificates(plc):
    forged = Issuer(GID((plc.root.leaf,)), plc.bob.key).issue_gid(
        URN("plc", "user", "alice"), new_ec_key().public_key(), lifetime=timedelta(days=1), now=NOW
    )
    assert refused(plc.trust(), GID((forged.leaf, *plc.bob.gid.chain))) == "chain"


def test_an_untrusted_root_is_named(plc, stranger):
    with pytest.raises(GIDRefused, match="CN=elsewhere, whom this server does not trust"):
        plc.trust().check_gid(GID(stranger.alice.gid.chain[:1]), now=NOW)
    assert refused(plc.trust(), stranger.alice.gid) == "root"


def test_a_root_of_the_same_name_with_another_key_is_not_the_root(plc):
    twin = Federation("plc")
    assert refused(plc.trust(), twin.person("alice").gid) == "root"


@pytest.mark.parametrize(("days", "check"), [(366, "expiry"), (-1, "expiry")])
def test_a_certificate_counts_only_in_its_time(plc, days, check):
    assert refused(plc.trust(), plc.alice.gid, NOW + timedelta(days=days)) == check


def test_the_second_of_expiry_belongs_to_the_past(plc):
    end = plc.alice.gid.not_after
    plc.trust().check_gid(plc.alice.gid, now=end - timedelta(seconds=1))
    assert refused(plc.trust(), plc.alice.gid, end) == "expiry"


def test_an_expired_root_ends_trust_in_all_it_vouched_for(plc):
    assert refused(plc.trust(), plc.root, NOW + timedelta(days=4000)) == "expiry"


def test_a_revoked_certificate_and_all_below_a_revoked_root_are_refused(plc):
    roots = [Root(plc.root, ("plc",))]
    assert refused(Trust(roots, [plc.alice.gid.fingerprint]), plc.alice.gid) == "revoked"
    assert refused(Trust(roots, [plc.root.fingerprint]), plc.alice.gid) == "revoked"
    Trust(roots, [plc.alice.gid.fingerprint]).check_gid(plc.bob.gid, now=NOW)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "A" * 200_000]
)
def test_what_is_no_certificate_is_refused_as_such(text):
    with pytest.raises(BadGID):
        GID.parse(text)


def test_a_certificate_reads_back_with_all_it_binds(plc):
    again = GID.parse(
        "text before\n"
        + plc.alice.gid.pem.replace("-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----\n-----parent-----\n")
    )
    assert (again.urn, again.email, again.uuid) == (plc.alice.gid.urn, "alice@example.org", plc.alice.gid.uuid)
    assert again.uuid is not None
    assert again.fingerprint == plc.alice.gid.fingerprint
    assert len(again.chain) == 2


def test_certificates_of_the_field_are_read_and_their_chains_followed(shared_reference):
    folder = shared_reference / "samples" / "sfa"
    root = GID.parse((folder / "authority-topdom.gid.pem").read_bytes())
    trust = Trust([Root(root, ("topdom",))])
    for name in ("user-alice", "user-bob", "authority-siteone"):
        gid = GID.parse((folder / f"{name}.gid.pem").read_bytes())
        trust.check_gid(gid, now=gid.not_before + timedelta(days=1))


def test_a_verifier_says_whose_certificate_it_is_when_a_root_vouches_for_the_name(plc, stranger):
    assert plc.verifier().verify_gid(plc.alice.gid, now=NOW) == plc.alice.urn
    for gid, now, check in (
        (stranger.alice.gid, NOW, "root"),
        (plc.alice.gid, plc.alice.gid.not_after, "expiry"),
    ):
        with pytest.raises(GIDRefused) as caught:
            plc.verifier().verify_gid(gid, now=now)
        assert caught.value.check == check
