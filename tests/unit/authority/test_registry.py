"""The registry and slice authority: who may register, change and fetch what."""

from datetime import timedelta

import pytest
from conftest import NOW

from credentials import GID, URN, Root, Trust, Verifier
from credentials.keys import new_rsa_key, ssh_public_key
from sfa_am.authority import Wanted
from sfa_am.errors import AlreadyExists, BadArgs, Forbidden, NotFound, Unsupported
from sfa_am.store import events
from sfa_am.store import registry as rows


def test_a_slice_credential_goes_to_members_and_investigators_only(realm):
    realm.register("pi", Wanted(urn=realm.slice(), members=(realm.user("ann"),)))
    verifier = Verifier(Trust([Root(realm.plc.root, ("plc",))]))
    for name in ("ann", "pi"):
        auth = verifier.verify(
            realm.credential(name, realm.slice()),
            caller=realm.gids[name],
            target=realm.slice(),
            operation="createsliver",
            now=NOW,
        )
        assert auth.actor == realm.user(name)
    with pytest.raises(Forbidden, match="no member"):
        realm.credential("bob", realm.slice())
    with pytest.raises(Forbidden, match="no member"):
        realm.credential("ann", realm.slice("unknown"))


def test_a_credential_never_outlives_its_slice(realm):
    realm.register("pi", Wanted(urn=realm.slice(), members=(realm.user("ann"),), expires_at=NOW + timedelta(hours=1)))
    document = realm.credential("ann", realm.slice())
    assert "<expires>2026-06-01T13:00:00Z" in document
    with pytest.raises(Forbidden, match="renew it first"):
        realm.registry.credential(realm.gids["ann"], [realm.own("ann")], realm.slice(), now=NOW + timedelta(hours=1))


@pytest.mark.parametrize("target", ["authority", "bob", "pi"])
def test_a_user_gets_no_rights_on_others_or_on_the_authority(realm, target):
    urn = realm.registry.urn if target == "authority" else realm.user(target)
    with pytest.raises(Forbidden, match="has no rights"):
        realm.credential("ann", urn)


def test_only_a_credential_about_the_authority_registers(realm):
    wanted = Wanted(urn=realm.user("eve"), email="eve@x", keys=(realm.public("bob"),))
    with pytest.raises(Forbidden):
        realm.register("ann", wanted, realm.own("ann"))
    with pytest.raises(Forbidden, match="presented it"):
        realm.register("ann", wanted, realm.credential("pi", realm.registry.urn))
    realm.register("pi", wanted)


@pytest.mark.parametrize(
    ("changes", "refusal", "says"),
    [
        ({"urn": URN("plc", "user", "ann")}, AlreadyExists, "registered already"),
        ({"urn": URN("plc", "user", "ANN")}, AlreadyExists, "registered already"),
        ({"urn": URN("plc", "user", "an-n")}, BadArgs, "user name"),
        ({"urn": URN("other", "user", "eve")}, BadArgs, "not a name of this authority"),
        ({"urn": URN("plc", "tool", "n1")}, Unsupported, "type tool"),
        ({"email": "nonsense"}, BadArgs, "email"),
        ({"email": None}, BadArgs, "needs an email"),
        ({"email": "eve@x\x00"}, BadArgs, "email"),
        ({"email": "eve@b\u00fccher.example"}, BadArgs, "email"),
        ({"keys": ()}, BadArgs, "public key"),
        ({"keys": None}, BadArgs, "needs a public key"),
        ({"keys": ("ssh-ed25519 AAAA",)}, BadArgs, "first key goes into the certificate"),
        ({"role": "king"}, BadArgs, "known are user and pi"),
    ],
)
def test_records_that_make_no_sense_are_refused(realm, changes, refusal, says):
    good = {"urn": realm.user("eve"), "email": "eve@x", "keys": (realm.public("bob"),)}
    with pytest.raises(refusal, match=says):
        realm.register("pi", Wanted(**{**good, **changes}))


def test_members_who_are_not_registered_are_named_and_not_dropped(realm):
    with pytest.raises(BadArgs, match=r"urn:publicid:IDN\+plc\+user\+nobody"):
        realm.register("pi", Wanted(urn=realm.slice(), members=(realm.user("ann"), realm.user("nobody"))))
    with pytest.raises(NotFound):
        realm.record(realm.slice())


def test_a_new_first_key_brings_a_new_certificate_and_ends_the_old_one(realm):
    key = new_rsa_key()
    change = Wanted(urn=realm.user("ann"), keys=(ssh_public_key(key.public_key()),))
    realm.registry.update(realm.gids["ann"], [realm.own("ann")], change, now=NOW)
    renewed = GID.parse(realm.record(realm.user("ann")).gid)
    assert renewed.uuid == realm.gids["ann"].uuid
    assert not renewed.same_key(realm.gids["ann"])
    with pytest.raises(Forbidden, match="not registered here with the key"):
        realm.own("ann")


def test_nobody_gives_themselves_a_role(realm):
    change = Wanted(urn=realm.user("ann"), role="pi")
    with pytest.raises(Forbidden, match="may not change the role"):
        realm.registry.update(realm.gids["ann"], [realm.own("ann")], change, now=NOW)
    document = realm.credential("pi", realm.registry.urn)
    realm.registry.update(realm.gids["pi"], [document], change, now=NOW)
    assert realm.record(realm.user("ann")).pi_of == (realm.registry.urn,)


def test_a_member_changes_their_slice_and_nobody_elses(realm):
    for name, member in (("s1", "ann"), ("s2", "bob")):
        realm.register("pi", Wanted(urn=realm.slice(name), members=(realm.user(member),)))
    document = realm.credential("ann", realm.slice("s1"))
    change = Wanted(urn=realm.slice("s1"), members=(realm.user("ann"), realm.user("bob")))
    realm.registry.update(realm.gids["ann"], [document], change, now=NOW)
    assert realm.record(realm.slice("s1")).members == (realm.user("ann"), realm.user("bob"))
    with pytest.raises(Forbidden):
        realm.registry.update(realm.gids["ann"], [document], Wanted(urn=realm.slice("s2"), members=()), now=NOW)


def test_what_is_removed_is_gone_with_all_that_hung_on_it(realm):
    realm.register("pi", Wanted(urn=realm.slice(), members=(realm.user("ann"),)))
    document = realm.credential("pi", realm.registry.urn)
    realm.registry.remove(realm.gids["pi"], [document], realm.user("ann"), now=NOW)
    assert realm.record(realm.slice()).members == ()
    with pytest.raises(NotFound):
        realm.registry.remove(realm.gids["pi"], [document], realm.user("ann"), now=NOW)
    realm.registry.remove(realm.gids["pi"], [document], realm.slice(), now=NOW)
    with pytest.raises(NotFound):
        realm.record(realm.slice())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"role": "king"}, "known are user and pi"),
        ({"email": "nonsense"}, "not an email address"),
        ({"keys": ()}, "0 keys"),
        ({"keys": ("ssh-rsa AAAA",)}, "first key goes into the certificate"),
    ],
)
def test_changes_that_make_no_sense_are_refused_like_registrations(realm, changes, says):
    document = realm.credential("pi", realm.registry.urn)
    before = realm.record(realm.user("ann"))
    with pytest.raises(BadArgs, match=says):
        realm.registry.update(realm.gids["pi"], [document], Wanted(urn=realm.user("ann"), **changes), now=NOW)
    assert realm.record(realm.user("ann")) == before


@pytest.mark.parametrize(
    "key",
    [
        "nonsense",
        "ssh-ed25519 AAAA",
        'command="id" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFub3RoZXIgcHVibGljIGtleSBvZiBhIHRlc3Qh',
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFub3RoZXIgcHVibGljIGtleSBvZiBhIHRlc3Qh a\nssh-rsa AAAA",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFub3RoZXIgcHVibGljIGtleSBvZiBhIHRlc3Qh \x1b[2J",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_each_further_key_is_a_public_key_too(realm, key):
    with pytest.raises(BadArgs, match="key 2 is not a public key"):
        realm.register("pi", Wanted(urn=realm.user("eve"), email="eve@x", keys=(realm.public("bob"), key)))


def test_a_description_that_would_break_everybodys_list_is_refused(realm):
    with pytest.raises(BadArgs, match="control characters"):
        realm.register("pi", Wanted(urn=realm.slice(), description="a\x00b"))
    with pytest.raises(BadArgs, match="2001 characters"):
        realm.register("pi", Wanted(urn=realm.slice(), description="a" * 2001))
    realm.register("pi", Wanted(urn=realm.slice(), description="two lines\n\tand caf\u00e9"))
    assert realm.record(realm.slice()).description == "two lines\n\tand caf\u00e9"


def test_a_member_named_twice_is_one_member(realm):
    twice = (realm.user("ann"), realm.user("bob"), realm.user("ANN"))
    realm.register("pi", Wanted(urn=realm.slice(), members=twice))
    assert realm.record(realm.slice()).members == (realm.user("ann"), realm.user("bob"))


def test_a_persons_record_names_their_slices_and_no_others(realm):
    for name, member in (("s2", "ann"), ("s1", "ann"), ("s3", "bob")):
        realm.register("pi", Wanted(urn=realm.slice(name), members=(realm.user(member),)))
    assert realm.record(realm.user("ANN")).slices == (realm.slice("s1"), realm.slice("s2"))


def test_a_certificate_about_to_end_is_made_anew_for_whoever_holds_its_key(realm):
    old = realm.gids["ann"]
    late = old.not_after + timedelta(days=1)
    with pytest.raises(Forbidden):  # anybody else's key brings nothing
        realm.registry.self_credential(realm.gids["bob"], realm.user("ann"), now=late)
    document = realm.registry.self_credential(old, realm.user("ann"), now=late)
    renewed = GID.parse(realm.record(realm.user("ann")).gid)
    assert renewed.same_key(old)
    assert renewed.uuid == old.uuid
    assert renewed.not_after > late + timedelta(days=300)
    (record,) = realm.registry.resolve(old, [document], [realm.user("ann")], now=late)
    assert record.gid == renewed.pem


def test_a_certificate_with_time_left_stays_as_it_is(realm):
    realm.registry.self_credential(realm.gids["ann"], realm.user("ann"), now=NOW + timedelta(days=200))
    assert realm.record(realm.user("ann")).gid == realm.gids["ann"].pem


def test_a_slice_renewed_past_its_certificate_gets_a_new_one_of_the_same_identity(realm):
    realm.register("pi", Wanted(urn=realm.slice(), members=(realm.user("pi"),)))
    before = GID.parse(realm.record(realm.slice()).gid)
    later = NOW + timedelta(days=200)
    end = before.not_after + timedelta(days=30)
    own = realm.registry.self_credential(realm.gids["pi"], realm.user("pi"), now=later)
    document = realm.registry.credential(realm.gids["pi"], [own], realm.registry.urn, now=later)
    realm.registry.update(realm.gids["pi"], [document], Wanted(urn=realm.slice(), expires_at=end), now=later)
    record = realm.record(realm.slice())
    assert record.expires_at == end
    assert GID.parse(record.gid).not_after > end
    assert GID.parse(record.gid).uuid == before.uuid


@pytest.mark.parametrize(
    ("end", "says"), [(NOW, "past"), (NOW - timedelta(days=1), "past"), (NOW + timedelta(days=4000), "too far")]
)
def test_a_slice_ends_in_the_future_and_within_what_its_certificate_can_last(realm, end, says):
    with pytest.raises(BadArgs, match=says):
        realm.register("pi", Wanted(urn=realm.slice(), expires_at=end))
    realm.register("pi", Wanted(urn=realm.slice()))
    document = realm.credential("pi", realm.registry.urn)
    with pytest.raises(BadArgs, match=says):
        realm.registry.update(realm.gids["pi"], [document], Wanted(urn=realm.slice(), expires_at=end), now=NOW)
    assert realm.record(realm.slice()).expires_at == NOW + timedelta(days=14)


def test_every_change_is_written_down_with_who_made_it(realm):
    realm.register("pi", Wanted(urn=realm.slice()))
    document = realm.credential("pi", realm.registry.urn)
    realm.registry.update(realm.gids["pi"], [document], Wanted(urn=realm.slice(), description="x"), now=NOW)
    with pytest.raises(BadArgs):
        realm.registry.update(realm.gids["pi"], [document], Wanted(urn=realm.slice(), expires_at=NOW), now=NOW)
    realm.registry.remove(realm.gids["pi"], [document], realm.slice(), now=NOW)
    with realm.store.reading() as tx:
        written = [(event.what, event.actor) for event in events.latest(tx, most=3)]
    pi = str(realm.user("pi"))
    assert written == [("Remove", pi), ("Update", pi), ("Register", pi)]


def test_a_strangers_authority_credential_registers_nothing_here(realm, stranger):
    mallory = stranger.person("mallory")
    for target in (stranger.root, realm.plc.root):
        document = stranger.credential(mallory, target, {"authority": True, "sa": True})
        with pytest.raises(Forbidden):
            realm.registry.register(mallory.gid, [document], Wanted(urn=realm.slice()), now=NOW)


def test_roles_in_a_slice_outlast_an_update_of_its_members(realm):
    ann, bob, pi = (realm.user(name) for name in ("ann", "bob", "pi"))
    realm.register("pi", Wanted(urn=realm.slice(), members=(ann, bob)))

    def update(*members):
        document = realm.credential("pi", realm.registry.urn)
        realm.registry.update(realm.gids["pi"], [document], Wanted(urn=realm.slice(), members=members), now=NOW)
        with realm.store.reading() as tx:
            return rows.slice_roles(tx, realm.slice())

    assert update(bob, ann, pi) == {ann: "lead", bob: "member", pi: "member"}
    assert update(bob, pi) == {bob: "lead", pi: "member"}
    assert update() == {}
