"""The clearinghouse's doors, called as omni, geni-lib and the API's own conformance tests call them."""

from datetime import timedelta
from xmlrpc.client import Fault, dumps

import pytest
from clearing import OTHER, PROJECT, S1
from conftest import NOW
from hypothesis import given
from hypothesis import strategies as st

from credentials import GID, URN
from credentials.credential import read
from credentials.keys import ssh_public_key
from sfa_am.store import events, services
from sfa_am.store.services import ServiceRow
from sfa_am.wire.chapi import doors
from sfa_am.wire.chapi.answers import FederationDoor
from sfa_am.wire.xmlrpc import Caller

SLIVER = "urn:publicid:IDN+am.example+sliver+vm77"
DAY = timedelta(days=1)


class Calls:
    """The three doors without a reactor, and somebody who calls them."""

    def __init__(self, clearing):
        self.clearing, self.now = clearing, NOW
        root = clearing.realm.plc.root
        self.doors = doors(
            None, None, clearing.house, authority=root.urn, base="https://ch:12345", now=lambda: self.now
        )

    def __call__(self, door, method, *sent, who="ann"):
        """The value; fails with the output when the code isn't 0."""
        answer = self.answer(door, method, *sent, who=who)
        assert answer["code"] == 0, answer["output"]
        assert answer["output"] == ""
        return answer["value"]

    def refused(self, door, method, *sent, who="ann"):
        """(code, output)"""
        answer = self.answer(door, method, *sent, who=who)
        assert answer["value"] is None
        assert answer["output"].isascii()
        return answer["code"], answer["output"]

    def answer(self, door, method, *sent, who="ann"):
        caller = Caller(gid=self.clearing.gids[who], request_id="r1")
        coroutine = getattr(self.doors[door], f"xmlrpc_{method}")(caller, *sent)
        try:
            coroutine.send(None)
        except StopIteration as end:
            dumps((end.value,), allow_none=True)  # it must fit on the wire
            return end.value
        raise AssertionError("the door waits for something")

    def slice_credential(self, who):
        [struct] = self(SA, "get_credentials", str(S1), [], {}, who=who)
        assert (struct["geni_type"], struct["geni_version"]) == ("geni_sfa", "3")
        return struct["geni_value"]


SR, MA, SA = b"sr", b"ma", b"sa"


@pytest.fixture
def call(clearing, monkeypatch):
    async def at_once(self, work):
        return work()

    monkeypatch.setattr(FederationDoor, "off_reactor", at_once)
    return Calls(clearing)


def abac(document):
    return {"geni_type": "geni_abac", "geni_version": "1", "geni_value": document}


# The service registry: public


@pytest.mark.parametrize("who", ["foreign", "selfmade", "bob"])
def test_services_roots_and_versions_are_told_to_everybody(call, who):
    assert call(SR, "get_version", who=who)["API_VERSIONS"] == {"2": "https://ch:12345/sr"}
    assert call(MA, "get_version", who=who)["SERVICES"] == ["MEMBER", "KEY"]
    assert call(SA, "get_version", who=who)["ROLES"] == ["LEAD", "ADMIN", "MEMBER", "AUDITOR", "OPERATOR"]
    assert GID.parse(call(SR, "get_trust_roots", who=who)[0]).urn == URN("plc", "authority", "sa")
    found = call(SR, "lookup", "SERVICE", {}, {}, who=who)
    assert {one["SERVICE_TYPE"] for one in found} == {"AGGREGATE_MANAGER", "SLICE_AUTHORITY", "MEMBER_AUTHORITY"}
    assert all(isinstance(value, str) for one in found for value in one.values())


def test_fields_of_our_own_are_told_with_what_may_be_done_with_them(call):
    fields = call(MA, "get_version")["FIELDS"]
    assert fields["_GENI_MEMBER_SSL_CERTIFICATE"]["OBJECT"] == "MEMBER"
    assert fields["_GENI_MEMBER_SSL_CERTIFICATE"]["PROTECT"] == "PUBLIC"


@pytest.mark.parametrize(
    ("method", "kind", "url"),
    [
        ("lookup_aggregates", "AGGREGATE_MANAGER", "https://am:12346/am/3"),
        ("lookup_slice_authorities", "SLICE_AUTHORITY", "https://ch:12345/sa"),
        ("lookup_member_authorities", "MEMBER_AUTHORITY", "https://ch:12345/ma"),
    ],
)
def test_omni_finds_the_services_in_both_versions(call, method, kind, url):
    asked = {"filter": ["SERVICE_URN", "SERVICE_URL"]}
    old = call(SR, method, asked)
    new = call(SR, "lookup", "SERVICE", [], {**asked, "match": {"SERVICE_TYPE": kind}})
    assert old == new
    assert [one["SERVICE_URL"] for one in old] == [url]
    assert old[0].keys() == {"SERVICE_URN", "SERVICE_URL"}


def test_services_that_an_operator_entered_are_found_and_the_nearest_answers(call, clearing):
    def enter(name, suffix, kind, url):
        row = ServiceRow(urn=URN(name, "authority", suffix), url=url, type=kind, name=name, created_at=NOW)
        clearing.house.services.enter(row)

    enter("am.example", "am", "AGGREGATE_MANAGER", "https://am.example/xmlrpc")
    enter("plc:site", "sa", "SLICE_AUTHORITY", "https://site/sa")
    asked = {
        SLIVER: "https://am.example/xmlrpc",
        str(S1): "https://ch:12345/sa",
        str(PROJECT): "https://ch:12345/sa",
        "urn:publicid:IDN+plc:site+slice+s9": "https://site/sa",
        "urn:publicid:IDN+plc+user+tom": "https://ch:12345/ma",
    }
    unknown = "urn:publicid:IDN+nowhere+user+tom"
    assert call(SR, "lookup_authorities_for_urns", [*asked, unknown]) == asked
    assert call(SR, "lookup_authorities_for_urns", {"urns": [SLIVER]}) == {SLIVER: asked[SLIVER]}
    assert len(call(SR, "get_services")) == 5
    assert clearing.house.services.forget(URN("plc:site", "authority", "sa"), "https://site/sa")
    with clearing.store.reading() as tx:
        assert [one.url for one in services.everything(tx)] == ["https://am.example/xmlrpc"]


# Who calls


@pytest.mark.parametrize("who", ["foreign", "selfmade"])
def test_whoever_has_no_certificate_of_ours_is_not_known(call, who):
    for door, method, sent in (
        (SA, "lookup", ("SLICE", [], {})),
        (SA, "create", ("SLICE", [], {"fields": {"SLICE_NAME": "x"}})),
        (MA, "lookup", ("MEMBER", [], {})),
        (MA, "lookup_public_member_info", ([], {})),
        (MA, "get_credentials", ("urn:publicid:IDN+plc+user+ann", [], {})),
    ):
        code, output = call.refused(door, method, *sent, who=who)
        assert code == 1, method
        assert output.startswith("AUTHENTICATION_ERROR (")


def test_a_certificate_whose_key_was_replaced_is_not_known_any_more(call, clearing):
    other = ssh_public_key(clearing.keys["sibling"].public_key())
    clearing.registry.set_key(clearing.urn("bob"), other, actor="test", now=NOW)
    assert call.refused(SA, "lookup", "SLICE", [], {}, who="bob")[0] == 1


def test_an_expired_certificate_is_not_known(call):
    call.now = NOW + 400 * DAY
    assert call.refused(SA, "lookup", "SLICE", [], {})[0] == 1


@pytest.mark.parametrize("option", ["speaking_for", "geni_speaking_for"])
def test_a_tool_that_speaks_for_a_user_does_what_they_may_and_both_are_written_down(call, clearing, option):
    word = clearing.issuer("ann").issue_speaks_for(clearing.gids["bob"], expires_at=NOW + DAY).decode()
    options = {option: str(clearing.urn("ann")), "fields": {"SLICE_NAME": "s2", "SLICE_PROJECT_URN": str(PROJECT)}}
    made = call(SA, "create_slice", [abac(word)], options, who="bob")
    with clearing.store.reading() as tx:
        [event] = events.latest(tx, most=1)
    assert (event.what, event.actor, event.spoken_by) == (
        "create_slice",
        str(clearing.urn("ann")),
        clearing.urn("bob"),
    )
    assert (str(event.slice_urn), event.request_id) == (made["SLICE_URN"], "r1")
    lead = call(SA, "lookup_members", "SLICE", made["SLICE_URN"], [], {})
    assert [(one["SLICE_MEMBER"], one["SLICE_ROLE"]) for one in lead] == [(str(clearing.urn("ann")), "LEAD")]


def test_a_tool_without_the_users_word_does_not_speak_for_them(call, clearing):
    ann = {"speaking_for": str(clearing.urn("ann"))}
    word = clearing.issuer("ann").issue_speaks_for(clearing.gids["sibling"], expires_at=NOW + DAY).decode()
    own = clearing.issuer("bob").issue_speaks_for(clearing.gids["bob"], expires_at=NOW + DAY).decode()
    for credentials in ([], [abac(word)], [abac(own)]):
        code, output = call.refused(SA, "lookup", "SLICE", credentials, ann, who="bob")
        assert (code, output.split()[0]) == (1, "AUTHENTICATION_ERROR")
    call.now = NOW + 2 * DAY
    word = clearing.issuer("ann").issue_speaks_for(clearing.gids["bob"], expires_at=NOW + DAY).decode()
    assert "expired" in call.refused(SA, "lookup", "SLICE", [abac(word)], ann, who="bob")[1]


def test_a_speaks_for_credential_without_the_option_changes_nothing(call, clearing):
    word = clearing.issuer("ann").issue_speaks_for(clearing.gids["bob"], expires_at=NOW + DAY).decode()
    assert call(SA, "lookup", "SLICE", [abac(word)], {}, who="bob") == {}


# Slices


def test_omni_makes_finds_renews_a_slice_and_gets_its_credential(call):
    options = {"fields": {"SLICE_NAME": "s2", "SLICE_PROJECT_URN": str(PROJECT)}}
    made = call(SA, "create_slice", [], options, who="p_member")
    urn = made["SLICE_URN"]
    assert urn == "urn:publicid:IDN+plc:demo+slice+s2"
    assert made["SLICE_PROJECT_URN"] == str(PROJECT)
    code, output = call.refused(SA, "create_slice", [], options, who="p_member")
    assert (code, output.split()[0]) == (5, "DUPLICATE_ERROR")
    until = (NOW + 20 * DAY).replace(tzinfo=None).isoformat()
    match = {"SLICE_URN": urn, "SLICE_EXPIRED": "f"}
    assert (
        call(SA, "update_slice", urn, [], {"fields": {"SLICE_EXPIRATION": until}, "match": match}, who="p_member")
        is None
    )
    asked = {"match": match, "filter": ["SLICE_URN", "SLICE_EXPIRATION", "SLICE_EXPIRED"]}
    found = call(SA, "lookup_slices", [], asked, who="p_member")
    assert found == {urn: {"SLICE_URN": urn, "SLICE_EXPIRATION": f"{until}Z", "SLICE_EXPIRED": False}}
    [struct] = call(SA, "get_credentials", urn, [], {"match": match}, who="p_member")
    [said] = read(struct["geni_value"])
    assert (str(said.target.urn), said.owner.urn.name) == (urn, "p_member")
    assert said.expires_at <= NOW + 20 * DAY


@pytest.mark.parametrize("name", ["bad_name", "bad name", "-bad", "b" * 20, "a+b", "", "a!"])
def test_names_that_slices_may_not_have_are_refused_and_leave_nothing(call, name):
    fields = {"SLICE_NAME": name, "SLICE_PROJECT_URN": str(PROJECT)}
    assert call.refused(SA, "create", "SLICE", [], {"fields": fields})[0] == 3
    assert list(call(SA, "lookup", "SLICE", [], {})) == [str(S1)]


def test_what_a_role_is_good_for_is_in_the_credential(call):
    for who, expected in (
        ("ann", {"refresh", "embed", "bind", "control", "info"}),
        ("s_member", {"refresh", "embed", "bind", "control", "info"}),
        ("s_auditor", {"info"}),
        ("s_operator", {"info"}),
        ("p_auditor", {"info"}),
    ):
        [said] = read(call.slice_credential(who))
        assert {one.name for one in said.privileges} == expected, who


def test_slices_are_told_to_those_who_belong_to_them_or_their_project(call):
    for who, sees in (("s_auditor", True), ("p_member", True), ("pi", True), ("bob", False), ("sibling", False)):
        assert (str(S1) in call(SA, "lookup", "SLICE", [], {}, who=who)) is sees, who
        assert (str(S1) in call(SA, "lookup", "SLICE", [], {"match": {"SLICE_URN": [str(S1)]}}, who=who)) is sees


def test_strangers_do_not_learn_whether_a_slice_is_there(call):
    unknown = str(S1).replace("s1", "s9")
    for method, more in (("get_credentials", ()), ("lookup_slice_members", ()), ("update_slice", ())):
        answers = [call.refused(SA, method, urn, [], {"fields": {}}, *more, who="bob") for urn in (str(S1), unknown)]
        assert answers[0][0] == answers[1][0] == 2
        assert answers[0][1].replace(str(S1), unknown) == answers[1][1]
    assert "Unknown slice urn" in call.refused(SA, "get_credentials", unknown, [], {}, who="pi")[1]


def test_an_expired_slice_gives_no_credential_until_it_is_renewed(call):
    call.now = NOW + 15 * DAY
    code, output = call.refused(SA, "get_credentials", str(S1), [], {})
    assert code == 2
    assert "renew it first" in output
    assert call(SA, "lookup", "SLICE", [], {"match": {"SLICE_EXPIRED": "t"}}).keys() == {str(S1)}
    call(SA, "update", "SLICE", str(S1), [], {"fields": {"SLICE_EXPIRATION": (NOW + 30 * DAY).isoformat()}})
    assert call.slice_credential("ann")


def test_a_project_may_be_written_in_another_case_and_keeps_its_own(call):
    fields = {"SLICE_NAME": "s2", "SLICE_PROJECT_URN": "urn:publicid:IDN+PLC+project+Demo"}
    assert call(SA, "create", "SLICE", [], {"fields": fields})["SLICE_URN"] == "urn:publicid:IDN+plc:demo+slice+s2"
    shouted = {"match": {"SLICE_URN": "urn:publicid:IDN+PLC:DEMO+slice+S2"}}
    assert len(call(SA, "lookup", "SLICE", [], shouted)) == 1
    assert call(SA, "lookup", "PROJECT", [], {"match": {"PROJECT_URN": str(PROJECT)}})
    unknown = {"SLICE_NAME": "s2", "SLICE_PROJECT_URN": "urn:publicid:IDN+plc+project+none"}
    assert "Unknown project" in call.refused(SA, "create", "SLICE", [], {"fields": unknown}, who="pi")[1]
    assert call.refused(SA, "create", "SLICE", [], {"fields": unknown})[0] == 2


def test_slices_are_never_deleted(call):
    code, output = call.refused(SA, "delete", "SLICE", str(S1), [], {}, who="pi")
    assert (code, output.split()[0]) == (100, "NOT_IMPLEMENTED_ERROR")


# Projects


def test_a_project_is_made_changed_and_deleted(call):
    fields = {"PROJECT_NAME": "TEST-P", "PROJECT_EXPIRATION": "2026-07-01T00:00:00Z", "PROJECT_DESC": "mine"}
    made = call(SA, "create", "PROJECT", [], {"fields": fields}, who="pi")
    urn = made["PROJECT_URN"]
    assert (urn, made["PROJECT_DESCRIPTION"]) == ("urn:publicid:IDN+plc+project+TEST-P", "mine")
    assert call(SA, "update", "PROJECT", urn, [], {"fields": {"PROJECT_DESCRIPTION": "d"}}, who="pi") is None
    found = call(SA, "lookup", "PROJECT", [], {"match": {"PROJECT_URN": urn}}, who="pi")
    assert found[urn] == {**made, "PROJECT_DESCRIPTION": "d"}
    for fields in ({"PROJECT_NAME": "x"}, {"PROJECT_EXPIRATION": "2013-07-29T13:15:30Z"}):
        assert call.refused(SA, "update", "PROJECT", urn, [], {"fields": fields}, who="pi")[0] == 3
    assert call.refused(SA, "create_project", [], {"fields": {"PROJECT_NAME": "test-p"}}, who="pi")[0] == 5
    assert call(SA, "delete", "PROJECT", urn, [], {}, who="pi") is None
    assert urn not in call(SA, "lookup", "PROJECT", [], {}, who="pi")
    assert "slices" in call.refused(SA, "delete_project", str(PROJECT), [], {})[1]


@pytest.mark.parametrize("name", ["a:b", "a+b", "", "a b", "-x", "ä", "x" * 300])
def test_names_that_projects_may_not_have_are_refused(call, name):
    assert call.refused(SA, "create", "PROJECT", [], {"fields": {"PROJECT_NAME": name}}, who="pi")[0] == 3


def test_a_slice_does_not_outlive_its_project(call):
    end = NOW + 5 * DAY
    call(SA, "update_project", str(PROJECT), [], {"fields": {"PROJECT_EXPIRATION": end.isoformat()}})
    fields = {"SLICE_NAME": "s2", "SLICE_PROJECT_URN": str(PROJECT)}
    too_far = {"SLICE_EXPIRATION": (end + DAY).isoformat()}
    assert "ends" in call.refused(SA, "create_slice", [], {"fields": {**fields, **too_far}})[1]
    assert "ends" in call.refused(SA, "update_slice", str(S1), [], {"fields": too_far})[1]
    assert call(SA, "create_slice", [], {"fields": fields})["SLICE_EXPIRATION"] == "2026-06-06T12:00:00Z"
    call.now = end + DAY
    assert "ended" in call.refused(SA, "create_slice", [], {"fields": {**fields, "SLICE_NAME": "s3"}})[1]
    [mine] = call(SA, "lookup_projects_for_member", str(call.clearing.urn("ann")), [], {})
    assert (mine["EXPIRED"], mine["PROJECT_ROLE"]) == (True, "LEAD")


def test_projects_are_told_to_those_who_belong_to_them(call):
    seen = {who: set(call(SA, "lookup_projects", [], {}, who=who)) for who in ("pi", "p_member", "sibling", "bob")}
    assert seen == {"pi": {str(PROJECT), str(OTHER)}, "p_member": {str(PROJECT)}, "sibling": {str(OTHER)}, "bob": set()}


# Members of slices and projects


@pytest.mark.parametrize(("kind", "urn"), [("SLICE", str(S1)), ("PROJECT", str(PROJECT))])
def test_members_come_change_and_go(call, kind, urn):
    bob = str(call.clearing.urn("bob"))

    def roles():
        found = call(SA, "lookup_members", kind, urn, [], {"match": {"SLICE_URN": urn, "SLICE_EXPIRED": "f"}})
        assert all(len(one[f"{kind}_MEMBER_UID"]) == 36 for one in found)
        return {one[f"{kind}_MEMBER"]: one[f"{kind}_ROLE"] for one in found}

    def modify(what, *changes):
        return call(SA, "modify_membership", kind, urn, [], {what: list(changes)})

    modify("members_to_add", {f"{kind}_MEMBER": bob, f"{kind}_ROLE": "member"})
    assert roles()[bob] == "MEMBER"
    [mine] = call(SA, "lookup_for_member", kind, bob, [], {"match": {f"{kind}_EXPIRED": "f"}}, who="bob")
    assert (mine[f"{kind}_URN"], mine[f"{kind}_ROLE"], mine["EXPIRED"]) == (urn, "MEMBER", False)
    assert call(SA, "lookup_for_member", kind, bob, [], {"match": {f"{kind}_EXPIRED": "t"}}, who="bob") == []
    modify("members_to_change", {f"{kind}_MEMBER": bob, f"{kind}_ROLE": "ADMIN"})
    assert roles()[bob] == "ADMIN"
    modify("members_to_remove", bob)
    assert bob not in roles()
    modify("members_to_add", {f"{kind}_MEMBER": bob, f"{kind}_ROLE": "AUDITOR"})
    modify("members_to_remove", {f"{kind}_MEMBER": bob})
    assert bob not in roles()


def test_people_may_leave_by_themselves_and_take_nobody_along(call):
    urns = [str(call.clearing.urn(name)) for name in ("s_member", "s_auditor")]
    assert call.refused(SA, "modify_slice_membership", str(S1), [], {"members_to_remove": urns}, who="s_member")[0] == 2
    call(SA, "modify_slice_membership", str(S1), [], {"members_to_remove": urns[:1]}, who="s_member")
    assert call.refused(SA, "get_credentials", str(S1), [], {}, who="s_member")[0] == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"SLICE_MEMBER": "urn:publicid:IDN+plc+user+nobody", "SLICE_ROLE": "MEMBER"}, "not registered here"),
        ({"SLICE_MEMBER": "urn:publicid:IDN+plc+user+bob", "SLICE_ROLE": "KING"}, "known are LEAD, ADMIN"),
        ({"PROJECT_MEMBER": "urn:publicid:IDN+plc+user+bob", "PROJECT_ROLE": "MEMBER"}, "SLICE_MEMBER and SLICE_ROLE"),
        ({"SLICE_MEMBER": "bob", "SLICE_ROLE": "MEMBER"}, "is not a URN"),
        ("bob", "must be a struct"),
    ],
)
def test_members_that_can_not_be_added_are_refused_by_name(call, change, said):
    code, output = call.refused(SA, "modify_slice_membership", str(S1), [], {"members_to_add": [change]})
    assert code == 3
    assert said in output


# Slivers told of


def sliver(call, **changes):
    return {
        "SLIVER_INFO_URN": SLIVER,
        "SLIVER_INFO_SLICE_URN": str(S1),
        "SLIVER_INFO_AGGREGATE_URN": "urn:publicid:IDN+am.example+authority+am",
        "SLIVER_INFO_CREATOR_URN": str(call.clearing.urn("s_member")),
        "SLIVER_INFO_CREATION": "2026-06-01T10:00:00",
        "SLIVER_INFO_EXPIRATION": "2026-06-09 10:00:00",
        **changes,
    }


def test_omni_tells_of_slivers_extends_and_deletes_them(call):
    # It updates first; the words of the refusal make it register
    late = {"fields": {"SLIVER_INFO_EXPIRATION": "2026-06-12 10:00:00"}}
    code, output = call.refused(SA, "update_sliver_info", SLIVER, [], late, who="s_member")
    assert code == 3
    assert output.startswith("ARGUMENT_ERROR (Unknown sli")
    call(SA, "create_sliver_info", [], {"fields": sliver(call)}, who="s_member")
    assert call.refused(SA, "create_sliver_info", [], {"fields": sliver(call)}, who="s_member")[0] == 5
    call(SA, "update_sliver_info", SLIVER, [], late, who="ann")
    match = {"SLIVER_INFO_SLICE_URN": str(S1), "SLIVER_INFO_AGGREGATE_URN": "urn:publicid:IDN+am.example+authority+am"}
    found = call(SA, "lookup", "SLIVER_INFO", [], {"filter": [], "match": match})
    assert found[SLIVER]["SLIVER_INFO_EXPIRATION"] == "2026-06-12T10:00:00Z"
    assert call(SA, "lookup_sliver_info", [], {"match": match}, who="bob") == {}
    assert call.refused(SA, "delete_sliver_info", SLIVER, [], {}, who="s_auditor")[0] == 3
    call(SA, "delete_sliver_info", SLIVER, [], {}, who="s_member")
    assert call(SA, "lookup", "SLIVER_INFO", [], {}) == {}


def test_who_made_a_sliver_finds_it_when_they_have_left_the_slice(call):
    me = str(call.clearing.urn("s_member"))
    call(SA, "create_sliver_info", [], {"fields": sliver(call)})
    call(SA, "modify_slice_membership", str(S1), [], {"members_to_remove": [me]})
    assert call(SA, "lookup", "SLIVER_INFO", [], {}, who="s_member").keys() == {SLIVER}
    assert call(SA, "lookup", "SLIVER_INFO", [], {}, who="p_auditor").keys() == {SLIVER}
    assert call(SA, "lookup", "SLIVER_INFO", [], {}, who="s_auditor").keys() == {SLIVER}
    assert call(SA, "lookup", "SLIVER_INFO", [], {}, who="p_member") == {}


def test_nobody_takes_a_slivers_name_away_by_telling_of_it_first(call):
    call(SA, "create_slice", [], {"fields": {"SLICE_NAME": "s9", "SLICE_PROJECT_URN": str(OTHER)}}, who="sibling")
    theirs = {
        "SLIVER_INFO_SLICE_URN": "urn:publicid:IDN+plc:other+slice+s9",
        "SLIVER_INFO_CREATOR_URN": str(call.clearing.urn("sibling")),
    }
    call(SA, "create_sliver_info", [], {"fields": sliver(call, **theirs)}, who="sibling")
    call(SA, "create_sliver_info", [], {"fields": sliver(call)})
    call(SA, "delete_sliver_info", SLIVER, [], {}, who="sibling")
    assert call(SA, "lookup", "SLIVER_INFO", [], {}).keys() == {SLIVER}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("SLIVER_INFO_CREATOR_URN", "urn:publicid:IDN+plc+user+bob", 3),
        ("SLIVER_INFO_CREATOR_URN", "", 3),
        ("SLIVER_INFO_AGGREGATE_URN", "urn:publicid:IDN+plc+user+bob", 3),
        ("SLIVER_INFO_SLICE_URN", "urn:publicid:IDN+plc:other+slice+s1", 2),
        ("SLIVER_INFO_EXPIRATION", "soon", 3),
    ],
)
def test_slivers_that_can_not_be_are_refused(call, field, value, code):
    assert call.refused(SA, "create_sliver_info", [], {"fields": sliver(call, **{field: value})})[0] == code


# Members and keys


def test_an_address_is_told_to_those_who_work_together(call):
    ann = str(call.clearing.urn("ann"))
    asked = {"match": {"MEMBER_URN": ann}, "filter": ["MEMBER_EMAIL"]}
    for who, told in (("s_auditor", True), ("p_member", True), ("pi", True), ("sibling", False), ("bob", False)):
        expected = {ann: {"MEMBER_EMAIL": "ann@x"}} if told else {}
        assert call(MA, "lookup_identifying_member_info", [], asked, who=who) == expected, who
        assert ("MEMBER_EMAIL" in call(MA, "lookup", "MEMBER", [], {}, who=who)[ann]) is told
        by_address = call(MA, "lookup", "MEMBER", [], {"match": {"MEMBER_EMAIL": "ann@x"}}, who=who)
        assert (ann in by_address) is told, who
        public = call(MA, "lookup_public_member_info", [], {"match": {"MEMBER_USERNAME": "ann"}}, who=who)
        assert public[ann].keys() == {"MEMBER_URN", "MEMBER_UID", "MEMBER_USERNAME", "_GENI_MEMBER_SSL_CERTIFICATE"}


def test_members_change_what_they_are_called_and_where_mail_reaches_them(call):
    ann = str(call.clearing.urn("ann"))
    fields = {"MEMBER_FIRSTNAME": "Ann", "MEMBER_EMAIL": "ann@new.org"}
    call(MA, "update_member_info", ann, [], {"fields": fields})
    call(MA, "update", "MEMBER", ann, [], {"fields": {"MEMBER_LASTNAME": "Ö"}})
    found = call(MA, "lookup", "MEMBER", [], {"match": {"MEMBER_URN": ann}})[ann]
    assert (found["MEMBER_FIRSTNAME"], found["MEMBER_LASTNAME"], found["MEMBER_EMAIL"]) == ("Ann", "Ö", "ann@new.org")
    for field, value in (
        ("MEMBER_EMAIL", "nowhere"),
        ("MEMBER_FIRSTNAME", "a\x00b"),
        ("MEMBER_LASTNAME", "x" * 101),
        ("MEMBER_URN", "urn:publicid:IDN+plc+user+pi"),
        ("MEMBER_ROLE", "LEAD"),
    ):
        assert call.refused(MA, "update_member_info", ann, [], {"fields": {field: value}})[0] == 3


def test_private_information_is_the_members_own(call):
    ann, bob = (str(call.clearing.urn(name)) for name in ("ann", "bob"))
    assert call(MA, "lookup_private_member_info", [], {"match": {"MEMBER_URN": ann}}) == {ann: {}}
    for match in ({}, {"match": {"MEMBER_URN": bob}}, {"match": {"MEMBER_URN": [ann, bob]}}):
        assert call.refused(MA, "lookup_private_member_info", [], match)[0] == 2
    assert bob in call(MA, "lookup_login_info", [], {}, who="pi")


def test_the_users_credential_is_about_themselves(call):
    ann = str(call.clearing.urn("ann"))
    [struct] = call(MA, "get_credentials", ann, [], {})
    [said] = read(struct["geni_value"])
    assert str(said.target.urn) == str(said.owner.urn) == ann


def key_fields(call, who="ann", **more):
    public = ssh_public_key(call.clearing.keys["sibling"].public_key())
    return {"fields": {"KEY_MEMBER": str(call.clearing.urn(who)), "KEY_PUBLIC": public, **more}}


def test_keys_are_added_described_and_deleted_and_the_certificate_stays(call):
    ann = str(call.clearing.urn("ann"))
    certificate = call(MA, "lookup", "MEMBER", [], {})[ann]["_GENI_MEMBER_SSL_CERTIFICATE"]
    made = call(MA, "create_key", [], key_fields(call, KEY_DESCRIPTION="my laptop", KEY_TYPE="openssh"))
    assert made["KEY_PUBLIC"].endswith(" my laptop")
    assert call.refused(MA, "create", "KEY", [], key_fields(call, KEY_DESCRIPTION="again"))[0] == 5
    asked = {"match": {"KEY_MEMBER": ann}, "filter": ["KEY_PUBLIC", "KEY_PRIVATE"]}
    assert [one["KEY_PRIVATE"] for one in call(MA, "lookup_keys", [], asked)[ann]] == ["", ""]
    assert made["KEY_ID"] in call(MA, "lookup", "KEY", [], asked)
    call(MA, "update_key", ann, made["KEY_ID"], [], {"fields": {"KEY_DESCRIPTION": "old laptop"}})
    call(MA, "update", "KEY", made["KEY_ID"], [], {"fields": {}})
    found = call(MA, "lookup", "KEY", [], {"match": {"KEY_ID": made["KEY_ID"]}})
    assert found[made["KEY_ID"]]["KEY_DESCRIPTION"] == "old laptop"
    [first] = set(call(MA, "lookup", "KEY", [], asked)) - {made["KEY_ID"]}
    assert "certificate" in call.refused(MA, "delete_key", ann, first, [], {})[1]
    call(MA, "delete", "KEY", made["KEY_ID"], [], {})
    assert set(call(MA, "lookup", "KEY", [], asked)) == {first}
    assert call(MA, "lookup", "MEMBER", [], {})[ann]["_GENI_MEMBER_SSL_CERTIFICATE"] == certificate


def test_a_key_has_another_id_at_each_member(call):
    ids = {call(MA, "create_key", [], key_fields(call, who), who=who)["KEY_ID"] for who in ("ann", "p_member", "bob")}
    assert len(ids) == 3


def test_keys_of_others_are_neither_seen_nor_touched(call):
    ann = str(call.clearing.urn("ann"))
    [key_id] = call(MA, "lookup", "KEY", [], {"match": {"KEY_MEMBER": ann}})
    assert call(MA, "lookup_keys", [], {"match": {"KEY_MEMBER": ann}}, who="bob") == {}
    assert call.refused(MA, "create_key", [], key_fields(call), who="bob")[0] == 2
    assert call.refused(MA, "delete_key", ann, key_id, [], {}, who="p_admin")[0] == 3
    assert call.refused(MA, "update", "KEY", key_id, [], {"fields": {"KEY_DESCRIPTION": "x"}}, who="p_admin")[0] == 3


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"KEY_PRIVATE": "-----BEGIN PRIVATE KEY-----"}, "not kept here"),
        ({"KEY_PUBLIC": 'command="x" ssh-rsa AAAA'}, "not a public key"),
        ({"KEY_PUBLIC": "ssh-rsa AAAA\nssh-rsa BBBB"}, "not a public key"),
        ({"KEY_DESCRIPTION": "a\nssh-rsa BBBB"}, "not a public key"),
        ({"KEY_TYPE": "ssh-dss"}, "KEY_TYPE"),
        ({"KEY_ID": "x"}, "KEY_ID can't be set"),
    ],
)
def test_keys_that_can_not_be_kept_are_refused(call, fields, said):
    code, output = call.refused(MA, "create_key", [], key_fields(call, **fields))
    assert code == 3
    assert said in output


@pytest.mark.parametrize("method", ["create", "delete"])
def test_members_are_registered_elsewhere(call, method):
    sent = ("MEMBER", [], {}) if method == "create" else ("MEMBER", str(call.clearing.urn("bob")), [], {})
    assert call.refused(MA, method, *sent, who="pi")[0] == 100


# The old reference clearinghouse


def test_omnis_gcf_framework_makes_renews_and_ends_a_slice(call):
    ann, s2 = str(call.clearing.urn("ann")), "urn:publicid:IDN+plc:demo+slice+s2"
    assert call.answer(SA, "GetVersion") == {"gcf-ch_api": 1}
    assert call.answer(SA, "ListAggregates") == [["urn:publicid:IDN+plc+authority+am", "https://am:12346/am/3"]]
    [said] = read(call.answer(SA, "CreateUserCredential", call.clearing.gids["ann"].pem))
    assert str(said.owner.urn) == ann
    [said] = read(call.answer(SA, "CreateSlice", s2))
    assert str(said.target.urn) == s2
    assert call.answer(SA, "CreateSlice", s2)
    assert call.answer(SA, "RenewSlice", s2, "2026-06-20T00:00:00") is True
    assert call.answer(SA, "ListMySlices", ann) == [str(S1), s2]
    assert call.answer(SA, "DeleteSlice", s2) is True
    assert call.answer(SA, "ListMySlices", ann) == [str(S1)]
    [said] = read(call.answer(SA, "CreateSlice", s2))
    assert said.expires_at > NOW + DAY


@pytest.mark.parametrize(
    ("method", "sent", "code"),
    [
        ("CreateSlice", (str(S1),), 2),
        ("CreateSlice", ("urn:publicid:IDN+plc+slice+top",), 2),
        ("CreateSlice", ("urn:publicid:IDN+plc+user+bob",), 3),
        ("RenewSlice", (str(S1), "2026-06-20T00:00:00"), 2),
        ("DeleteSlice", (str(S1),), 2),
        ("ListMySlices", ("urn:publicid:IDN+plc+user+ann",), 2),
        ("CreateSlice", (), 3),
    ],
)
def test_old_calls_are_refused_with_faults(call, method, sent, code):
    with pytest.raises(Fault) as fault:
        call.answer(SA, method, *sent, who="bob")
    assert fault.value.faultCode == code


def test_nobody_gets_the_user_credential_of_another(call):
    with pytest.raises(Fault, match="not the certificate"):
        call.answer(SA, "CreateUserCredential", call.clearing.gids["ann"].pem, who="bob")


# Whatever comes in

things = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9) | st.sampled_from(["SLICE", str(S1), "KEY"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["match", "filter", "fields", "SLICE_URN", "members_to_add", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(data=st.data())
def test_whatever_is_sent_is_answered_and_never_by_an_internal_error(built, tmp_path_factory, data):
    with built.on_a_copy(tmp_path_factory.mktemp("c")) as clearing:
        call = Calls(clearing)
        for door in call.doors.values():
            door.off_reactor = straight
        door = data.draw(st.sampled_from([SR, MA, SA]))
        names = [name for name in dir(call.doors[door]) if name.startswith("xmlrpc_") and name[7].islower()]
        method = data.draw(st.sampled_from(names)).removeprefix("xmlrpc_")
        sent = data.draw(st.lists(things, max_size=4))
        answer = call.answer(door, method, *sent)
        assert answer["code"] != 101, (method, sent, answer)


async def straight(work):
    return work()
