"""The registry's door: what it answers, in the field's words, and what it makes of whatever comes in."""

from xmlrpc.client import Binary, Fault

import pytest
from conftest import NOW
from sqlalchemy import select

from credentials import GID
from credentials.keys import new_ec_key, ssh_public_key
from sfa_am.store import schema
from sfa_am.wire.sfa_registry import RegistryDoor
from sfa_am.wire.xmlrpc import Caller, marshal


class StraightDoor(RegistryDoor):
    """Without a reactor: calls run where they are made."""

    async def off_reactor(self, work):
        return work()


class Client:
    def __init__(self, realm):
        self.realm = realm
        self.door = StraightDoor(None, None, realm.registry, hostname="here.example.org", now=lambda: NOW)

    def call(self, method, *sent, who="pi"):
        caller = Caller(gid=self.realm.gids[who], request_id="r1")
        coroutine = self.door.lookupProcedure(method)(caller, *sent)
        try:
            coroutine.send(None)
        except StopIteration as end:
            marshal((end.value,))
            return end.value
        raise AssertionError("the door waits for something")

    def fault(self, method, *sent, who="pi"):
        with pytest.raises(Fault) as caught:
            self.call(method, *sent, who=who)
        assert caught.value.faultString.isascii()
        assert "Traceback" not in caught.value.faultString
        return caught.value

    def authority(self):
        return self.call("GetCredential", self.realm.own("pi"), "plc", "authority")

    def rows(self):
        tables = (schema.member, schema.member_key, schema.registered_slice, schema.slice_member, schema.authority)
        with self.realm.store.reading() as tx:
            return [tx.execute(select(table)).all() for table in (*tables, schema.authority_member, schema.node)]


@pytest.fixture
def client(realm):
    return Client(realm)


def key():
    return ssh_public_key(new_ec_key().public_key())


def test_get_version(client):
    about = client.call("GetVersion")
    assert about["interface"] == "registry"
    assert (about["hrn"], about["urn"], about["hostname"]) == (
        "plc",
        "urn:publicid:IDN+plc+authority+sa",
        "here.example.org",
    )
    assert client.call("GetVersion", {}) == about


def test_trusted_certificates_with_and_without_a_credential(client):
    roots = client.call("get_trusted_certs")
    assert [str(GID.parse(one).urn) for one in roots] == ["urn:publicid:IDN+plc+authority+sa"]
    assert client.call("get_trusted_certs", None) == client.call("get_trusted_certs", "nonsense") == roots


def test_records_come_and_go(client):
    shown = client.authority()
    client.call("Register", {"hrn": "plc.lab", "type": "authority", "name": "a lab", "reg-pis": ["plc.ann"]}, shown)
    client.call("Register", {"hrn": "plc.lab.eve", "type": "user", "email": "eve@x.org", "keys": key()}, [shown])
    record = {"hrn": "plc.lab.s1", "type": "slice", "researcher": ["plc.lab.eve", "plc.ann"], "description": "one"}
    gid = client.call("Register", record, shown)
    assert str(GID.parse(gid).urn) == "urn:publicid:IDN+plc:lab+slice+s1"
    client.call("Register", {"hrn": r"plc.lab.n1\.x\.org", "type": "node"}, shown)
    listed = {one["hrn"]: one for one in client.call("List", "plc.lab", shown)}
    assert listed["plc.lab.s1"]["reg-researchers"] == ["plc.ann", "plc.lab.eve"]
    assert listed[r"plc.lab.n1\.x\.org"]["hostname"] == "n1.x.org"
    everything = {one["hrn"] for one in client.call("List", "plc", shown, {"recursive": True, "format": "text"})}
    assert everything == {one["hrn"] for one in client.call("List", "plc.*", shown)} > {"plc.lab", "plc.lab.eve"}
    (lab,) = client.call("Resolve", "plc.lab", shown, {"details": True})
    assert (lab["reg-pis"], lab["name"], lab["authority"]) == (["plc.ann"], "a lab", "plc")
    assert lab["geni_certificate"] == lab["gid"]
    (ann,) = client.call("Resolve", ["urn:publicid:IDN+plc+user+ann"], shown)
    assert (ann["reg-pi-authorities"], ann["role"], ann["reg-slices"]) == (["plc.lab"], "user", ["plc.lab.s1"])
    assert client.call("Update", {"hrn": "plc.lab.s1", "type": "slice", "reg-researchers": []}, shown) == 1
    (found,) = client.call("Resolve", "plc.lab.s1", shown)
    assert found["reg-researchers"] == []
    assert client.fault("Remove", "plc.lab", shown, "authority").faultCode == 1
    for name, kind in (("plc.lab.s1", "slice"), ("plc.lab.eve", "user"), (r"plc.lab.n1\.x\.org", "node")):
        assert client.call("Remove", name, shown, kind) == 1
    assert client.call("Remove", "plc.lab", shown, "authority") == 1


def test_certificates_alone(client):
    shown = client.authority()
    assert [one["hrn"] for one in client.call("GetGids", ["plc.ann", "plc.bob"], shown)] == ["plc.ann", "plc.bob"]
    made = client.call("CreateGid", shown, "plc.ann")
    assert GID.parse(made).same_key(client.realm.gids["ann"])
    made = client.call("CreateGid", client.realm.own("ann"), "plc.ann", client.realm.gids["bob"].pem, who="ann")
    assert GID.parse(made).same_key(client.realm.gids["bob"])
    assert client.fault("CreateGid", client.realm.own("bob"), "plc.ann", who="bob").faultCode == 3


def test_words_that_clients_look_for(client):
    shown, own = client.authority(), client.realm.own("ann")
    fault = client.fault("Resolve", "plc.nobody", own, who="ann")
    assert (fault.faultCode, fault.faultString) == (
        2,
        ": Resolve: Record not found: plc.nobody is not registered here [request r1]",
    )
    record = {"hrn": "plc.ann", "type": "user", "email": "ann@x.org", "keys": [key()]}
    fault = client.fault("Register", record, shown)
    assert (fault.faultCode, fault.faultString[:30]) == (7, ": Register: Existing record: u")
    fault = client.fault("Register", {**record, "hrn": "plc.new"}, own, who="ann")
    assert (fault.faultCode, ": Register: Permission error: " in fault.faultString) == (3, True)


BAD = [
    ("GetSelfCredential",),
    ("GetSelfCredential", 1, "plc.pi"),
    ("GetSelfCredential", "nonsense", "plc.pi", "user"),
    ("GetCredential", "SHOWN"),
    ("GetCredential", "SHOWN", "p l c", "authority"),
    ("GetCredential", "SHOWN", "plc..x", "slice"),
    ("GetCredential", {"geni_type": "x", "geni_version": "1", "geni_value": ""}, "plc", "authority"),
    ("GetCredential", 7, "plc", "authority"),
    ("GetGids", "plc.ann"),
    ("GetGids", [7], "SHOWN"),
    ("CreateGid", "SHOWN"),
    ("CreateGid", "SHOWN", "plc.ann", "nonsense"),
    ("Resolve",),
    ("Resolve", {}, "SHOWN"),
    ("Resolve", [["plc"]], "SHOWN"),
    ("Resolve", ["plc.x"] * 201, "SHOWN"),
    ("Resolve", "urn:publicid:IDN+plc+", "SHOWN"),
    ("Resolve", "plc.ann", "SHOWN", []),
    ("Resolve", "plc.ann", "SHOWN", {"details": "perhaps"}),
    ("List", "SHOWN"),
    ("List", 7, "SHOWN"),
    ("List", "", "SHOWN"),
    ("Register", "SHOWN"),
    ("Register", [], "SHOWN"),
    ("Register", {}, "SHOWN"),
    ("Register", {"hrn": "plc.x"}, "SHOWN"),
    ("Register", {"hrn": "plc.x", "type": 7}, "SHOWN"),
    ("Register", {"hrn": 7, "type": "user"}, "SHOWN"),
    ("Register", {"hrn": "plc.x", "type": "user"}, "SHOWN"),
    ("Register", {"hrn": "plc.x", "type": "user", "email": "x@x", "keys": [7]}, "SHOWN"),
    ("Register", {"hrn": "plc.x", "type": "user", "email": ["x@x"], "keys": ["k"]}, "SHOWN"),
    ("Register", {"hrn": "plc.x", "type": "slice", "expires": "soon"}, "SHOWN"),
    ("Register", {"hrn": "plc.x", "type": "slice", "expires": "2020-01-01T00:00:00Z"}, "SHOWN"),
    ("Register", {"hrn": "plc.x", "type": "slice", "reg-researchers": ["plc.nobody"]}, "SHOWN"),
    ("Register", {"hrn": "plc.x", "type": "slice", "reg-researchers": {}}, "SHOWN"),
    ("Register", {"hrn": "plc.no such", "type": "slice"}, "SHOWN"),
    ("Register", {"hrn": "plc.none.x", "type": "slice"}, "SHOWN"),
    ("Register", {"hrn": "ple", "type": "authority"}, "SHOWN"),
    ("Register", {"hrn": "plc.x", "type": "node", "hostname": "a b"}, "SHOWN"),
    ("Register", {"urn": "urn:publicid:IDN+plc+user+x", "type": "slice"}, "SHOWN"),
    ("Register", {"hrn": "plc.x", "type": "slice", "description": "\x00"}, "SHOWN"),
    ("Update", {"hrn": "plc.ann", "type": "user", "role": "king"}, "SHOWN"),
    ("Update", {"hrn": "plc", "type": "authority", "reg-pis": []}, "SHOWN"),
    ("Remove", "plc.ann", "SHOWN"),
    ("Remove", "plc.ann", "SHOWN", 7),
]


@pytest.mark.parametrize("sent", BAD, ids=lambda sent: f"{sent[0]}-{str(sent[1:])[:50]}")
def test_bad_arguments_change_nothing(client, sent):
    shown = client.authority()
    before = client.rows()
    method, *arguments = sent
    fault = client.fault(method, *(shown if one == "SHOWN" else one for one in arguments))
    assert fault.faultCode == 1
    assert fault.faultString.startswith(f": {method}: ")
    assert client.rows() == before


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (("Register", {"hrn": "plc.x", "type": "tool"}, "SHOWN"), 13),
        (("Remove", "plc", "SHOWN", "authority"), 13),
        (("Update", {"hrn": "plc.nobody", "type": "user", "email": "x@x.org"}, "SHOWN"), 2),
        (("Remove", "plc.nobody", "SHOWN", "user"), 2),
        (("List", "ple", "SHOWN"), 2),
        (("Resolve", "plc.ann", ""), 3),
        (("Resolve", "plc.ann", "<credential"), 3),
        (("Resolve", "plc.ann", []), 3),
        (("List", "plc", []), 3),
        (("Register", {"hrn": "plc.x", "type": "slice"}, []), 3),
    ],
)
def test_other_refusals_change_nothing_either(client, sent, code):
    shown = client.authority()
    before = client.rows()
    method, *arguments = sent
    assert client.fault(method, *(shown if one == "SHOWN" else one for one in arguments)).faultCode == code
    assert client.rows() == before


def test_text_may_come_as_base64(client):
    shown = client.authority()
    (ann,) = client.call("Resolve", [Binary(b"plc.ann")], [Binary(shown.encode())])
    assert ann["hrn"] == "plc.ann"


def test_an_unknown_method_is_a_fault(client):
    from twisted.web.xmlrpc import NoSuchFunction

    for method in ("ResolveGENI", "get_key_from_incoming_ip", "CreateSliver", "system.listMethods"):
        with pytest.raises(NoSuchFunction):
            client.door.lookupProcedure(method)
