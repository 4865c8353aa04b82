"""Taking back certificates: ours at once, those of others when their list says so."""

from datetime import timedelta

import pytest
from conftest import NOW, Federation
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from stores import empty_store

from credentials import CRL, GID, URN, GIDRefused, Issuer, Root, Trust, self_signed_root
from credentials.keys import new_ec_key, ssh_public_key
from sfa_am.authority import Authority, Registry, Wanted
from sfa_am.authority.revocation import SIGN_AGAIN_AFTER, Revocations
from sfa_am.authority.revocation_lists import RETRY_AFTER, RevocationLists
from sfa_am.config import Registry as Settings
from sfa_am.errors import BadArgs, Forbidden, NotFound, Refused
from sfa_am.slices.gate import Gate
from sfa_am.store import events, registry, revocation, trust
from sfa_am.store.trust import RootRow

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Home:
    """An installation of "plc" with a member `ann`; "peer" is another authority, trusted here."""

    def __init__(self, folder):
        self.plc = Federation("plc", keys=new_ec_key)
        self.peer = Federation("peer", keys=new_ec_key)
        self.store = empty_store(folder)
        authority = Authority(self.plc.issuer)
        self.gate = Gate(self.store)
        self.registry = Registry(self.store, self.gate, authority, Settings())
        with self.store.transaction() as tx:
            registry.put_authority(tx, self.plc.root.urn, self.plc.root.pem, now=NOW)
        self.trusted(self.plc.root, "plc")
        self.trusted(self.peer.root, "peer")
        self.revocations = Revocations(self.store, authority)
        self.lists = RevocationLists(self.store, self.plc.root)
        self.key = new_ec_key()
        self.ann = URN("plc", "user", "ann")
        self.enter(self.ann, self.key)

    def enter(self, urn, key):
        public = ssh_public_key(key.public_key())
        self.registry.enter(Wanted(urn=urn, email="x@y", keys=(public,)), actor="test", now=NOW)

    def trusted(self, gid, *names):
        row = RootRow(
            fingerprint=gid.fingerprint, gid=gid.pem, names=names, legacy_sha1=False, added_at=NOW, added_by="test"
        )
        with self.store.transaction() as tx:
            trust.put(tx, row)

    def gid(self, urn=None):
        with self.store.reading() as tx:
            return GID.parse(self.registry.record(tx, urn or self.ann).gid)

    def is_known(self, gid, now=NOW):
        """Whether the gate takes it; it must have been revoked otherwise."""
        try:
            self.gate.recognise(gid, now=now)
        except Forbidden as refusal:
            if "was revoked" in str(refusal):
                return False
            raise
        return True

    def events(self):
        with self.store.reading() as tx:
            return [(event.what, event.detail) for event in events.latest(tx, most=10)]

    def take(self, number, *gids, by=None, now=NOW, ends_in=7 * DAY, source="list.pem"):
        serials = {gid.leaf.serial_number: now for gid in gids}
        signed = (by or self.peer).issuer.issue_crl(serials, number=number, lifetime=ends_in, now=now)
        return self.lists.take(signed, source=source, now=now)

    def held(self):
        with self.store.reading() as tx:
            return revocation.lists(tx)


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    yield made
    made.store.close()


def test_a_revoked_member_is_refused_within_a_second(home):
    gid = home.gid()
    assert home.is_known(gid)
    assert home.revocations.revoke(home.ann, actor="operator", now=NOW) == 1
    assert not home.is_known(gid, NOW + SECOND)
    assert ("Revoke", str(home.ann)) in home.events()


def test_all_certificates_of_a_name_are_taken_back_also_those_of_keys_it_had_before(home):
    first = home.gid()
    home.registry.set_key(home.ann, ssh_public_key(new_ec_key().public_key()), actor="operator", now=NOW)
    second = home.gid()
    assert [home.is_known(gid) for gid in (first, second)] == [True, True]
    assert home.revocations.revoke(home.ann, actor="operator", now=NOW) == 2
    assert [home.is_known(gid, NOW + SECOND) for gid in (first, second)] == [False, False]


def test_certificates_made_on_demand_are_taken_back_too(home):
    with home.store.transaction() as tx:
        made = GID.parse(home.registry.member_gid(tx, home.ann, new_ec_key().public_key(), email=None, now=NOW))
    assert home.revocations.revoke(home.ann, actor="operator", now=NOW) == 2
    assert not home.is_known(made, NOW + SECOND)


def test_somebody_who_was_removed_can_still_be_revoked(home):
    gid = home.gid()
    with home.store.transaction() as tx:
        from sfa_am.store import registry

        registry.remove_member(tx, home.ann)
    assert home.revocations.revoke(home.ann, actor="operator", now=NOW) == 1
    assert not home.is_known(gid, NOW + SECOND)


def test_a_certificate_that_nobody_noted_is_taken_back_because_its_record_has_it(home):
    with home.store.transaction() as tx:
        tx.exec_driver_sql("DELETE FROM issued_certificate")  # as in a store from before there were notes
    assert home.revocations.revoke(home.ann, actor="operator", now=NOW) == 1


def test_revoking_twice_changes_nothing(home):
    home.revocations.revoke(home.ann, actor="operator", now=NOW)
    (before,) = home.held()
    assert home.revocations.revoke(home.ann, actor="operator", now=NOW + HOUR) == 0
    assert home.held()[0].crl.pem == before.crl.pem


def test_others_are_not_touched(home):
    bob = URN("plc", "user", "bob")
    home.enter(bob, new_ec_key())
    home.revocations.revoke(home.ann, actor="operator", now=NOW)
    assert home.is_known(home.gid(bob), NOW + SECOND)


def test_names_without_certificates_and_names_of_no_user_are_refused(home):
    with pytest.raises(NotFound, match="sfa-am user list"):
        home.revocations.revoke(URN("plc", "user", "nobody"), actor="operator", now=NOW)
    with pytest.raises(BadArgs, match="not the name of a user"):
        home.revocations.revoke(URN("plc", "slice", "ann"), actor="operator", now=NOW)


def test_a_new_key_lets_a_revoked_member_in_again(home):
    old = home.gid()
    home.revocations.revoke(home.ann, actor="operator", now=NOW)
    home.registry.set_key(home.ann, ssh_public_key(new_ec_key().public_key()), actor="operator", now=NOW)
    assert home.is_known(home.gid(), NOW + SECOND)
    assert not home.is_known(old, NOW + SECOND)


def test_a_revoked_key_does_not_come_back_by_growing_old(home):
    home.revocations.revoke(home.ann, actor="operator", now=NOW)
    old = home.gid()
    late = NOW + 300 * DAY
    with pytest.raises(Forbidden, match=r"plc\+user\+ann was revoked; whoever decides over plc"):
        home.registry.self_credential(old, home.ann, now=late)
    with home.store.transaction() as tx:  # as when somebody changes the address and sends the keys along
        keys = home.registry.record(tx, home.ann).keys
        home.registry.change_member(tx, Wanted(urn=home.ann, email="new@y", keys=keys), now=late)
    assert home.gid().fingerprint == old.fingerprint


def test_our_list_is_for_everybody_and_counts_upwards(home):
    first = CRL.parse(home.revocations.current(NOW).encode())
    assert first.is_of(home.plc.root)
    assert len(first) == 0
    home.revocations.revoke(home.ann, actor="operator", now=NOW)
    second = CRL.parse(home.revocations.current(NOW).encode())
    assert second.number == first.number + 1
    checked = Trust([Root(home.plc.root, ("plc",))], crls=[second])
    with pytest.raises(GIDRefused, match="was revoked 2026-06-01T12:00:00Z"):
        checked.check_gid(home.gid(), now=NOW)


def test_our_list_is_signed_once_a_day_and_not_for_each_who_asks(home):
    pem = home.revocations.current(NOW)
    assert home.revocations.current(NOW + SIGN_AGAIN_AFTER - SECOND) == pem
    later = home.revocations.current(NOW + SIGN_AGAIN_AFTER)
    assert CRL.parse(later.encode()).next_update == NOW + SIGN_AGAIN_AFTER + 7 * DAY


def test_numbers_go_on_after_a_store_was_put_back_to_an_older_copy(home):
    for hour in range(3):
        with home.store.transaction() as tx:
            home.revocations._sign(tx, NOW + hour * HOUR)
    seen = CRL.parse(home.revocations.current(NOW + 2 * HOUR).encode())
    with home.store.transaction() as tx:
        revocation.remove_list(tx, home.plc.root.fingerprint)
    again = CRL.parse(home.revocations.current(NOW + 3 * HOUR).encode())
    assert seen.is_older_than(again)


def test_what_has_ended_is_on_the_list_a_little_longer_and_then_no_more(home):
    home.revocations.revoke(home.ann, actor="operator", now=NOW)
    end = home.gid().not_after
    assert len(CRL.parse(home.revocations.current(end + DAY).encode())) == 1
    assert len(CRL.parse(home.revocations.current(end + 3 * DAY).encode())) == 0


def test_whom_a_peer_revoked_is_refused_within_a_second(home):
    assert home.is_known(home.peer.alice.gid)
    home.take(1, home.peer.alice.gid)
    assert not home.is_known(home.peer.alice.gid, NOW + SECOND)
    assert home.is_known(home.peer.bob.gid, NOW + SECOND)


def test_a_change_is_seen_also_when_the_clock_was_put_back(home):
    home.take(1, home.peer.bob.gid)
    assert home.is_known(home.peer.alice.gid, NOW + SECOND)
    home.take(2, home.peer.alice.gid, now=NOW - HOUR)
    assert not home.is_known(home.peer.alice.gid, NOW + 2 * SECOND)


def test_a_newer_list_takes_the_place_of_the_older(home):
    home.take(1, home.peer.alice.gid)
    home.take(2, home.peer.bob.gid)
    (held,) = home.held()
    assert held.crl.number == 2
    assert home.is_known(home.peer.alice.gid, NOW + SECOND)


@pytest.mark.parametrize(
    ("number", "now"), [(4, NOW + DAY), (5, NOW - SECOND), (0, NOW + DAY)], ids=["number", "date", "zero"]
)
def test_an_older_list_is_refused_by_name(home, number, now):
    home.take(5, home.peer.alice.gid)
    with pytest.raises(Refused, match=r"list\.pem: list \d of .* is older than the one held here, list 5 of 2026"):
        home.take(number, now=now)
    assert not home.is_known(home.peer.alice.gid, NOW + SECOND)


def test_the_same_list_may_come_again(home):
    home.take(5, home.peer.alice.gid)
    assert home.take(5, home.peer.alice.gid).crl.number == 5


def test_a_list_without_a_number_does_not_replace_one_with(home):
    builder = x509.CertificateRevocationListBuilder().issuer_name(home.peer.root.leaf.subject)
    builder = builder.last_update(NOW + DAY).next_update(NOW + 2 * DAY)
    document = builder.sign(home.peer.root_key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert home.lists.take(document, source="x", now=NOW).crl.number is None
    home.take(0)
    with pytest.raises(Refused, match=r"a list without a number of .* is older"):
        home.lists.take(document, source="x", now=NOW)


def test_a_list_of_an_authority_that_is_not_trusted_is_refused_by_name(home):
    with pytest.raises(Refused, match=r"list\.pem: CN=elsewhere made it, which is no root trusted here"):
        home.take(1, by=Federation("elsewhere", keys=new_ec_key))


def test_a_list_with_a_signature_that_is_not_its_authoritys_is_refused_by_name(home):
    with pytest.raises(Refused, match=r"peer\+authority\+sa made it, and the key of that root did not sign it"):
        home.take(1, by=Federation("peer", keys=new_ec_key))


@pytest.mark.parametrize("noise", [b"", b"<html>", b"-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n"])
def test_what_is_no_list_is_refused(home, noise):
    with pytest.raises(Refused, match="x: a revocation list can't be read"):
        home.lists.take(noise, source="x", now=NOW)


def test_our_own_list_is_made_here_and_neither_given_nor_taken(home):
    with pytest.raises(Refused, match="our own list"):
        home.take(2**40, by=home.plc)
    home.revocations.current(NOW)
    with pytest.raises(Refused, match="what stands in it stays revoked"):
        home.lists.remove(home.plc.root.fingerprint)
    assert len(home.held()) == 1


def test_a_renewed_root_with_the_same_key_goes_on_with_the_list_of_the_old_one(home):
    home.take(5, home.peer.alice.gid)
    renewed = self_signed_root(home.peer.root.urn, home.peer.root_key, lifetime=9000 * DAY, now=NOW)
    with home.store.transaction() as tx:
        trust.remove(tx, home.peer.root.fingerprint)
    home.trusted(renewed, "peer")
    chain = GID([home.peer.alice.gid.leaf, renewed.leaf])
    assert not home.is_known(chain, NOW + SECOND)
    home.peer.issuer = Issuer(renewed, home.peer.root_key)
    with pytest.raises(Refused, match="is older"):
        home.take(4)
    home.take(6, home.peer.bob.gid)
    (held,) = home.held()
    assert held.issuer_fingerprint == renewed.fingerprint


def test_a_root_that_is_trusted_again_still_has_its_list(home):
    home.take(1, home.peer.alice.gid)
    with home.store.transaction() as tx:
        trust.remove(tx, home.peer.root.fingerprint)
    home.trusted(home.peer.root, "peer")
    assert not home.is_known(home.peer.alice.gid, NOW + SECOND)


def test_a_list_that_is_removed_revokes_no_more(home):
    home.take(1, home.peer.alice.gid)
    assert not home.is_known(home.peer.alice.gid)
    assert home.lists.remove(home.peer.root.fingerprint[:12].upper()).crl.number == 1
    assert home.is_known(home.peer.alice.gid, NOW + SECOND)
    with pytest.raises(NotFound, match="lists of 0 roots begin with"):
        home.lists.remove("00")


def test_a_late_list_counts_all_the_same(home):
    home.take(1, home.peer.alice.gid, ends_in=HOUR)
    assert not home.is_known(home.peer.alice.gid, NOW + 5 * DAY)


URL = "https://peer.example/crl.pem"


@pytest.mark.parametrize(
    ("source", "ends_in", "after", "is_due"),
    [
        (URL, 7 * DAY, HOUR - SECOND, False),
        (URL, 7 * DAY, HOUR, True),
        (URL, HOUR, HOUR / 2 - SECOND, False),
        (URL, HOUR, HOUR / 2, True),
        (URL, -DAY, HOUR - SECOND, False),  # late when it came
        (URL, -DAY, HOUR, True),
        ("/a/file", 7 * DAY, 365 * DAY, False),
    ],
)
def test_lists_with_a_url_are_fetched_again_in_time(home, source, ends_in, after, is_due):
    home.take(1, ends_in=DAY, source=source)
    with home.store.transaction() as tx:
        tx.exec_driver_sql(
            "UPDATE revocation_list SET next_update = fetched_at + ?", (int(ends_in.total_seconds() * 1_000_000),)
        )
    assert home.lists.due(every=HOUR, now=NOW + after) == ((source,) if is_due else ())


def test_after_a_failure_the_next_try_comes_soon_and_the_list_stays(home):
    home.take(1, home.peer.alice.gid, source=URL)
    home.lists.note_failure(URL, "gave no answer", now=NOW + HOUR)
    (held,) = home.held()
    assert (held.fault, held.tried_at, held.fetched_at) == ("gave no answer", NOW + HOUR, NOW)
    assert home.lists.due(every=HOUR, now=NOW + HOUR + RETRY_AFTER - SECOND) == ()
    assert home.lists.due(every=HOUR, now=NOW + HOUR + RETRY_AFTER) == (URL,)
    home.take(2, source=URL, now=NOW + 2 * HOUR)
    assert home.held()[0].fault == ""


def test_lists_of_roots_that_are_trusted_no_more_are_not_fetched(home):
    home.take(1, source=URL)
    with home.store.transaction() as tx:
        trust.remove(tx, home.peer.root.fingerprint)
    assert home.lists.due(every=HOUR, now=NOW + DAY) == ()
