"""Quotas and other rules: what is refused names the rule, what was asked for and what is left."""

from datetime import timedelta

import pytest
from unit.am.small import everything, request

from credentials import URN
from sfa_am.config import ConfigError, Quota, from_values
from sfa_am.errors import Refused
from sfa_am.slices.policy import Policies


def nodes(number, kind="container", start=0):
    return request(*(f'<node client_id="n{i + start}"><sliver_type name="{kind}"/></node>' for i in range(number)))


@pytest.fixture
def under(make_aggregate):
    """An aggregate under quotas."""

    def make(*quotas, **others):
        return make_aggregate(policies=Policies([Quota(**{"name": "rule", **quota}) for quota in quotas], others))

    return make


def as_bob(am, document, slice_name="s2"):
    bob = am.federation.bob
    shown = am.federation.credential(bob, am.federation.slice_gid(slice_name), ends_at=am.now + timedelta(days=9))
    return am.service.allocate(am.who(bob, shown), URN("plc", "slice", slice_name), document, end_at=None, now=am.now)


@pytest.mark.parametrize("per", ["user", "slice", "project", "authority"])
def test_so_many_and_no_more(under, per):
    am = under({"per": per, "nodes": 3})
    am.allocate(nodes(2))
    before = everything(am)
    with pytest.raises(Refused, match=f"policy rule 'rule': 2 nodes asked for, 1 nodes left of 3 per {per}") as caught:
        am.allocate(nodes(2, start=2))
    (reason,) = caught.value.reasons
    assert (reason.constraint, reason.wanted, reason.available, reason.nearest) == ("nodes", 2, 1, 1)
    assert "rule" in reason.where
    assert everything(am) == before
    am.allocate(nodes(1, start=2))
    am.delete()
    am.allocate(nodes(3))


@pytest.mark.parametrize(("per", "shared"), [("user", False), ("slice", False), ("project", True), ("authority", True)])
def test_whose_slivers_count(under, per, shared):
    am = under({"per": per, "nodes": 3})
    am.allocate(nodes(2))
    if shared:
        with pytest.raises(Refused):
            as_bob(am, nodes(2))
    else:
        as_bob(am, nodes(2))


def test_a_user_is_counted_over_all_slices(under):
    am = under({"per": "user", "nodes": 3})
    as_bob(am, nodes(2))
    with pytest.raises(Refused):
        as_bob(am, nodes(2), "s3")
    as_bob(am, nodes(1), "s3")


def test_an_authority_is_counted_with_all_below_it(under):
    am = under({"per": "authority", "match": "plc", "nodes": 3}, {"per": "project", "match": "plc:lab", "nodes": 2})
    lab = URN("plc:lab", "slice", "s9")
    gid = am.federation.issuer.issue_gid(
        lab, am.federation.root_key.public_key(), lifetime=timedelta(days=9), now=am.now
    )
    shown = am.federation.credential(target=gid, ends_at=am.now + timedelta(days=1))

    def in_the_lab(document):
        return am.service.allocate(am.who(None, shown), lab, document, end_at=None, now=am.now)

    with pytest.raises(Refused, match="3 nodes asked for, 2 nodes left of 2 per project"):
        in_the_lab(nodes(3))
    in_the_lab(nodes(2))
    with pytest.raises(Refused, match="2 nodes asked for, 1 nodes left of 3 per authority"):
        am.allocate(nodes(2))
    am.allocate(nodes(1))


def test_whom_a_rule_means(under):
    am = under({"per": "user", "match": "urn:publicid:idn+PLC+user+b*", "nodes": 0})
    am.allocate(nodes(2))
    with pytest.raises(Refused):
        as_bob(am, nodes(1))


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        ({"cpus": 1.5}, "2 cores asked for, 1.5 cores left of 1.5"),
        ({"memory_mib": 600}, "1024 MiB of memory asked for, 600 MiB of memory left of 600"),
        ({"disk_mib": 0}, "2048 MiB of disk asked for, 0 MiB of disk left of 0"),
        ({"cpus": 1, "nodes": 1}, "2 nodes asked for, 1 nodes left of 1 per user; 2 cores asked for"),
        ({"sliver_types": ["vm"]}, "allows these sliver types: vm; 'container' was asked for"),
    ],
)
def test_what_is_limited(under, limit, says):
    am = under({"per": "user", **limit})
    with pytest.raises(Refused, match=says):
        am.allocate(nodes(2))


def test_leases(under):
    am = under({"name": "short", "per": "user", "lease_days": 2})
    am.allocate(nodes(1))
    described = am.provision()
    assert described.slivers[0].expires_at == am.now + timedelta(days=2)
    with pytest.raises(Refused, match="past what policy rule 'short' allows; the latest possible is 2026-06-03"):
        am.renew(am.now + timedelta(days=3))
    (state,) = am.renew(am.now + timedelta(days=3), as_long_as_possible=True)
    assert state.expires_at == am.now + timedelta(days=2)


def test_version_2_is_under_the_same_rules(under):
    am = under({"per": "slice", "nodes": 1})
    answer = am.v2(
        am.federation.alice, "CreateSliver", str(am.slice_urn), [am.federation.credential()], nodes(2), [], {}
    )
    assert answer["code"]["geni_code"] == 7


class OfficeHours:
    """What a plugin looks like."""

    def refusal(self, asked):
        return "not on Sundays" if asked.amounts["nodes"] > 1 else ""

    def longest(self, actor, slice_urn):
        return timedelta(hours=8) if actor.name == "alice" else None


def test_a_rule_in_python(under):
    am = under(**{"office hours": OfficeHours()})
    with pytest.raises(Refused, match="policy 'office hours': not on Sundays"):
        am.allocate(nodes(2))
    am.allocate(nodes(1))
    assert am.provision().slivers[0].expires_at == am.now + timedelta(hours=8)


def test_plugins_are_found_by_name(monkeypatch):
    from sfa_am import app

    class Point:
        name = "office-hours"

        @staticmethod
        def load():
            return lambda settings: OfficeHours() if settings["from"] == 8 else None

    monkeypatch.setattr(app, "entry_points", lambda group: [Point] if group == "sfa_am.policies" else [])
    policy = {"name": "hours", "plugin": "office-hours", "settings": {"from": 8}}
    rules = app.load_policies(from_values({"policy": [policy]}))
    alice = URN("plc", "user", "alice")
    assert [rule.rule for rule in rules.longest(alice, URN("plc", "slice", "s1"))] == ["hours"]
    with pytest.raises(ConfigError, match="no plugin 'office' is installed; installed are: office-hours"):
        app.load_policies(from_values({"policy": [{**policy, "plugin": "office"}]}))
