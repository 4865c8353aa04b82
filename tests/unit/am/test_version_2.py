"""AM API version 2: the same aggregate, seen as one reservation per slice."""

import base64
import zlib
from datetime import timedelta

import pytest
from conftest import NOW
from unit.am.small import KEY, REQUEST

from rspec import read_manifest
from sfa_am.store import schema

SLICE = "urn:publicid:IDN+plc+slice+s1"
RSPEC = {"geni_rspec_version": {"type": "GENI", "version": "3"}}


@pytest.fixture
def alice(am):
    return am.federation.alice


@pytest.fixture
def call(am, alice):
    credential = am.federation.credential(ends_at=NOW + timedelta(days=30))

    def call(method, *arguments, person=None, credentials=(credential,)):
        first = () if method == "ListResources" else (SLICE,)
        return am.v2(person or alice, method, *first, list(credentials), *arguments)

    return call


@pytest.fixture
def users(alice):
    return [{"urn": str(alice.urn), "keys": [KEY]}]


def code(answer):
    return answer["code"]["geni_code"]


def test_get_version(am, alice):
    answer = am.v2(alice, "GetVersion")
    assert (answer["geni_api"], answer["value"]["geni_api"]) == (2, 2)
    assert answer["value"]["geni_api_versions"] == {"2": "https://here/am/2", "3": "https://here/am/3"}
    assert am.v3(alice, "GetVersion")["value"]["geni_api_versions"] == answer["value"]["geni_api_versions"]


def test_a_life(am, call, users):
    created = call("CreateSliver", REQUEST, users, {})
    assert (code(created), created["geni_api"]) == (0, 2)
    manifest = read_manifest(created["value"])
    assert {node.client_id for node in manifest.nodes} == {"left", "right"}
    status = call("SliverStatus", {})["value"]
    assert (status["geni_urn"], status["geni_status"]) == (SLICE, "configuring")
    am.work()
    status = call("SliverStatus", {})["value"]
    assert status["geni_status"] == "ready"
    assert {one["geni_client_id"]: one["geni_status"] for one in status["geni_resources"]} == dict.fromkeys(
        ("left", "right", "cable"), "ready"
    )
    left = next(one for one in status["geni_resources"] if one["geni_client_id"] == "left")
    (user,) = left["users"]
    assert (user["login"], user["protocol"], user["keys"]) == ("alice", "ssh", [KEY])
    end = NOW + timedelta(days=20)
    assert call("RenewSliver", end.isoformat(), {})["value"] is True
    assert call("SliverStatus", {})["value"]["geni_expires"] == "2026-06-21T12:00:00Z"
    listed = call("ListResources", {**RSPEC, "geni_slice_urn": SLICE, "geni_compressed": True})["value"]
    assert len(read_manifest(zlib.decompress(base64.b64decode(listed))).nodes) == 2
    assert call("DeleteSliver", {})["value"] is True
    assert code(call("SliverStatus", {})) == 12
    am.work()
    assert am.backend.things == {}


def test_options_may_be_left_out(am, call, users):
    assert code(call("CreateSliver", REQUEST, users)) == 0
    assert code(call("SliverStatus")) == 0
    assert code(call("RenewSliver", (NOW + timedelta(days=1)).isoformat())) == 0
    assert code(call("DeleteSliver")) == 0


def test_a_slice_that_has_something_is_not_created_again(am, call, users):
    call("CreateSliver", REQUEST, users, {})
    answer = call("CreateSliver", REQUEST.replace("left", "other"), users, {})
    assert code(answer) == 17
    assert "Delete" in answer["output"]
    assert len(am.rows(schema.sliver)) == 3


def test_what_can_not_be_made_is_not_reserved(am, call, users):
    answer = call("CreateSliver", REQUEST.replace('name="container"', 'name="mainframe"'), users, {})
    assert code(answer) == 1
    assert am.rows(schema.sliver) == am.rows(schema.claim) == am.rows(schema.operation) == []
    answer = call("CreateSliver", REQUEST, [{"urn": str(am.federation.alice.urn), "keys": ["not a key"]}], {})
    assert code(answer) == 1
    assert am.rows(schema.sliver) == []


def test_a_slice_without_slivers(call):
    listed = call("ListResources", {**RSPEC, "geni_slice_urn": SLICE})
    assert read_manifest(listed["value"]).nodes == ()
    for method, arguments in (
        ("SliverStatus", ()),
        ("DeleteSliver", ()),
        ("RenewSliver", ((NOW + timedelta(days=1)).isoformat(),)),
        ("Shutdown", ()),
    ):
        assert code(call(method, *arguments, {})) == 12, method


def test_renewing_too_far(am, call, users):
    call("CreateSliver", REQUEST, users, {})
    far = (NOW + timedelta(days=300)).isoformat()
    answer = call("RenewSliver", far, {})
    assert (code(answer), answer["value"]) == (7, "2026-07-01T12:00:00Z")
    assert "the end of your credential" in answer["output"]
    assert call("RenewSliver", far, {"geni_extend_alap": True})["value"] is True
    assert call("SliverStatus", {})["value"]["geni_expires"] == "2026-07-01T12:00:00Z"


def test_shutdown(am, call, users):
    call("CreateSliver", REQUEST, users, {})
    assert call("Shutdown", {})["value"] is True
    assert code(call("DeleteSliver", {})) == 3


def test_states_of_machines_that_are_off_or_broken(am, call, users):
    from backends.protocol import Impossible

    am.backend.failures.append(Impossible("no such luck"))
    call("CreateSliver", REQUEST, users, {})
    am.work()
    status = call("SliverStatus", {})["value"]
    assert status["geni_status"] == "failed"
    assert sorted(one["geni_error"] for one in status["geni_resources"])[-1] == "no such luck"
    am.act("geni_stop", [one["geni_urn"] for one in status["geni_resources"] if one["geni_client_id"] == "right"])
    am.work()
    each = {one["geni_client_id"]: one["geni_status"] for one in call("SliverStatus", {})["value"]["geni_resources"]}
    assert "unknown" in each.values() or "failed" in each.values()


def test_strangers_learn_nothing(am, call, users):
    call("CreateSliver", REQUEST, users, {})
    bob = am.federation.bob
    for method, arguments in (
        ("SliverStatus", ()),
        ("DeleteSliver", ()),
        ("RenewSliver", ((NOW + timedelta(days=1)).isoformat(),)),
        ("CreateSliver", (REQUEST, users)),
        ("Shutdown", ()),
    ):
        answers = [
            call(method, *arguments, {}, person=bob, credentials=shown)
            for shown in ([], [am.federation.credential(bob, am.federation.slice_gid("other"))])
        ]
        assert {code(answer) for answer in answers} == {3}, method


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("CreateSliver", ()),
        ("CreateSliver", (7, [], {})),
        ("CreateSliver", (REQUEST, "users", {})),
        ("CreateSliver", (REQUEST, [{"keys": []}], {})),
        ("RenewSliver", ()),
        ("RenewSliver", ("tomorrow", {})),
        ("RenewSliver", ("2026-06-10T12:00:00", {})),
        ("SliverStatus", ({}, {}, {})),
        ("SliverStatus", ([],)),
        ("ListResources", ({},)),
        ("ListResources", ({**RSPEC, "geni_slice_urn": "urn:publicid:IDN+plc+user+alice"},)),
    ],
)
def test_bad_arguments(am, call, method, arguments):
    answer = call(method, *arguments)
    assert code(answer) == 1
    assert answer["output"].isascii()
    assert am.rows(schema.sliver) == []


def test_both_versions_see_the_same(am, call, users, alice):
    call("CreateSliver", REQUEST, users, {})
    am.work()
    assert am.states() == dict.fromkeys(("left", "right", "cable"), "geni_ready")
    am.delete()
    assert code(call("SliverStatus", {})) == 12
    am.allocate()
    assert call("SliverStatus", {})["value"]["geni_status"] == "unknown"  # promised, and not yet wanted
    assert code(call("CreateSliver", REQUEST, users, {})) == 17


# One address for both


def test_either_version_by_the_shape_of_the_call(am, alice, users):
    bare = am.federation.credential()
    struct = {"geni_type": "geni_sfa", "geni_version": "3", "geni_value": bare}
    for method, sent, version in (
        ("GetVersion", (), 3),
        ("CreateSliver", (SLICE, [bare], REQUEST, users, {}), 2),
        ("Status", ([SLICE], [struct], {}), 3),
        ("SliverStatus", (SLICE, [bare], {}), 2),
        ("ListResources", ([bare], RSPEC), 2),
        ("ListResources", ([struct], RSPEC), 3),
        ("ListResources", ([struct], {**RSPEC, "geni_slice_urn": SLICE}), 2),
        ("Shutdown", (SLICE, [struct], {}), 3),
    ):
        answer = am.either(alice, method, *sent)
        assert (answer["geni_api"], code(answer)) == (version, 0), method
    assert am.either(alice, "Shutdown", SLICE, [bare])["geni_api"] == 2
    assert am.either(alice, "Shutdown")["geni_api"] == 3  # to be told what is missing
