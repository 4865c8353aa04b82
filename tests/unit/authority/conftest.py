"""A registry small enough to hold in hand."""

from contextlib import contextmanager
from copy import copy

import pytest
from clearing import Clearing
from conftest import NOW
from stores import copied_store, empty_store

from credentials import GID, URN, Issuer
from credentials.keys import ssh_public_key
from sfa_am.authority import Authority, Registry, Wanted
from sfa_am.config import Registry as Settings
from sfa_am.slices.gate import Gate
from sfa_am.store import registry, trust
from sfa_am.store.trust import RootRow


class Realm:
    """A registry with a principal investigator `pi`, users `ann` and `bob`, and their keys."""

    def __init__(self, folder, plc):
        self.plc = plc
        self._open(folder, empty_store(folder))
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
        self.gids = {}
        self.keys = {"pi": plc.root_key, "ann": plc.alice.key, "bob": plc.bob.key}
        for name, role in (("pi", "pi"), ("ann", "user"), ("bob", "user")):
            wanted = Wanted(urn=self.user(name), email=f"{name}@x", keys=(self.public(name),), role=role)
            self.gids[name] = GID.parse(self.registry.enter(wanted, actor="test", now=NOW))

    def _open(self, folder, store):
        self.folder, self.store = folder, store
        authority = Authority(Issuer(self.plc.root, self.plc.root_key))
        self.registry = Registry(store, Gate(store), authority, Settings())

    @contextmanager
    def on_a_copy(self, folder):
        """The same registry over a copy of the rows, to try one thing on."""
        copied = copy(self)
        copied.keys, copied.gids = dict(self.keys), dict(self.gids)
        copied._open(folder, copied_store(self.folder, folder))
        try:
            yield copied
        finally:
            copied.store.close()

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


@pytest.fixture(scope="session")
def built_realm(tmp_path_factory, plc):
    """A registry that tests only copy."""
    made = Realm(tmp_path_factory.mktemp("registry"), plc)
    yield made
    made.store.close()


@pytest.fixture
def realm(tmp_path, built_realm):
    with built_realm.on_a_copy(tmp_path) as copied:
        yield copied


@pytest.fixture(scope="session")
def built(tmp_path_factory, plc, stranger):
    """A clearinghouse that tests only copy: to make it takes a second."""
    realm = Realm(tmp_path_factory.mktemp("clearinghouse"), plc)
    yield Clearing(realm, stranger)
    realm.store.close()


@pytest.fixture
def clearing(tmp_path, built):
    with built.on_a_copy(tmp_path) as copied:
        yield copied
