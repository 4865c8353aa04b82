"""Authorities below ours: who may do what, where; and the holes of older registries, held shut."""

import contextlib
from copy import copy
from datetime import timedelta

import pytest
from conftest import NOW, Federation

from credentials import GID, URN
from credentials.keys import new_ec_key, ssh_public_key
from sfa_am.authority import Wanted
from sfa_am.errors import AMError, BadArgs, Forbidden, NotFound

TOP = URN("plc", "authority", "sa")
LAB, SIDE = URN("plc:lab", "authority", "sa"), URN("plc:side", "authority", "sa")
DEEP = URN("plc:lab:deep", "authority", "sa")


class Tree:
    """plc with plc.lab (below it plc.lab.deep) and plc.side, each with a PI, a user and a slice."""

    def __init__(self, realm):
        self.realm, self.registry = realm, realm.registry
        self.keys = {"plc.pi": realm.keys["pi"], "plc.ann": realm.keys["ann"]}
        self.gids = {"plc.pi": realm.gids["pi"], "plc.ann": realm.gids["ann"]}
        for authority in (LAB, SIDE, DEEP):
            self.do("plc.pi", "register", Wanted(urn=authority, description=f"the {authority.hrn}"))
            name = authority.authority
            for person in ("boss", "user"):
                self.enter(URN(name, "user", person), by="plc.pi")
            pis = (URN(name, "user", "boss"),)
            self.do("plc.pi", "update", Wanted(urn=authority, pis=pis))
            self.do("plc.pi", "register", Wanted(urn=URN(name, "slice", "s1"), members=(URN(name, "user", "user"),)))
            self.do("plc.pi", "register", Wanted(urn=URN(name, "node", "n1.example.org")))

    def over(self, realm):
        """The same tree in a copy of its registry."""
        copied = copy(self)
        copied.realm, copied.registry = realm, realm.registry
        copied.keys, copied.gids = dict(self.keys), dict(self.gids)
        return copied

    def enter(self, urn, *, by):
        key = new_ec_key()
        wanted = Wanted(urn=urn, email="x@example.org", keys=(ssh_public_key(key.public_key()),))
        self.keys[urn.hrn] = key
        self.gids[urn.hrn] = GID.parse(self.do(by, "register", wanted))

    def own(self, who):
        return self.registry.self_credential(self.gids[who], self.gids[who].urn, now=NOW)

    def shown(self, who, urn):
        """All credentials that somebody gets that could help with a name."""
        documents = [self.own(who)]
        for target in (urn, TOP, LAB, SIDE, DEEP):
            with contextlib.suppress(Forbidden):
                documents.append(self.registry.credential(self.gids[who], [documents[0]], target, now=NOW))
        return documents

    def do(self, who, method, wanted):
        if who.startswith("plc"):
            documents = self.shown(who, wanted.urn)
        gid = self.gids[who]
        about = wanted.urn if method == "remove" else wanted
        return getattr(self.registry, method)(gid, documents, about, now=NOW)

    def may(self, who, method, wanted):
        try:
            self.do(who, method, wanted)
        except Forbidden:
            return False
        return True


@pytest.fixture(scope="module")
def built_tree(built_realm, tmp_path_factory):
    """One that tests only copy."""
    with built_realm.on_a_copy(tmp_path_factory.mktemp("tree")) as realm:
        yield Tree(realm)


@pytest.fixture
def tree(tmp_path, built_tree):
    with built_tree.realm.on_a_copy(tmp_path) as realm:
        yield built_tree.over(realm)


def somebody(authority, name="new"):
    key = ssh_public_key(new_ec_key().public_key())
    return Wanted(urn=URN(authority.authority, "user", name), email="n@example.org", keys=(key,))


PEOPLE = ("plc.pi", "plc.lab.boss", "plc.lab.user", "plc.side.boss", "plc.lab.deep.boss", "plc.ann")

MATRIX = {
    # what -> who may
    ("register", "a user in lab"): {"plc.pi", "plc.lab.boss"},
    ("register", "a slice in lab"): {"plc.pi", "plc.lab.boss"},
    ("register", "a node in lab"): {"plc.pi", "plc.lab.boss"},
    ("register", "an authority in lab"): {"plc.pi", "plc.lab.boss"},
    ("register", "an authority in plc"): {"plc.pi"},
    ("register", "a user in deep"): {"plc.pi", "plc.lab.boss", "plc.lab.deep.boss"},
    ("register", "a user in plc"): {"plc.pi"},
    ("update", "the user of lab"): {"plc.pi", "plc.lab.boss", "plc.lab.user"},
    ("update", "the slice of lab"): {"plc.pi", "plc.lab.boss", "plc.lab.user"},
    ("update", "the node of lab"): {"plc.pi", "plc.lab.boss"},
    ("update", "lab itself"): {"plc.pi", "plc.lab.boss"},
    ("update", "the PIs of lab"): {"plc.pi", "plc.lab.boss"},
    ("update", "the role of the user of lab"): {"plc.pi", "plc.lab.boss"},
    ("remove", "the user of lab"): {"plc.pi", "plc.lab.boss"},
    ("remove", "the slice of lab"): {"plc.pi", "plc.lab.boss"},
    ("remove", "the node of lab"): {"plc.pi", "plc.lab.boss"},
}


def wanted_for(what):
    match what.split():
        case ["a", "user", "in", where]:
            return somebody({"lab": LAB, "deep": DEEP, "plc": TOP}[where])
        case ["a", "slice", "in", "lab"]:
            return Wanted(urn=URN("plc:lab", "slice", "new"))
        case ["a", "node", "in", "lab"]:
            return Wanted(urn=URN("plc:lab", "node", "new.example.org"))
        case ["an", "authority", "in", where]:
            return Wanted(urn=URN("plc:lab:new" if where == "lab" else "plc:new", "authority", "sa"))
        case ["the", "user", *_]:
            return Wanted(urn=URN("plc:lab", "user", "user"), email="other@example.org")
        case ["the", "slice", *_]:
            return Wanted(urn=URN("plc:lab", "slice", "s1"), description="other")
        case ["the", "node", *_]:
            return Wanted(urn=URN("plc:lab", "node", "n1.example.org"), hostname="other.example.org")
        case ["lab", "itself"]:
            return Wanted(urn=LAB, description="other")
        case ["the", "PIs", *_]:
            return Wanted(urn=LAB, pis=(URN("plc:lab", "user", "user"),))
        case ["the", "role", *_]:
            return Wanted(urn=URN("plc:lab", "user", "user"), role="pi")


@pytest.mark.parametrize(("method", "what"), MATRIX, ids=lambda word: str(word).replace(" ", "_"))
def test_who_may(tree, method, what):
    may = MATRIX[method, what]
    for who in sorted(set(PEOPLE) - may):
        assert not tree.may(who, method, wanted_for(what)), who
    assert tree.may(sorted(may)[-1], method, wanted_for(what))


@pytest.mark.parametrize("who", sorted(MATRIX["update", "lab itself"]))
def test_each_of_those_who_may(tree, who):
    for method, what in MATRIX:
        if who in MATRIX[method, what] and method != "remove" and "PIs" not in what:
            assert tree.may(who, method, wanted_for(what)), what


@pytest.mark.parametrize(
    ("target", "entitled"),
    [
        (LAB, {"plc.pi", "plc.lab.boss"}),
        (TOP, {"plc.pi"}),
        (URN("plc:lab", "slice", "s1"), {"plc.pi", "plc.lab.boss", "plc.lab.user"}),
        (URN("plc:lab", "user", "user"), {"plc.pi", "plc.lab.boss", "plc.lab.user"}),
        (URN("plc:lab", "node", "n1.example.org"), {"plc.pi", "plc.lab.boss"}),
        (URN("plc:lab", "slice", "none"), set()),
        (URN("plc:lab", "user", "none"), set()),
        (URN("elsewhere", "authority", "sa"), set()),
    ],
    ids=lambda value: str(value) if isinstance(value, URN) else ",".join(sorted(value)) or "nobody",
)
def test_who_gets_a_credential(tree, target, entitled):
    got = set()
    for who in PEOPLE:
        try:
            tree.registry.credential(tree.gids[who], [tree.own(who)], target, now=NOW)
        except Forbidden:
            continue
        got.add(who)
    assert got == entitled


def test_an_authority_s_credential_registers_below_it_and_nowhere_else(tree):
    boss = tree.gids["plc.lab.boss"]
    document = tree.registry.credential(boss, [tree.own("plc.lab.boss")], LAB, now=NOW)
    tree.registry.register(boss, [document], somebody(DEEP), now=NOW)
    for where in (SIDE, TOP):
        with pytest.raises(Forbidden):
            tree.registry.register(boss, [document], somebody(where), now=NOW)
    with pytest.raises(BadArgs, match=r"plc\.none is not kept here"):
        tree.do("plc.pi", "register", somebody(URN("plc:none", "authority", "sa")))
    with pytest.raises(BadArgs, match="not a name of this authority"):
        tree.registry.register(boss, [document], somebody(URN("elsewhere", "authority", "sa")), now=NOW)


def test_a_slice_of_a_lower_authority_is_believed(tree):
    """The credential that its user gets is verified by the roots trusted here."""
    urn = URN("plc:lab", "slice", "s1")
    user = tree.gids["plc.lab.user"]
    document = tree.registry.credential(user, [tree.own("plc.lab.user")], urn, now=NOW)
    auth = tree.registry._gate.authorise(
        caller=user, documents=[document], operation="createsliver", target=urn, now=NOW
    )
    assert (auth.actor, auth.target) == (user.urn, urn)


def test_what_is_listed(tree):
    def names(authority, recursive=False):
        records = tree.registry.list_records(
            tree.gids["plc.ann"], [tree.own("plc.ann")], authority, recursive=recursive, now=NOW
        )
        return {f"{one.urn.type} {one.urn.hrn}" for one in records}

    assert names(LAB) == {
        "authority plc.lab.deep",
        "user plc.lab.boss",
        "user plc.lab.user",
        "slice plc.lab.s1",
        r"node plc.lab.n1\.example\.org",
    }
    assert names(TOP) == {"authority plc.lab", "authority plc.side", "user plc.pi", "user plc.ann", "user plc.bob"}
    assert names(TOP, recursive=True) == names(LAB) | names(SIDE) | names(DEEP) | names(TOP)
    with pytest.raises(NotFound, match=r"plc\.none is not kept here"):
        names(URN("plc:none", "authority", "sa"))


def test_an_authority_with_something_below_it_stays(tree):
    with pytest.raises(BadArgs, match=r"plc:lab\+authority\+sa can't be deleted: 5 slices"):
        tree.do("plc.pi", "remove", Wanted(urn=LAB))
    for urn in (
        URN("plc:lab:deep", "slice", "s1"),
        URN("plc:lab:deep", "user", "boss"),
        URN("plc:lab:deep", "user", "user"),
        URN("plc:lab:deep", "node", "n1.example.org"),
    ):
        tree.do("plc.pi", "remove", Wanted(urn=urn))
    tree.do("plc.lab.boss", "remove", Wanted(urn=DEEP))
    with pytest.raises(AMError):
        tree.do("plc.pi", "remove", Wanted(urn=TOP))


def test_nobody_is_left_in_charge(tree):
    with pytest.raises(BadArgs, match="nobody left who decides"):
        tree.do("plc.pi", "update", Wanted(urn=TOP, pis=()))
    with pytest.raises(BadArgs, match="nobody left who decides"):
        tree.do("plc.pi", "update", Wanted(urn=URN("plc", "user", "pi"), role="user"))
    tree.do("plc.pi", "update", Wanted(urn=LAB, pis=()))  # the one above decides still
    assert not tree.may("plc.lab.boss", "register", somebody(LAB))


def test_a_pi_no_more(tree):
    tree.do("plc.pi", "update", Wanted(urn=LAB, pis=(URN("plc:lab", "user", "user"),)))
    with pytest.raises(Forbidden):
        tree.registry.credential(tree.gids["plc.lab.boss"], [tree.own("plc.lab.boss")], LAB, now=NOW)
    assert tree.may("plc.lab.user", "register", somebody(LAB))


def test_what_was_read_may_be_sent_back(tree):
    """Clients change one field and send the whole record."""
    change = Wanted(urn=URN("plc:lab", "user", "user"), email="new@example.org", role="user")
    assert tree.may("plc.lab.user", "update", change)


def test_unknown_people_are_named(tree):
    with pytest.raises(BadArgs, match=r"not registered here: urn:publicid:IDN\+plc\+user\+nobody"):
        tree.do("plc.pi", "update", Wanted(urn=LAB, pis=(URN("plc", "user", "nobody"),)))


def test_roles_of_those_who_stay_are_kept(tree):
    from sfa_am.authority import roles

    urn = URN("plc:lab", "slice", "s1")
    user, boss = URN("plc:lab", "user", "user"), URN("plc:lab", "user", "boss")
    tree.do("plc.lab.boss", "update", Wanted(urn=urn, members=(user, boss)))
    with tree.realm.store.reading() as tx:
        assert {one.name: str(role) for one, role in roles.of_slice(tx, urn).items()} == {
            "user": "lead",
            "boss": "member",
        }


# Certificates


def test_serial_numbers_are_unique(tree):
    serials = [gid.leaf.serial_number for gid in tree.gids.values()]
    serials += [GID.parse(tree.registry._found(tx, LAB).gid).leaf.serial_number for tx in _reading(tree)]
    assert len(set(serials)) == len(serials)
    assert min(serials) > 2**32


def _reading(tree):
    with tree.realm.store.reading() as tx:
        yield tx


def test_a_certificate_for_another_key(tree):
    key = new_ec_key()
    user = tree.gids["plc.lab.user"]
    shown = tree.registry._authority.issuer.issue_gid(
        URN("plc", "user", "tmp"), key.public_key(), lifetime=timedelta(days=1), now=NOW
    )
    before = tree.registry.certify(user, [tree.own("plc.lab.user")], user.urn, None, now=NOW)
    assert GID.parse(before).same_key(user)
    made = GID.parse(tree.registry.certify(user, [tree.own("plc.lab.user")], user.urn, shown, now=NOW))
    assert made.same_key(shown)
    assert made.urn == user.urn
    with pytest.raises(Forbidden):
        tree.registry.certify(user, [tree.own("plc.lab.user")], URN("plc", "user", "ann"), shown, now=NOW)
    with pytest.raises(Forbidden):  # the record is as it was: the new certificate fetches nothing
        tree.registry.self_credential(made, user.urn, now=NOW)


# Strangers


def test_a_foreign_authority_has_no_say_here(tree):
    """Trusted for its own names, it acts on those: nothing here is below it."""
    from sfa_am.store import trust
    from sfa_am.store.trust import RootRow

    other = Federation("elsewhere", keys=new_ec_key)
    with tree.realm.store.transaction() as tx:
        root = RootRow(
            fingerprint=other.root.fingerprint,
            gid=other.root.pem,
            names=("elsewhere",),
            legacy_sha1=False,
            added_at=NOW + timedelta(seconds=1),
            added_by="test",
        )
        trust.put(tx, root)
    later = NOW + timedelta(minutes=1)
    everything = {"authority": True, "sa": True, "refresh": True, "resolve": True}
    boss = other.person("boss")
    theirs = [other.credential(boss, other.root, everything), other.credential(boss, boss.gid, everything)]
    tree.registry.resolve(boss.gid, theirs, [LAB], now=later)  # what is public may be looked at
    for work in (
        lambda: tree.registry.register(boss.gid, theirs, somebody(LAB), now=later),
        lambda: tree.registry.update(boss.gid, theirs, Wanted(urn=LAB, description="ours"), now=later),
        lambda: tree.registry.remove(boss.gid, theirs, URN("plc:lab", "slice", "s1"), now=later),
        lambda: tree.registry.credential(boss.gid, theirs, LAB, now=later),
        lambda: tree.registry.certify(boss.gid, theirs, LAB, boss.gid, now=later),
    ):
        with pytest.raises(Forbidden):
            work()
    ours = tree.gids["plc.lab.user"]
    forged = [other.credential(boss, GID.parse(tree.realm.plc.root.pem), everything)]
    with pytest.raises(Forbidden):
        tree.registry.register(ours, forged, somebody(LAB), now=later)
