"""A clearinghouse small enough to hold in hand: a project `demo`, a slice `s1` in it, and people with every role."""

from contextlib import contextmanager
from copy import copy
from datetime import timedelta

from conftest import NOW

from credentials import GID, URN, self_signed_user
from credentials.issue import Issuer
from credentials.keys import new_ec_key, ssh_public_key
from sfa_am.authority import Clearinghouse, Wanted
from sfa_am.authority.callers import Shown
from sfa_am.authority.memberships import Changes
from sfa_am.authority.roles import Role
from sfa_am.authority.services import own_services
from sfa_am.slices.gate import Gate

PROJECT = URN("plc", "project", "demo")
OTHER = URN("plc", "project", "other")
S1 = URN("plc:demo", "slice", "s1")


def house_of(store, registry, root):
    """The clearinghouse of an authority."""
    own = own_services(
        authority=root.urn,
        root=root.pem,
        base="https://ch:12345",
        am_url="https://am:12346/am/3",
        title="an aggregate",
        now=NOW,
    )
    return Clearinghouse.of(store, Gate(store), registry, own)


class Clearing:
    """People: `pi` leads the top authority, `ann` the project and the slice; `p_ROLE` and `s_ROLE` have a role in the
    project and in the slice; `sibling` leads the project `other`; `bob` has no role; `foreign` is another federation's,
    `selfmade` has a certificate of their own."""

    def __init__(self, realm, stranger):
        self.realm, self.store, self.registry = realm, realm.store, realm.registry
        self.house = house_of(realm.store, realm.registry, realm.plc.root)
        self.gids, self.keys = dict(realm.gids), dict(realm.keys)
        for name in ("sibling", *(f"{where}_{role}" for where in "ps" for role in Role if role is not Role.LEAD)):
            self.join(name)
        self.gids["foreign"] = stranger.alice.gid
        self.gids["selfmade"] = self_signed_user("ann", self.keys["ann"], lifetime=timedelta(days=9), now=NOW)
        house = self.house
        for name, lead in (("demo", "ann"), ("other", "sibling")):
            house.projects.create(self.shown("pi"), name, now=NOW)
            changes = Changes(add=((self.urn(lead), Role.LEAD),), remove=(self.urn("pi"),))
            house.projects.change_members(self.shown("pi"), URN("plc", "project", name), changes, now=NOW)
        house.slices.create(self.shown("ann"), "s1", project=PROJECT, now=NOW)
        house.projects.change_members(self.shown("ann"), PROJECT, self.everybody("p"), now=NOW)
        house.slices.change_members(self.shown("ann"), S1, self.everybody("s"), now=NOW)

    @contextmanager
    def on_a_copy(self, folder):
        """A clearinghouse over a copy of the rows, to try one thing on."""
        with self.realm.on_a_copy(folder) as realm:
            copied = copy(self)
            copied.store, copied.registry = realm.store, realm.registry
            copied.house = house_of(realm.store, realm.registry, realm.plc.root)
            yield copied

    def join(self, name):
        """A new member."""
        self.keys[name] = new_ec_key()
        public = ssh_public_key(self.keys[name].public_key())
        wanted = Wanted(urn=self.urn(name), email=f"{name}@x", keys=(public,))
        self.gids[name] = GID.parse(self.realm.registry.enter(wanted, actor="test", now=NOW))

    def everybody(self, where):
        """That whoever is named for a role gets it."""
        return Changes(add=tuple((self.urn(f"{where}_{role}"), role) for role in Role if role is not Role.LEAD))

    def urn(self, name):
        return URN("plc", "user", name)

    def shown(self, name, *documents, speaking_for=None):
        return Shown(certificate=self.gids[name], documents=documents, speaking_for=speaking_for, request_id="r1")

    def issuer(self, name):
        return Issuer(self.gids[name], self.keys[name])
