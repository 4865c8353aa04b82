"""The ten calls: what they do, what they refuse, and that a refusal changes nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from backends.protocol import BackendError, Impossible, Unavailable
from backends.simulated import SimulatedBackend
from rspec import read_advertisement, read_manifest
from sfa_am.config import Limits
from sfa_am.errors import (
    AlreadyExists,
    BadArgs,
    BadVersion,
    Forbidden,
    NotFeasible,
    NotFound,
    Refused,
    Unsupported,
)
from sfa_am.errors import Unavailable as AggregateUnavailable
from sfa_am.slices.states import Allocation
from sfa_am.store import schema

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFub3RoZXIgcHVibGljIGtleSBvZiBhIHRlc3Qh someone"
GENI = 'xmlns="http://www.geni.net/resources/rspec/3" type="request"'


def request(*elements):
    return f"<rspec {GENI}>{''.join(elements)}</rspec>"


def everything(am):
    """All rows that a refused call must not have changed."""
    tables = (schema.slice_, schema.sliver, schema.claim, schema.capacity, schema.operation, schema.event)
    return [am.rows(table) for table in tables]


def used(am, resource="slivers"):
    return sum(row["used"] for row in am.rows(schema.capacity) if row["resource"] == resource)


def claims_add_up(am):
    held = {}
    for row in am.rows(schema.claim):
        held[row["resource"]] = held.get(row["resource"], 0) + row["amount"]
    return all(held.get(row["resource"], 0) == row["used"] for row in am.rows(schema.capacity))


# The walk


def test_from_allocate_to_ready_to_gone(am):
    allocated = am.allocate()
    assert {s.allocation for s in allocated.slivers} == {Allocation.ALLOCATED}
    assert am.states() == dict.fromkeys(("left", "right", "cable"), "geni_pending_allocation")
    assert used(am) == 2
    am.provision()
    assert am.woken == 1
    assert set(am.states().values()) == {"geni_configuring"}
    am.work()
    assert set(am.states().values()) == {"geni_ready"}
    node = read_manifest(am.service.describe(am.who(), [str(am.slice_urn)], now=am.now).manifest).nodes[0]
    assert (node.client_id, node.logins[0].username) == ("left", "alice")
    am.delete()
    assert used(am) == 2  # not free before it is confirmed
    with pytest.raises(NotFound):
        am.status()
    am.work()
    assert used(am) == 0
    assert am.rows(schema.sliver) == am.rows(schema.claim) == am.rows(schema.operation) == []
    assert am.backend.things == {}


def test_what_happened_is_written_down_with_who_did_it(am):
    am.allocate()
    am.provision()
    am.work()
    what = [(row["actor"].rpartition("+")[2], row["what"]) for row in am.rows(schema.event)]
    assert (
        what.count(("alice", "Allocate"))
        == what.count(("alice", "Provision"))
        == what.count(("worker", "running"))
        == 3
    )


def test_the_advertisement_shows_what_is_free_and_how_slivers_behave(am):
    text = am.service.list_resources(am.who(), available_only=False, now=am.now)
    (node,) = read_advertisement(text).nodes
    assert (node.available, node.sliver_types) == (True, ("container", "container-large"))
    assert 'start="geni_configuring"' in text
    am.backend.is_away = True
    am.sweep()
    (node,) = read_advertisement(am.service.list_resources(am.who(), available_only=False, now=am.now)).nodes
    assert not node.available
    assert read_advertisement(am.service.list_resources(am.who(), available_only=True, now=am.now)).nodes == ()


def test_describing_a_slice_without_slivers_gives_an_empty_manifest(am):
    described = am.service.describe(am.who(), [str(am.slice_urn)], now=am.now)
    assert described.slivers == []
    assert read_manifest(described.manifest).nodes == ()


def test_unknown_parts_of_the_request_are_in_the_manifest(am):
    text = f'<rspec {GENI} xmlns:x="urn:x"><node client_id="a" x:color="red"><x:tea milk="yes"/></node></rspec>'
    manifest = am.allocate(text).manifest
    assert 'color="red"' in manifest
    assert 'milk="yes"' in manifest


def test_links_without_addresses_get_networks_that_do_not_overlap(am):
    nodes = [
        f'<node client_id="n{i}"><interface client_id="n{i}:a"/><interface client_id="n{i}:b"/></node>' for i in (1, 2)
    ]
    links = [
        f'<link client_id="l{k}"><interface_ref client_id="n1:{k}"/><interface_ref client_id="n2:{k}"/></link>'
        for k in "ab"
    ]
    manifest = read_manifest(am.allocate(request(*nodes, *links)).manifest)
    networks = {i.client_id: i.addresses[0].network for node in manifest.nodes for i in node.interfaces}
    assert networks["n1:a"] == networks["n2:a"] != networks["n1:b"] == networks["n2:b"]
    assert len({i.addresses[0] for node in manifest.nodes for i in node.interfaces}) == 4
    assert len({i.mac for node in manifest.nodes for i in node.interfaces}) == 4


# Refusals of Allocate: code, sentence, nothing changed


@pytest.mark.parametrize(
    ("text", "refusal", "says"),
    [
        ("", BadArgs, "not well-formed"),
        ("<rspec", BadArgs, "not well-formed"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><rspec/>', BadArgs, "document type"),
        ("<rspec/>", BadVersion, "GENI version 3 request is expected"),
        (
            '<rspec xmlns="http://www.protogeni.net/resources/rspec/2" type="request"/>',
            BadVersion,
            "ProtoGENI version 2",
        ),
        ('<rspec xmlns="http://www.geni.net/resources/rspec/3" type="manifest"/>', BadVersion, "type='manifest'"),
        (request(), BadArgs, "names no node"),
        (request("<node/>"), BadArgs, "line 1: a node has no client_id"),
        (request('<node client_id="a"/>' * 2), BadArgs, "'a' is there already"),
        (
            request('<node client_id="a"><sliver_type name="quantum"/></node>'),
            BadArgs,
            "'quantum' is not offered.*container",
        ),
        (
            request('<node client_id="a"><sliver_type name="container"><disk_image name="dos"/></sliver_type></node>'),
            BadArgs,
            "'dos' is not offered",
        ),
        (
            request('<node client_id="a" component_id="urn:publicid:IDN+plc+node+nowhere"/>'),
            BadArgs,
            "not at this aggregate",
        ),
        (
            request('<node client_id="a" component_id="urn:publicid:IDN+other+node+node1"/>'),
            BadArgs,
            "not at this aggregate",
        ),
        (
            request('<node client_id="a" component_manager_id="urn:publicid:IDN+other+authority+cm"/>'),
            BadArgs,
            "bound to .*other.* no node is for this aggregate",
        ),
        (request('<node client_id="a" component_manager_id="nonsense"/>'), BadArgs, "not a URN"),
        (request('<node client_id="a" exclusive="true"/>'), Unsupported, "exclusive"),
        (
            request('<node client_id="a"/><link client_id="l"><interface_ref client_id="a:0"/></link>'),
            BadArgs,
            "'a:0' is on no node",
        ),
        (
            request('<node client_id="a"><interface client_id="i"><ip address="10.0.0.300"/></interface></node>'),
            BadArgs,
            "10.0.0.300",
        ),
        (
            request(*(f'<node client_id="n{i}"><sliver_type name="container-large"/></node>' for i in range(40))),
            NotFeasible,
            "node 'n12'.*4096 MiB of memory needed, 2048 free",
        ),
        (request(*(f'<node client_id="n{i}"/>' for i in range(10_000))), NotFeasible, "10000 slivers.*1000"),
    ],
)
def test_a_request_that_can_not_be_met_is_refused_and_changes_nothing(am, text, refusal, says):
    before = everything(am)
    with pytest.raises(refusal, match=says):
        am.allocate(text)
    assert everything(am) == before


def test_the_part_of_a_request_for_other_aggregates_is_left_to_them(am):
    other = '<node client_id="far" component_manager_id="urn:publicid:IDN+other+authority+cm"/>'
    ours = '<node client_id="near" component_manager_id="urn:publicid:IDN+plc+authority+cm"/>'
    assert [s.client_id for s in am.allocate(request(other, ours)).slivers] == ["near"]


def test_a_link_to_another_aggregate_is_refused_by_name(am):
    far = (
        '<node client_id="far" component_manager_id="urn:publicid:IDN+other+authority+cm">'
        '<interface client_id="far:0"/></node>'
    )
    near = '<node client_id="near"><interface client_id="near:0"/></node>'
    link = '<link client_id="l"><interface_ref client_id="far:0"/><interface_ref client_id="near:0"/></link>'
    with pytest.raises(Unsupported, match=r"'l'.*'far:0' at another aggregate"):
        am.allocate(request(far, near, link))


def test_allocating_the_same_again_is_refused_and_adding_to_the_slice_is_not(am):
    am.allocate()
    before = everything(am)
    with pytest.raises(AlreadyExists, match="'cable', 'left', 'right'"):
        am.allocate()
    assert everything(am) == before
    am.allocate(request('<node client_id="third"/>'))
    assert set(am.states()) == {"left", "right", "cable", "third"}


def test_a_slice_holds_no_more_than_its_limit_over_several_calls(make_aggregate):
    am = make_aggregate(limits=Limits(slivers_per_slice=4))
    am.allocate()
    with pytest.raises(NotFeasible, match="has 3 here; one slice may hold 4"):
        am.allocate(request('<node client_id="a"/>', '<node client_id="b"/>'))


def test_nothing_is_placed_while_nothing_answers(am):
    am.backend.is_away = True
    am.sweep()
    with pytest.raises(AggregateUnavailable, match="try again later"):
        am.allocate()


def test_the_last_place_is_sold_once_whoever_asks(make_aggregate):
    am = make_aggregate(SimulatedBackend(capacity=2))
    am.allocate()
    with pytest.raises(NotFeasible, match="0 free"):
        am.allocate(request('<node client_id="a"/>'))
    assert used(am) == 2
    assert claims_add_up(am)


# Who may


def test_nobody_learns_anything_without_a_credential_for_the_slice(am, stranger):
    am.allocate()
    sliver = str(am.status()[0].urn)
    before = everything(am)
    bob, alice = am.federation.bob, am.federation.alice
    other = am.federation.credential(bob, am.federation.slice_gid("s2"))
    for person, document in (
        (bob, am.federation.credential(alice)),
        (bob, other),
        (stranger.alice, stranger.credential()),
    ):
        who = am.who(person, document)
        for call in (
            lambda who=who: am.service.status(who, [str(am.slice_urn)], now=am.now),
            lambda who=who: am.service.describe(who, [str(am.slice_urn)], now=am.now),
            lambda who=who: am.service.delete(who, [str(am.slice_urn)], best_effort=True, now=am.now),
            lambda who=who: am.service.shutdown(who, am.slice_urn, now=am.now),
        ):
            with pytest.raises(Forbidden):
                call()
    with pytest.raises(NotFound):  # a sliver of another slice looks like one that does not exist
        am.service.delete(am.who(bob, other), [sliver], best_effort=True, now=am.now)
    assert everything(am) == before


def test_no_credential_is_refused_with_what_is_needed(am):
    who = am.who()
    with pytest.raises(Forbidden, match="no credential of type geni_sfa was sent"):
        am.service.status(replace(who, documents=()), [str(am.slice_urn)], now=am.now)


def test_one_good_credential_among_bad_ones_suffices(am):
    am.allocate()
    good = am.federation.credential(ends_at=am.now + timedelta(days=1))
    am.service.status(am.who(None, "nonsense", good), [str(am.slice_urn)], now=am.now)


# Provision, Renew, actions, Delete, Shutdown


def test_provision_before_allocate_finds_nothing(am):
    with pytest.raises(NotFound):
        am.provision()


def test_provisioning_twice_is_refused_with_what_is_possible(am):
    am.allocate()
    am.provision()
    before = everything(am)
    with pytest.raises(Unsupported, match=r"Provision is not possible while a sliver is geni_provisioned"):
        am.provision()
    assert everything(am) == before


def test_part_of_a_slice_is_provisioned_by_naming_slivers(am):
    left = next(str(s.urn) for s in am.allocate().slivers if s.client_id == "left")
    am.provision([left])
    am.work()
    assert am.states() == {"left": "geni_ready", "right": "geni_pending_allocation", "cable": "geni_pending_allocation"}
    am.provision()
    am.work()
    assert set(am.states().values()) == {"geni_ready"}


def test_best_effort_does_what_it_can_and_says_what_it_could_not(am):
    slivers = am.allocate().slivers
    am.provision([str(slivers[0].urn)])
    urns = [str(s.urn) for s in slivers]
    with pytest.raises(Unsupported):
        am.provision(urns)
    done = {s.client_id: s for s in am.provision(urns, best_effort=True).slivers}
    assert "not possible" in done["left"].error
    assert done["right"].error == done["cable"].error == ""
    assert {s.allocation for s in done.values()} == {Allocation.PROVISIONED}


@pytest.mark.parametrize("key", ["", "nonsense", 'command="reboot" ssh-ed25519 AAAA', "ssh-ed25519 AAAA\nssh-rsa BBBB"])
def test_keys_that_are_no_plain_public_keys_are_refused(am, key):
    am.allocate()
    before = everything(am)
    with pytest.raises(BadArgs, match="OpenSSH public key"):
        am.provision(users=[("urn:publicid:IDN+plc+user+alice", [key])])
    assert everything(am) == before


def test_people_of_the_same_name_get_accounts_of_their_own(am):
    am.allocate()
    people = [
        f"urn:publicid:IDN+{authority}+user+{name}" for authority, name in (("a", "root"), ("a", "Ann"), ("b", "ann"))
    ]
    manifest = am.provision(users=[(urn, [OTHER_KEY]) for urn in people]).manifest
    for login in ("root2", "ann", "ann2"):
        assert f'login="{login}"' in manifest


def test_leases_end_where_policy_and_credential_end(am):
    assert {s.expires_at for s in am.allocate().slivers} == {am.now + timedelta(minutes=10)}
    assert {s.expires_at for s in am.provision(end_at=am.now + timedelta(days=400)).slivers} == {
        am.now + timedelta(days=30)
    }


def test_renewing_says_which_bound_applies_and_what_would_be_granted(am):
    am.allocate()
    with pytest.raises(Refused, match="longest lease before Provision") as caught:
        am.renew(am.now + timedelta(days=1))
    assert caught.value.value == "2026-06-01T14:00:00Z"
    am.provision()
    with pytest.raises(Refused, match="end of your credential"):
        am.renew(am.now + timedelta(days=40))
    assert {s.expires_at for s in am.renew(am.now + timedelta(days=40), as_long_as_possible=True)} == {
        am.now + timedelta(days=30)
    }
    assert {s.expires_at for s in am.renew(am.now + timedelta(days=20))} == {am.now + timedelta(days=20)}
    with pytest.raises(BadArgs, match="past"):
        am.renew(am.now - timedelta(seconds=1))


def test_actions_are_levels_that_the_backend_reaches(am):
    am.allocate()
    am.provision()
    am.work()
    for action, at_once, then in (
        ("geni_stop", "geni_stopping", "geni_notready"),
        ("geni_start", "geni_configuring", "geni_ready"),
        ("geni_restart", "geni_ready_busy", "geni_ready"),
        ("geni_reload", "geni_ready_busy", "geni_ready"),
    ):
        am.act(action)
        assert {am.states()[name] for name in ("left", "right")} == {at_once}, action
        am.work()
        assert {am.states()[name] for name in ("left", "right")} == {then}, action
    assert {(t.starts, t.disks) for t in am.backend.things.values() if t.spec.restarts} == {(4, 2)}


def test_starting_what_runs_is_no_error_and_changes_nothing(am):
    am.allocate()
    am.provision()
    am.work()
    am.act("geni_start")
    assert set(am.states().values()) == {"geni_ready"}


def test_unknown_and_impossible_actions_are_refused_with_those_that_are_known(am):
    am.allocate()
    with pytest.raises(Unsupported, match=r"geni_dance.*geni_start.*geni_stop"):
        am.act("geni_dance")
    with pytest.raises(Unsupported, match="geni_pending_allocation"):
        am.act("geni_start")


def test_deleting_twice_finds_nothing_the_second_time(am):
    am.allocate()
    am.delete()
    with pytest.raises(NotFound):
        am.delete()
    assert used(am) == 0


def test_a_slice_that_was_shut_down_stands_still(am):
    am.allocate()
    am.provision()
    am.work()
    am.service.shutdown(am.who(), am.slice_urn, now=am.now)
    am.work()
    assert am.states()["left"] == "geni_notready"
    for call in (
        am.allocate,
        am.provision,
        am.delete,
        lambda: am.act("geni_start"),
        lambda: am.renew(am.now + timedelta(days=1)),
    ):
        with pytest.raises(Forbidden, match="shut down"):
            call()


@pytest.mark.parametrize(
    "urns",
    [
        [],
        ["nonsense"],
        ["urn:publicid:IDN+plc+user+alice"],
        ["urn:publicid:IDN+plc+slice+s1", "urn:publicid:IDN+plc+slice+s2"],
        ["urn:publicid:IDN+plc+slice+s1", "urn:publicid:IDN+plc+sliver+abc"],
    ],
)
def test_urns_that_name_no_slice_or_several_are_bad_arguments(am, urns):
    with pytest.raises(BadArgs):
        am.service.status(am.who(), urns, now=am.now)


# What goes wrong underneath


def test_an_allocated_sliver_is_gone_after_ten_minutes(am):
    am.allocate()
    am.wait(minutes=9, seconds=59)
    assert am.expire() == 0
    am.wait(seconds=1)
    assert am.expire() == 3
    assert used(am) == 0
    with pytest.raises(NotFound):
        am.status()


def test_a_provisioned_sliver_is_removed_when_its_lease_ends(am):
    am.allocate()
    am.provision()
    am.work()
    am.wait(days=7)
    assert am.expire() == 3
    am.work()
    assert am.backend.things == {}
    assert used(am) == 0


@pytest.mark.parametrize("action", ["geni_start", "geni_restart", "geni_reload"])
def test_a_failure_is_tried_again_and_given_up_with_its_sentence_until_asked_for_anew(am, action):
    am.allocate(request('<node client_id="a"/>'))
    am.provision()
    am.backend.failures = [BackendError("the disk is full")] * 5
    for _ in range(5):
        assert am.states() == {"a": "geni_configuring"}
        am.work(1)
        am.wait(minutes=2)
    (state,) = am.status()
    assert (state.operational.value, state.error) == ("geni_failed", "given up after 5 tries: the disk is full")
    am.act(action)
    am.work()
    assert am.states() == {"a": "geni_ready"}


def test_what_can_never_be_made_fails_at_once(am):
    am.allocate(request('<node client_id="a"/>'))
    am.provision()
    am.backend.failures = [Impossible("no such thing")]
    am.work()
    assert [(s.operational.value, s.error) for s in am.status()] == [("geni_failed", "no such thing")]


def test_a_foreign_exception_is_not_shown(am):
    am.allocate(request('<node client_id="a"/>'))
    am.provision()
    am.backend.failures = [RuntimeError("password=hunter2")] * 5
    for _ in range(5):
        am.work(1)
        am.wait(minutes=2)
    (state,) = am.status()
    assert "hunter2" not in state.error
    assert "internal error" in state.error


def test_a_backend_that_is_away_is_waited_for_without_giving_up(am):
    am.allocate(request('<node client_id="a"/>'))
    am.provision()
    am.backend.failures = [Unavailable("nobody there")] * 50
    for _ in range(50):
        am.work(1)
        am.wait(minutes=2)
    am.work()
    assert am.states() == {"a": "geni_ready"}


def test_a_failed_removal_is_tried_until_it_works_and_holds_the_capacity(am):
    am.allocate(request('<node client_id="a"/>'))
    am.provision()
    am.work()
    am.delete()
    am.backend.failures = [BackendError("busy")] * 20
    for _ in range(20):
        am.work(1)
        assert used(am) == 1
        am.wait(minutes=2)
    am.work()
    assert used(am) == 0


def test_the_sweep_makes_again_what_vanished_and_removes_what_nobody_wants(am):
    am.allocate()
    am.provision()
    am.work()
    lost = next(iter(am.backend.things))
    orphan = am.backend.things.pop(lost)
    am.backend.things["orphan"] = replace(orphan, spec=replace(orphan.spec, sliver="orphan"))
    assert am.sweep() == 1
    am.work()
    assert lost in am.backend.things
    assert "orphan" not in am.backend.things
    assert set(am.states().values()) == {"geni_ready"}
