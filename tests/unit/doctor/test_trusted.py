"""What `sfa-am doctor` says of trusted roots."""

from datetime import timedelta

from conftest import NOW, Federation

from credentials import CRL, URN, Issuer
from credentials.keys import new_ec_key
from sfa_am.authority import Authority
from sfa_am.doctor import trusted
from sfa_am.doctor.finding import Verdict
from sfa_am.store import Store, registry, revocation, trust
from sfa_am.store.registry import Member
from sfa_am.store.revocation import ListRow
from sfa_am.store.trust import RootRow

DAY = timedelta(days=1)


def installation(folder, *, legacy_sha1=False, plc=None):
    gid = (plc or Federation("plc", keys=new_ec_key)).root
    store = Store.in_folder(folder)
    store.migrate()
    row = RootRow(
        fingerprint=gid.fingerprint,
        gid=gid.leaf_pem,
        names=("plc", "peer"),
        legacy_sha1=legacy_sha1,
        added_at=NOW,
        added_by="operator",
    )
    with store.transaction() as tx:
        trust.put(tx, row)
    store.close()
    return gid


def test_nothing_is_said_where_nothing_was_founded(tmp_path):
    assert trusted.look(tmp_path, now=NOW) == []


def test_roots_that_may_use_sha1_are_named(tmp_path):
    gid = installation(tmp_path, legacy_sha1=True)
    (found,) = trusted.look(tmp_path, now=NOW)
    assert (found.subject, found.verdict) == ("trust in plc, peer", Verdict.LIMITED)
    assert gid.fingerprint[:16] in found.says
    assert "--legacy-sha1" in found.remedy


def test_roots_that_end_soon_are_named(tmp_path):
    gid = installation(tmp_path, legacy_sha1=False)
    assert [found.verdict for found in trusted.look(tmp_path, now=NOW)] == [Verdict.OK]
    (late,) = trusted.look(tmp_path, now=gid.not_after - timedelta(days=29))
    assert f"ends {gid.not_after:%Y-%m-%d}" in late.says


def test_a_store_that_can_not_be_read_is_told(tmp_path):
    (tmp_path / "store.sqlite").write_bytes(b"nonsense" * 1000)
    (found,) = trusted.look(tmp_path, now=NOW)
    assert found.verdict is Verdict.UNKNOWN


def with_a_list(
    folder, *, ends_in=7 * DAY, source="https://peer.example/crl.pem", fault="", tried_at=NOW, trusted=True
):
    plc = Federation("plc", keys=new_ec_key)
    if trusted:
        installation(folder, plc=plc)
    else:
        installation(folder)
    store = Store.in_folder(folder)
    crl = CRL.parse(plc.issuer.issue_crl({}, number=1, lifetime=ends_in, now=NOW))
    row = ListRow(
        issuer_fingerprint=plc.root.fingerprint, crl=crl, source=source, fetched_at=NOW, tried_at=tried_at, fault=fault
    )
    with store.transaction() as tx:
        revocation.put_list(tx, row)
    store.close()


def test_a_list_in_its_time_is_not_worth_a_word(tmp_path):
    with_a_list(tmp_path)
    assert [found.verdict for found in trusted.look(tmp_path, now=NOW + 7 * DAY - DAY)] == [Verdict.OK]


def test_a_list_that_is_late_is_named_with_what_follows(tmp_path):
    with_a_list(tmp_path)
    _, late = trusted.look(tmp_path, now=NOW + 7 * DAY)
    assert (late.subject, late.verdict) == ("revocations of plc, peer", Verdict.LIMITED)
    assert late.says == "a newer list was promised for 2026-06-08 12:00 UTC; who was revoked since is still accepted"
    assert "sfa-am trust crl add https://peer.example/crl.pem" in late.remedy


def test_a_list_that_could_not_be_fetched_is_named_with_the_reason(tmp_path):
    with_a_list(tmp_path, fault="peer.example can't be reached", tried_at=NOW + DAY)
    _, failed = trusted.look(tmp_path, now=NOW + DAY)
    assert "fetching it failed 2026-06-02 12:00 UTC: peer.example can't be reached" in failed.says
    assert "promised" not in failed.says


def test_our_own_list_and_those_of_nobody_we_trust_are_not_named_when_late(tmp_path):
    (tmp_path / "own").mkdir()
    with_a_list(tmp_path / "own", source="")
    assert len(trusted.look(tmp_path / "own", now=NOW + 30 * DAY)) == 1
    (tmp_path / "other").mkdir()
    with_a_list(tmp_path / "other", trusted=False)
    assert len(trusted.look(tmp_path / "other", now=NOW + 30 * DAY)) == 1


def test_a_server_certificate_that_ends_soon_is_named(tmp_path):
    plc = Federation("plc", keys=new_ec_key)
    installation(tmp_path, plc=plc)
    (tmp_path / "authority").mkdir()
    Authority(Issuer(plc.root, plc.root_key)).certify_server(tmp_path / "authority", ["localhost"], now=NOW)
    assert len(trusted.look(tmp_path, now=NOW + 699 * DAY)) == 1
    _, late = trusted.look(tmp_path, now=NOW + 701 * DAY)
    assert (late.subject, late.says) == ("certificate of the server", "it ends 2028-05-31")
    assert "sfa-am serve makes it anew" in late.remedy
    (tmp_path / "authority" / "am.gid").write_text("nonsense")
    assert trusted.look(tmp_path, now=NOW)[1].verdict is Verdict.UNKNOWN


def test_certificates_of_members_that_end_soon_are_named_and_those_that_ended_are_not(tmp_path):
    plc = Federation("plc", keys=new_ec_key)
    installation(tmp_path, plc=plc)
    store = Store.in_folder(tmp_path)
    with store.transaction() as tx:
        registry.put_authority(tx, plc.root.urn, plc.root.pem, now=NOW)
        for name, days in [("soon", 20), ("late", 40), ("gone", 1), *((f"user{number}", 20) for number in range(5))]:
            gid = plc.person(name, lifetime=days * DAY).gid
            member = Member(
                urn=URN("plc", "user", name), uuid=name, email="x@y", gid=gid.pem, keys=("k",), created_at=NOW
            )
            registry.add_member(tx, member, of=plc.root.urn)
    store.close()
    _, found = trusted.look(tmp_path, now=NOW + 2 * DAY)
    assert found.says == "end within 30 days: plc.soon, plc.user0, plc.user1, plc.user2, plc.user3 and 1 more"
