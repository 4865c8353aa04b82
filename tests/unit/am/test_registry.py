"""The registry and slice authority: who may register, change and fetch what."""

from datetime import timedelta

import pytest
from conftest import NOW

from credentials import GID, URN, Issuer, Root, Trust, Verifier
from credentials.keys import new_rsa_key, ssh_public_key
from sfa_am.authority import Authority, Registry, Wanted
from sfa_am.config import Registry as Settings
from sfa_am.errors import AlreadyExists, BadArgs, Forbidden, NotFound, Unsupported
from sfa_am.slices.gate import Gate
from sfa_am.store import Store, registry, trust
from sfa_am.store.trust import RootRow


class Realm:
    """A registry with a principal investigator `pi`, users `ann` and `bob`, and their keys."""

    def __init__(self, folder, plc):
        self.plc = plc
        self.store = Store.in_folder(folder)
        self.store.migrate()
        with self.store.transaction() as tx:
            registry.put_authority(tx, plc.root.urn, plc.root.pem, now=NOW)
            root = RootRow(
                fingerprint=plc.root.fingerprint,
                gid=plc.root.pem,
                names=("plc",),
                legacy_sha1=False,
                added_at=NOW,
                added_by="test",
            )
            trust.put(tx, root)
        authority = Authority(Issuer(plc.root, plc.root_key))
        self.registry = Registry(self.store, Gate(self.store), authority, Settings())
        self.gids = {}
        self.keys = {"pi": plc.root_key, "ann": plc.alice.key, "bob": plc.bob.key}
        for name, role in (("pi", "pi"), ("ann", "user"), ("bob", "user")):
            wanted = Wanted(urn=self.user(name), email=f"{name}@x", keys=(self.public(name),), role=role)
            self.gids[name] = GID.parse(self.registry.enter(wanted, actor="test", now=NOW))

    def user(self, name):
        return URN("plc", "user", name)

    def slice(self, name="s1"):
        return URN("plc", "slice", name)

    def public(self, name):
        return ssh_public_key(self.keys[name].public_key())

    def own(self, name):
        return self.registry.self_credential(self.gids[name], self.user(name), now=NOW)

    def credential(self, name, urn):
        return self.registry.credential(self.gids[name], [self.own(name)], urn, now=NOW)

    def register(self, name, wanted, document=None):
        document = document or self.credential("pi", self.registry.urn)
        return self.registry.register(self.gids[name], [document], wanted, now=NOW)

    def record(self, urn):
        (found,) = self.registry.resolve(self.gids["pi"], [self.own("pi")], [urn], now=NOW)
        return found


@pytest.fixture
def realm(tmp_path, plc):
    made = Realm(tmp_path, plc)
    yield made
    made.store.close()


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
        ({"urn": URN("plc", "node", "n1")}, Unsupported, "type node"),
        ({"email": "nonsense"}, BadArgs, "email"),
        ({"keys": ()}, BadArgs, "public key"),
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
    assert realm.record(realm.user("ann")).role == "pi"


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
