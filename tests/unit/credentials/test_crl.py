"""Revocation lists: whose they are, what they revoke, and those that are not read."""

from datetime import timedelta

import pytest
from conftest import NOW, Federation, Person
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from credentials import CRL, GID, URN, BadCRL, CredentialRefused, GIDRefused, Issuer, Root, Trust, Verifier
from credentials.keys import new_ec_key

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def fed():
    return Federation("plc", keys=new_ec_key)


@pytest.fixture(scope="module")
def site(fed):
    """An authority below the root, and a user of it."""
    key, user_key = new_ec_key(), new_ec_key()
    gid = fed.issuer.issue_gid(
        URN("plc:lab", "authority", "sa"), key.public_key(), lifetime=365 * DAY, now=NOW, is_authority=True
    )
    issuer = Issuer(gid, key)
    user = issuer.issue_gid(URN("plc:lab", "user", "eve"), user_key.public_key(), lifetime=30 * DAY, now=NOW)
    return issuer, Person(user, user_key)


def crl(authority, *revoked, key=None, ends_at=NOW + DAY, extensions=(), form=Encoding.PEM):
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.gid.leaf.subject)
    builder = builder.last_update(min(NOW, ends_at) - DAY).next_update(ends_at)
    for gid in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(gid.leaf.serial_number).revocation_date(NOW - DAY)
        builder = builder.add_revoked_certificate(entry.build())
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    return CRL.parse(builder.sign(key or authority.key, hashes.SHA256()).public_bytes(form))


def trust(fed, *crls):
    return Trust([Root(fed.root, names=("plc",))], crls=crls)


def refused(trust, gid):
    with pytest.raises(GIDRefused) as caught:
        trust.check_gid(gid, now=NOW)
    assert caught.value.check == "revoked"
    return str(caught.value)


def test_white_space_around_a_list_does_no_harm(fed):
    text = crl(fed.issuer, fed.alice.gid)._list.public_bytes(Encoding.PEM)
    assert len(CRL.parse(b"\n " + text + b"\n")) == 1


def test_two_authorities_of_one_name_do_not_sign_for_each_other(fed):
    twin = Federation("plc", keys=new_ec_key)
    signed = crl(fed.issuer, fed.alice.gid)
    assert not signed.is_of(twin.root)
    assert signed.is_of(fed.root)
    assert not signed.is_of(twin.root)


@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
def test_what_a_roots_list_revokes_is_refused_and_the_rest_is_not(fed, form):
    checked = trust(fed, crl(fed.issuer, fed.alice.gid, form=form))
    assert "user+alice was revoked 2026-05-31T12:00:00Z" in refused(checked, fed.alice.gid)
    assert checked.check_gid(fed.bob.gid, now=NOW).gid is fed.root


def test_a_credential_of_a_revoked_owner_is_refused(fed):
    verifier = Verifier(trust(fed, crl(fed.issuer, fed.alice.gid)))
    with pytest.raises(CredentialRefused) as caught:
        verifier.verify(fed.credential(), caller=fed.alice.gid, target=None, operation="createsliver", now=NOW)
    assert caught.value.check == "revoked"


def test_a_revoked_authority_takes_all_below_it_along(fed, site):
    issuer, eve = site
    assert "plc:lab+authority+sa was revoked" in refused(trust(fed, crl(fed.issuer, issuer.gid)), eve.gid)


def test_an_authority_revokes_its_own_and_nobody_elses(fed, site):
    issuer, eve = site
    assert "user+eve was revoked" in refused(trust(fed, crl(issuer, eve.gid)), eve.gid)
    assert trust(fed, crl(issuer, fed.alice.gid)).check_gid(fed.alice.gid, now=NOW)


def test_a_list_counts_only_if_its_authority_signed_it(fed):
    forged = crl(fed.issuer, fed.alice.gid, key=new_ec_key())
    assert trust(fed, forged).check_gid(fed.alice.gid, now=NOW)
    assert not forged.is_of(fed.root)


def test_a_key_that_may_not_sign_lists_signs_none_that_count(fed, site):
    issuer, eve = site
    usage = issuer.gid.usage
    assert usage.crl_sign  # ours may
    builder = x509.CertificateBuilder(
        issuer.gid.leaf.issuer,
        issuer.gid.leaf.subject,
        issuer.key.public_key(),
        7,
        issuer.gid.leaf.not_valid_before_utc,
        issuer.gid.leaf.not_valid_after_utc,
    )
    for extension in issuer.gid.leaf.extensions:
        value = extension.value
        if isinstance(value, x509.KeyUsage):
            value = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
        builder = builder.add_extension(value, extension.critical)
    without = Issuer(GID([builder.sign(fed.root_key, hashes.SHA256()), fed.root.leaf]), issuer.key)
    chain = GID([eve.gid.leaf, *without.gid.chain])
    assert trust(fed, crl(without, eve.gid)).check_gid(chain, now=NOW)
    assert "revoked" in refused(trust(fed, crl(issuer, eve.gid)), eve.gid)


def test_a_late_list_still_counts_and_is_named_for_a_doctor(fed):
    late = crl(fed.issuer, fed.alice.gid, ends_at=NOW - timedelta(hours=1))
    checked = trust(fed, late, crl(fed.issuer))
    refused(checked, fed.alice.gid)
    assert checked.stale_crls(NOW) == (late,)
    assert late.next_update == NOW - timedelta(hours=1)


def test_sfa_authorities_give_all_the_same_serial_number_so_a_list_revokes_all(fed):
    def sfa_like(name):
        key = new_ec_key()
        urn = x509.UniformResourceIdentifier(f"urn:publicid:IDN+plc+user+{name}")
        return GID(
            [
                x509.CertificateBuilder()
                .subject_name(x509.Name([]))
                .issuer_name(fed.root.leaf.subject)
                .public_key(key.public_key())
                .serial_number(3)
                .not_valid_before(NOW - DAY)
                .not_valid_after(NOW + DAY)
                .add_extension(x509.SubjectAlternativeName([urn]), critical=False)
                .sign(fed.root_key, hashes.SHA256())
            ]
        )

    checked = trust(fed, crl(fed.issuer, sfa_like("a")))
    refused(checked, sfa_like("b"))


@pytest.mark.parametrize(
    ("extension", "critical", "is_read"),
    [
        (x509.DeltaCRLIndicator(1), True, False),
        (
            x509.IssuingDistributionPoint(
                full_name=None,
                relative_name=None,
                only_contains_user_certs=True,
                only_contains_ca_certs=False,
                only_some_reasons=None,
                indirect_crl=False,
                only_contains_attribute_certs=False,
            ),
            True,
            False,
        ),
        (x509.CRLNumber(7), False, True),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True, False),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False, True),
    ],
)
def test_lists_that_cover_a_part_only_are_not_read(fed, extension, critical, is_read):
    if is_read:
        assert len(crl(fed.issuer, fed.alice.gid, extensions=[(extension, critical)])) == 1
        return
    with pytest.raises(BadCRL, match="covers a part only"):
        crl(fed.issuer, extensions=[(extension, critical)])


@pytest.mark.parametrize(
    "noise", [b"", b"noise", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", b"\x30\x03\x02\x01\x01"]
)
def test_what_is_no_list_is_refused_as_such(noise):
    with pytest.raises(BadCRL, match="can't be read"):
        CRL.parse(noise)


def test_what_an_authority_issues_is_read_as_its_own(fed):
    document = fed.issuer.issue_crl({fed.alice.gid.leaf.serial_number: NOW - DAY}, number=7, lifetime=DAY, now=NOW)
    made = CRL.parse(document)
    assert (made.number, made.next_update, made.is_of(fed.root)) == (7, NOW + DAY, True)
    assert NOW - timedelta(hours=1) < made.last_update < NOW  # clocks differ
    assert "was revoked 2026-05-31T12:00:00Z" in refused(trust(fed, made), fed.alice.gid)
    assert trust(fed, made).check_gid(fed.bob.gid, now=NOW)
    assert CRL.parse(made.pem.encode()).pem.encode() == document


def test_a_list_is_older_by_its_number_and_then_by_its_date(fed):
    def made(number, now=NOW):
        return CRL.parse(fed.issuer.issue_crl({}, number=number, lifetime=DAY, now=now))

    unnumbered = crl(fed.issuer)
    assert unnumbered.number is None
    assert made(1, NOW + DAY).is_older_than(made(2))
    assert made(1, NOW - DAY).is_older_than(made(1))
    assert unnumbered.is_older_than(made(0, NOW - 9 * DAY))
    assert not made(2).is_older_than(made(1, NOW + DAY))
    assert not made(1).is_older_than(made(1))
