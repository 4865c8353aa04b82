"""The table of conformance.py, line by line, through the doors."""

from collections import Counter
from datetime import timedelta
from xmlrpc.client import Binary

import pytest
from conftest import NOW
from unit.am.conformance import ALLOCATED, ARGUMENTS, CASES, NOTHING, RSPEC_VERSION, SHUT_DOWN, UPDATING, V2, Case
from unit.am.small import KEY, REQUEST, everything, request

from backends.underneath import underneath

SLICE = "urn:publicid:IDN+plc+slice+s1"
NAMED = {
    "slice": SLICE,
    "SLICE": SLICE.replace("s1", "S1"),
    "other": "urn:publicid:IDN+plc+slice+s2",
    "alice": "urn:publicid:IDN+plc+user+alice",
}
UPDATE = request(
    '<node client_id="left"><sliver_type name="container"/><interface client_id="left:0"/></node>',
    '<node client_id="right"><sliver_type name="container"/><interface client_id="right:0"/></node>',
    '<node client_id="third"><sliver_type name="container"/></node>',
)


@pytest.fixture
def prepared(am):
    """A function that brings the slice to what a case takes for given."""

    def prepare(given):
        if given == NOTHING:
            return am
        am.allocate()
        if given == ALLOCATED:
            return am
        am.provision()
        am.work()
        if given == SHUT_DOWN:
            am.service.shutdown(am.who(), am.slice_urn, now=am.now)
        if given == UPDATING:
            am.service.update(am.who(), am.slice_urn, UPDATE, end_at=None, now=am.now)
        return am

    return prepare


class Sender:
    """Fills in what a case leaves open, and stands for what it names in words."""

    def __init__(self, am, stranger):
        self.am, self.plc, self.stranger = am, am.federation, stranger

    def call(self, case: Case):
        names = case.sent.get("call", ARGUMENTS[case.version, case.method])
        if case.sent.get("options") is ...:
            names = names[:-1]
        sent = [self.argument(name, case) for name in names]
        door = self.am.v2 if case.version == V2 else self.am.v3
        return door(self.plc.alice, case.method, *sent)

    def argument(self, name, case):
        value = case.sent.get(name, ...)
        match name:
            case "options":
                return self.options({} if value is ... else value, case.version)
            case "credentials":
                return self.credentials(["good"] if value is ... else value)
            case "urns":
                return self.urns(["slice"] if value is ... else value)
            case "slice_urn":
                return self.urn("slice" if value is ... else value)
            case "rspec":
                return (UPDATE if case.method == "Update" else REQUEST) if value is ... else value
            case "expiration_time":
                return "2026-06-03T12:00:00Z" if value is ... else value
            case "action":
                return "geni_restart" if value is ... else value
            case "users":
                return [{"urn": NAMED["alice"], "keys": [KEY]}] if value is ... else value

    def options(self, given, version):
        if not isinstance(given, dict):
            return given
        words = {name: NAMED.get(value, value) if isinstance(value, str) else value for name, value in given.items()}
        return {name: value for name, value in {**RSPEC_VERSION, **words}.items() if value is not ...}

    def credentials(self, given):
        return [self.credential(one) for one in given] if isinstance(given, list) else given

    def credential(self, word):
        plc, good = self.plc, self.plc.credential(ends_at=NOW + timedelta(days=30))
        struct = {"geni_type": "geni_sfa", "geni_version": "3", "geni_value": good}
        match word:
            case "good":
                return good
            case "struct":
                return struct
            case "binary":
                return {**struct, "geni_value": Binary(good.encode())}
            case "other":
                return plc.credential(target=plc.slice_gid("s2"))
            case "strange type":
                return {**struct, "geni_type": "geni_unknown"}
            case "no value":
                return {"geni_type": "geni_sfa", "geni_version": "3"}
            case "nonsense":
                return "<credential"
            case "expired":
                return plc.credential(ends_at=NOW - timedelta(seconds=1))
            case "somebody's":
                return plc.credential(plc.bob)
            case "untrusted":
                return self.stranger.credential(plc.alice, plc.slice_gid())
            case "altered":
                return good.replace("<name>*</name>", "<name>authority</name>")
            case "resolve only":
                return plc.credential(privileges={"resolve": False})
        return word

    def urns(self, given):
        return [self.urn(one) for one in given] if isinstance(given, list) else self.urn(given)

    def urn(self, word):
        if word == "sliver":
            return self.sliver(self.am.slice_urn, "left")
        if word == "link":
            return self.sliver(self.am.slice_urn, "cable")
        if word == "other sliver":
            from credentials import URN

            other = URN.parse(NAMED["other"])
            shown = self.plc.credential(target=self.plc.slice_gid("s2"))
            made = self.am.service.allocate(self.am.who(None, shown), other, REQUEST, end_at=None, now=self.am.now)
            return str(made.slivers[0].urn)
        return NAMED.get(word, word) if isinstance(word, str) else self.urns(word) if isinstance(word, list) else word

    def sliver(self, slice_urn, client_id):
        return next(str(s.urn) for s in self.am.status() if s.client_id == client_id)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(prepared, stranger, case):
    am = prepared(case.given)
    sender = Sender(am, stranger)
    before = everything(am)
    answer = sender.call(case)
    assert answer["code"]["geni_code"] == case.code, answer
    assert answer["geni_api"] == case.version
    assert answer["code"]["am_type"] == "sfa_am"
    assert answer["output"].isascii()
    assert bool(answer["output"]) == bool(case.code)
    assert underneath(answer["output"]) == []
    if case.code and "other sliver" not in str(case.sent.get("urns")):
        assert everything(am) == before
    assert case.look(am, answer)


def test_no_line_stands_twice():
    assert [name for name, number in Counter(case.id for case in CASES).items() if number > 1] == []


ABOUT_IMAGES = {"CreateImage", "ListImages", "ShareImage", "DeleteImage"}
"""Beside the API, not of it; see test_images_of_slivers.py."""


def test_every_method_of_the_doors_is_in_the_table(am):
    for version, door in ((2, am._v2), (3, am._v3)):
        assert set(door.listProcedures()) - ABOUT_IMAGES == {method for v, method in ARGUMENTS if v == version}
