"""`sfi` and an aggregate that speaks version 2 only, with the certificate of its authority."""

import json
import time

import pytest
from clients.conftest import User
from clients.version_2_aggregate import SLIVER, Version2Aggregate


@pytest.fixture
def old(alice, tmp_path):
    """alice, whose folder trusts the old aggregate's authority too and leads to it."""
    with Version2Aggregate(tmp_path) as aggregate:
        yield _towards(alice, aggregate)


def _towards(alice, aggregate):
    class Old(User):
        def run(self, *arguments, **more):
            return super().run("-s", aggregate.url, *arguments, **more)

    roots = alice.folder / "roots.pem"
    ours = roots.read_text().partition("# old\n")[0]
    roots.write_text(f"{ours}# old\n{aggregate.root_pem}")
    user = Old(alice.server, alice.folder)
    user.aggregate = aggregate
    return user


def methods(user):
    return [method for method, _ in user.aggregate.sent]


def test_create_is_one_call_and_the_rest_follows(old, new_slice, request_file):
    new_slice("old")
    assert list(old.json("create", "old", request_file)["took"]) == ["provisioned", "ready"]
    assert methods(old).count("CreateSliver") == 1
    urn, credentials, _, users, _ = next(sent for method, sent in old.aggregate.sent if method == "CreateSliver")
    assert urn == "urn:publicid:IDN+plc+slice+old"
    assert all("<signed-credential" in one for one in credentials)
    assert users[0]["urn"] == "urn:publicid:IDN+plc+user+alice"
    (state,) = old.json("status", "old")
    assert state["geni_sliver_urn"] == SLIVER
    assert state["geni_operational_status"] == "geni_ready"
    assert "plc.old: 1 ready" in old("wait", "old")
    assert 'type="manifest"' in old("describe", "old")
    old("renew", "old", "2026-12-30")
    assert ("RenewSliver", "2026-12-30T00:00:00Z") in [(m, sent[2]) for m, sent in old.aggregate.sent if len(sent) > 2]
    assert "Deleted 1 sliver " in old("delete", "old")
    assert "nothing is left" in old("wait", "old", "--for", "deleted")
    assert ["plc.old", "none"] in [line.split()[:2] for line in old("slices").splitlines()]


def test_resources_are_shown_as_ever(old):
    assert "pc1\t" in old("resources")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("allocate", "two", "REQUEST"), "`sfi create SLICE REQUEST` does both"),
        (("allocate", "two", "REQUEST", "--dry-run"), "`sfi create SLICE REQUEST` does both"),
        (("provision", "two"), "`sfi create SLICE REQUEST` does both"),
        (("action", "two", "restart"), "start, stop or otherwise change"),
        (("delete", "two", SLIVER), "single slivers deleted"),
        (("renew", "two", SLIVER, "+1d"), "single slivers renewed"),
    ],
)
def test_what_version_2_has_not_is_refused_in_a_sentence(old, new_slice, request_file, arguments, says):
    new_slice("two")
    refused = old.refused(*(request_file if one == "REQUEST" else one for one in arguments))
    assert "speaks version 2 of the AM API" in refused
    assert says in refused
    assert set(methods(old)) <= {"GetVersion", "SliverStatus"}


def test_a_user_of_the_same_authority_is_not_taken_for_the_server(alice, tmp_path):
    with Version2Aggregate(tmp_path, shows_user=True) as aggregate:
        eve = _towards(alice, aggregate)
        assert "is not who it should be" in eve.refused("resources", status=3)
        assert aggregate.sent == []


def test_version_3_is_spoken_where_it_is_announced(old, server):
    old.aggregate.newer["3"] = f"http://localhost:{server.am_port}/am/3"
    assert "node1\t" in old("resources")
    assert methods(old) == ["GetVersion"]


def test_versions_that_nobody_speaks_here_are_named(old):
    old.aggregate._GetVersion = lambda *_: {"geni_api": 1, "code": {"geni_code": 0}, "value": {"geni_api": 1}}
    assert "speaks version 1 of the AM API; 3 and 2 are spoken here" in old.refused("resources")


def test_our_own_door_of_version_2_is_spoken_to_like_any_other(alice, server, new_slice, request_file):
    new_slice("ours")
    url = f"https://localhost:{server.am_port}/am/2"
    # It announces version 3 as well; that it does not is only said in what is remembered of it.
    remembered = {url: {"url": url, "version": 2, "is_sfawrap": False, "at": time.time()}}
    (alice.folder / "cache" / "aggregates.json").write_text(json.dumps(remembered))
    assert "ready" in alice("-s", url, "create", "ours", request_file)
    assert "sliver" in alice("-s", url, "status", "ours")
    assert "left: ssh -p " in alice("-s", url, "status", "ours")
    alice("-s", url, "renew", "ours", "+1d")
    assert "Deleted 3 slivers" in alice("-s", url, "delete", "ours")
    assert "nothing is left" in alice("-s", url, "wait", "ours", "--for", "deleted")
