"""Tools that speak for users, through the door: what they do is done by the user, and written down with both names."""

from datetime import timedelta
from xmlrpc.client import Binary

import pytest
from conftest import NOW, Federation

from sfa_am.errors import Forbidden
from sfa_am.store import schema

REQUEST = """<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">
  <node client_id="left"><sliver_type name="container"/></node></rspec>"""
RSPEC = {"geni_rspec_version": {"type": "GENI", "version": "3"}}
SLICE = "urn:publicid:IDN+plc+slice+s1"


class Portal:
    """A tool with a word of alice's, calling the aggregate."""

    def __init__(self, am):
        self.am, self.plc = am, am.federation
        self.tool, self.alice = self.plc.person("portal"), self.plc.alice
        self.options = {"geni_speaking_for": str(self.alice.urn), **RSPEC}
        self.word = self.alice.issuer.issue_speaks_for(self.tool.gid, expires_at=NOW + timedelta(hours=2)).decode()
        self.credentials = [sfa(self.plc.credential()), abac(self.word)]

    def call(self, method, *arguments, who=None):
        return self.am.v3(who or self.tool, method, *arguments)

    def allocate(self, credentials=None, options=None, who=None):
        shown = self.credentials if credentials is None else credentials
        return self.call("Allocate", SLICE, shown, REQUEST, self.options if options is None else options, who=who)

    def refusal(self, **changes):
        answer = self.allocate(**changes)
        assert answer["code"]["geni_code"] == Forbidden.geni_code
        assert answer["output"].isascii()
        assert self.am.rows(schema.sliver) == []
        return answer["output"]


def sfa(document):
    return {"geni_type": "geni_sfa", "geni_version": "3", "geni_value": document}


def abac(document):
    return {"geni_type": "geni_abac", "geni_version": "1", "geni_value": document}


@pytest.fixture
def portal(am):
    return Portal(am)


def value(answer):
    assert answer["code"]["geni_code"] == 0, answer["output"]
    return answer["value"]


def test_every_call_can_be_made_for_a_user_and_both_are_written_down(portal):
    creds, options, am = portal.credentials, portal.options, portal.am
    value(portal.allocate())
    value(portal.call("ListResources", creds, options))
    users = [{"urn": str(portal.alice.urn), "keys": []}]
    value(portal.call("Provision", [SLICE], creds, {**options, "geni_users": users}))
    am.work()
    value(portal.call("Describe", [SLICE], creds, options))
    slivers = value(portal.call("Status", [SLICE], creds, options))["geni_slivers"]
    value(portal.call("Renew", [SLICE], creds, "2026-06-01T13:30:00Z", options))
    value(portal.call("PerformOperationalAction", [slivers[0]["geni_sliver_urn"]], creds, "geni_restart", options))
    value(portal.call("Delete", [SLICE], creds, options))
    value(portal.call("Shutdown", SLICE, creds, options))
    written = [row for row in am.rows(schema.event) if row["actor"].startswith("urn:")]
    assert {row["what"] for row in written} >= {"Allocate", "Provision", "Renew", "Delete"}
    assert {(row["actor"], row["spoken_by"]) for row in written} == {(str(portal.alice.urn), str(portal.tool.urn))}


def test_what_a_tool_made_belongs_to_the_user(portal):
    value(portal.allocate())
    own = [sfa(portal.plc.credential())]
    assert len(value(portal.call("Status", [SLICE], own, {}, who=portal.alice))["geni_slivers"]) == 1
    value(portal.call("Delete", [SLICE], own, {}, who=portal.alice))
    by_user = portal.am.rows(schema.event)[-1]
    assert (by_user["actor"], by_user["spoken_by"]) == (str(portal.alice.urn), None)


def test_what_a_tool_made_lasts_no_longer_than_its_word(portal):
    answer = portal.call("Renew", [SLICE], portal.credentials, "2026-06-01T15:00:00Z", portal.options)
    assert answer["code"]["geni_code"] != 0
    value(portal.allocate())
    answer = portal.call("Renew", [SLICE], portal.credentials, "2026-06-01T15:00:00Z", portal.options)
    assert answer["code"]["geni_code"] == 7
    assert answer["value"] <= "2026-06-01T14:00:00Z"


@pytest.mark.parametrize(
    "shown",
    [
        lambda p: [abac(p.word), sfa(p.plc.credential())],
        lambda p: [p.plc.credential(), p.word],  # as older clients send them
        lambda p: [sfa(p.plc.credential()), abac(Binary(p.word.encode()))],
        lambda p: [sfa(p.plc.credential(p.plc.bob)), sfa(p.plc.credential()), abac(p.word)],
        lambda p: [
            abac(p.plc.bob.issuer.issue_speaks_for(p.tool.gid, expires_at=NOW + timedelta(1)).decode()),
            *p.credentials,
        ],
    ],
)
def test_credentials_come_in_any_order_and_form(portal, shown):
    value(portal.allocate(shown(portal)))


def test_a_word_without_the_option_changes_nothing(portal):
    own = sfa(portal.plc.credential(portal.tool))
    assert "speaks-for credential counts only with the option geni_speaking_for" in portal.refusal(options={})
    assert "geni_speaking_for" in portal.refusal(credentials=[abac(portal.word)], options={})
    value(portal.allocate([abac(portal.word), own], {}))
    assert [(row["actor"], row["spoken_by"]) for row in portal.am.rows(schema.event)] == [(str(portal.tool.urn), None)]


def test_the_option_without_a_word_is_refused_whatever_else_the_tool_holds(portal):
    own = sfa(portal.plc.credential(portal.tool))
    assert "needs a credential of type geni_abac to speak for" in portal.refusal(credentials=[own])
    assert "no credential of type geni_sfa" in portal.refusal(credentials=[abac(portal.word)])
    assert "check: owner" in portal.refusal(credentials=[own, abac(portal.word)])


def test_a_tool_speaks_for_whom_it_says_and_for_nobody_else(portal):
    bob = {**portal.options, "geni_speaking_for": str(portal.plc.bob.urn)}
    assert "check: speaks_for" in portal.refusal(options=bob)
    of_bob = [sfa(portal.plc.credential(portal.plc.bob)), abac(portal.word)]
    assert "who speaks for" in portal.refusal(credentials=of_bob)
    assert "may speak for" in portal.refusal(who=portal.plc.bob)


def test_a_tool_that_nobody_vouches_for_is_refused(portal):
    stranger = Federation("elsewhere")
    word = portal.alice.issuer.issue_speaks_for(stranger.alice.gid, expires_at=NOW + timedelta(hours=1)).decode()
    refusal = portal.refusal(credentials=[sfa(portal.plc.credential()), abac(word)], who=stranger.alice)
    assert "its tool" in refusal
    assert "check: root" in refusal


def test_an_expired_word_is_refused(portal):
    portal.am.wait(hours=2)
    assert "check: expiry" in portal.refusal()


def test_a_tool_looks_at_no_other_slice(portal):
    value(portal.allocate())
    answer = portal.call("Status", ["urn:publicid:IDN+plc+slice+s2"], portal.credentials, portal.options)
    assert answer["code"]["geni_code"] == Forbidden.geni_code
    assert "check: target" in answer["output"]


CALLS = {
    "ListResources": lambda creds, options: (creds, options),
    "Describe": lambda creds, options: ([SLICE], creds, options),
    "Allocate": lambda creds, options: (SLICE, creds, REQUEST, options),
    "Renew": lambda creds, options: ([SLICE], creds, "2026-06-01T13:00:00Z", options),
    "Provision": lambda creds, options: ([SLICE], creds, options),
    "Status": lambda creds, options: ([SLICE], creds, options),
    "PerformOperationalAction": lambda creds, options: ([SLICE], creds, "geni_start", options),
    "Delete": lambda creds, options: ([SLICE], creds, options),
    "Shutdown": lambda creds, options: (SLICE, creds, options),
}


@pytest.mark.parametrize("method", CALLS)
def test_no_call_forgets_whom_it_is_for(portal, method):
    arguments = CALLS[method]
    own = [sfa(portal.plc.credential())]
    answer = portal.call(method, *arguments(own, portal.options), who=portal.alice)
    assert answer["code"]["geni_code"] == Forbidden.geni_code
    assert "to speak for" in answer["output"]
    answer = portal.call(method, *arguments(own, {**RSPEC, "geni_speaking_for": "alice"}), who=portal.alice)
    assert answer["code"]["geni_code"] == 1


def test_get_version_says_that_tools_may_speak(portal):
    version = portal.call("GetVersion")["value"]
    assert version["geni_handles_speaksfor"] is True
    assert {"geni_type": "geni_abac", "geni_version": "1"} in version["geni_credential_types"]
    assert {"geni_type": "geni_sfa", "geni_version": "2"} in version["geni_credential_types"]
