"""The ten calls: the walk, who may, what each does and refuses."""

import base64
import zlib
from dataclasses import replace
from datetime import timedelta

import pytest
from unit.am.small import GENI, OTHER_KEY, everything, request, used

from rspec import read_advertisement, read_manifest
from sfa_am.errors import (
    BadArgs,
    Forbidden,
    NotFound,
    Refused,
    Unsupported,
)
from sfa_am.slices.states import Allocation
from sfa_am.store import schema


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
    text = am.service.list_resources(am.who(), available_only=False, now=am.now).text
    (node,) = read_advertisement(text).nodes
    assert node.is_available
    assert [kind.name for kind in node.sliver_types] == ["container", "container-large"]
    assert 'start="geni_configuring"' in text
    am.backend.is_away = True
    am.sweep()
    (node,) = read_advertisement(am.service.list_resources(am.who(), available_only=False, now=am.now).text).nodes
    assert not node.is_available
    assert read_advertisement(am.service.list_resources(am.who(), available_only=True, now=am.now).text).nodes == ()


def test_describing_a_slice_without_slivers_gives_an_empty_manifest(am):
    described = am.service.describe(am.who(), [str(am.slice_urn)], now=am.now)
    assert described.slivers == []
    assert read_manifest(described.manifest).nodes == ()


def test_unknown_parts_of_the_request_are_in_the_manifest(am):
    text = f'<rspec {GENI} xmlns:x="urn:x"><node client_id="a" x:color="red"><x:tea milk="yes"/></node></rspec>'
    manifest = am.allocate(text).manifest
    assert 'color="red"' in manifest
    assert 'milk="yes"' in manifest


def test_unknown_parts_around_the_nodes_are_in_the_manifest_while_the_slice_has_slivers(am):
    def text(name, element):
        return f'<rspec {GENI} xmlns:x="urn:x"><node client_id="{name}"/><x:{element} sugar="no"/></rspec>'

    def described():
        return read_manifest(am.service.describe(am.who(), [str(am.slice_urn)], now=am.now).manifest)

    assert "x:tea" in am.allocate(text("a", "tea")).manifest
    assert "x:tea" in am.allocate(text("b", "cup")).manifest
    assert [extension.source for extension in described().extensions] == [
        '<x:tea xmlns:x="urn:x" sugar="no"/>',
        '<x:cup xmlns:x="urn:x" sugar="no"/>',
    ]
    am.service.delete(am.who(), [str(am.slice_urn)], best_effort=False, now=am.now)
    assert described().extensions == ()
    am.allocate(text("c", "pot"))
    assert [extension.source[:6] for extension in described().extensions] == ["<x:pot"]


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


def test_an_advertisement_is_handed_out_again_while_it_is_true(am):
    def advertised(later=timedelta(0)):
        return am.service.list_resources(am.who(), available_only=False, now=am.now + later)

    first = advertised()
    assert advertised(timedelta(seconds=4)) is first
    assert zlib.decompress(base64.b64decode(first.compressed)).decode() == first.text
    assert advertised(timedelta(seconds=6)) is not first
    again = advertised(timedelta(seconds=6))
    am.allocate(f'<rspec {GENI}><node client_id="a"/></rspec>')
    assert advertised(timedelta(seconds=6)) is not again
