"""Update and Cancel: a slice that runs is changed into another one, or not."""

from datetime import timedelta

import pytest
from unit.am.small import claims_add_up, everything, request, used

from rspec import read_manifest
from sfa_am.errors import BadArgs, Forbidden, NotFeasible, NotFound, Unsupported
from sfa_am.store import schema


def node(name, *interfaces):
    inside = "".join(f'<interface client_id="{name}:{i}"/>' for i in interfaces)
    return f'<node client_id="{name}"><sliver_type name="container"/>{inside}</node>'


def link(name, *ends):
    return f'<link client_id="{name}">{"".join(f"<interface_ref client_id={e!r}/>" for e in ends)}</link>'


PAIR = (node("a", 0), node("b", 0), link("ab", "a:0", "b:0"))
OTHERS = (node("c", 0), node("d", 0), link("cd", "c:0", "d:0"))


@pytest.fixture
def running(am):
    """A slice with a pair of machines that run."""
    am.allocate(request(*PAIR))
    am.provision()
    am.work()
    return am


@pytest.fixture
def lone(am):
    """A slice with two machines that run, and nothing between them."""
    am.allocate(request(node("a"), node("b")))
    am.provision()
    am.work()
    return am


def update(am, *elements, **options):
    options = {"end_at": None, "now": am.now, **options}
    return am.service.update(am.who(), am.slice_urn, request(*elements), **options)


def cancel(am, urns=None):
    return am.service.cancel(am.who(), urns or [str(am.slice_urn)], best_effort=False, now=am.now)


def allocations(am):
    return {state.client_id: state.allocation.value.removeprefix("geni_") for state in am.status()}


def test_adding_and_removing(lone):
    described = update(lone, node("a"), *OTHERS)
    assert allocations(lone) == {
        "a": "provisioned",
        "b": "updating",
        "c": "allocated",
        "d": "allocated",
        "cd": "allocated",
    }
    assert {n.client_id for n in read_manifest(described.manifest).nodes} == {"a", "b", "c", "d"}
    lone.work()
    assert len(lone.backend.things) == 2  # nothing has happened yet
    provisioned = lone.provision()
    assert {s.client_id: s.allocation.value for s in provisioned.slivers} == {
        "b": "geni_unallocated",
        "c": "geni_provisioned",
        "d": "geni_provisioned",
        "cd": "geni_provisioned",
    }
    assert {n.client_id for n in read_manifest(provisioned.manifest).nodes} == {"c", "d"}
    lone.work()
    assert lone.states() == dict.fromkeys(("a", "c", "d", "cd"), "geni_ready")
    assert len(lone.backend.things) == 4
    assert used(lone) == 3
    assert claims_add_up(lone)


def test_what_stays_is_not_touched(running):
    before = {row["client_id"]: row for row in running.rows(schema.sliver)}
    update(running, *PAIR, *OTHERS)
    running.provision()
    running.work()
    after = {row["client_id"]: row for row in running.rows(schema.sliver)}
    for name in ("a", "b", "ab"):
        assert after[name] == before[name]


def test_taking_it_back(running):
    before = everything(running)[1:5]
    update(running, *OTHERS)
    states = cancel(running)
    assert {s.client_id: s.allocation.value for s in states} == {
        **dict.fromkeys(("a", "b", "ab"), "geni_provisioned"),
        **dict.fromkeys(("c", "d", "cd"), "geni_unallocated"),
    }
    assert everything(running)[1:5] == before
    with pytest.raises(Unsupported, match="Cancel is not possible while a sliver is geni_provisioned"):
        cancel(running)


def test_an_update_that_nobody_carries_out_is_given_up(running):
    before = everything(running)[1:5]
    update(running, *OTHERS)
    running.wait(minutes=9)
    running.expire()
    assert allocations(running)["b"] == "updating"
    running.wait(minutes=2)
    running.expire()
    assert everything(running)[1:5] == before
    assert [row["what"] for row in running.rows(schema.event)].count("update given up") == 3


def test_an_update_may_be_updated(running):
    update(running, *OTHERS)
    update(running, *PAIR, OTHERS[0])
    assert allocations(running) == {"a": "provisioned", "b": "provisioned", "ab": "provisioned", "c": "allocated"}
    assert claims_add_up(running)
    update(running, *PAIR)
    assert allocations(running) == {"a": "provisioned", "b": "provisioned", "ab": "provisioned"}
    assert claims_add_up(running)
    assert used(running) == 2


def test_what_is_only_promised_may_change(am):
    am.allocate(request(*PAIR))
    first = {row["client_id"]: row["id"] for row in am.rows(schema.sliver)}
    update(am, node("a", 0), node("b", 0, 1), link("ab", "a:0", "b:0"), node("c"))
    second = {row["client_id"]: row["id"] for row in am.rows(schema.sliver)}
    assert second.keys() == {*first, "c"}
    assert second["b"] != first["b"]
    am.provision()
    am.work()
    assert set(am.states().values()) == {"geni_ready"}
    assert claims_add_up(am)


def test_a_running_machine_is_not_changed(running):
    before = everything(running)
    with pytest.raises(Unsupported, match=r"node 'a' \(line \d+\) runs already and is described otherwise"):
        update(running, node("a", 0, 1), *PAIR[1:])
    with pytest.raises(Unsupported, match="interface 'a:0' of a node that runs already"):
        update(running, *PAIR[:2], node("c", 0), link("ac", "a:0", "c:0"))
    with pytest.raises(Unsupported, match=r"link 'ab' \(line \d+\) runs already"):
        update(running, *PAIR[:2], link("ab", "b:0", "a:0"))
    assert everything(running) == before


def test_too_much(running):
    before = everything(running)
    with pytest.raises(NotFeasible):
        update(running, *PAIR, *(node(f"n{i}") for i in range(200)))
    assert everything(running) == before


def test_who_may_and_what(running):
    am = running
    before = everything(am)
    bob = am.federation.bob
    looks_only = am.federation.credential(bob, privileges={"info": False})
    with pytest.raises(Forbidden):
        am.service.update(am.who(bob, looks_only), am.slice_urn, request(*OTHERS), end_at=None, now=am.now)
    with pytest.raises(Forbidden):
        am.service.cancel(am.who(bob, looks_only), [str(am.slice_urn)], best_effort=False, now=am.now)
    with pytest.raises(BadArgs):
        update(am)
    assert everything(am) == before


def test_an_empty_slice_has_nothing_to_update(am):
    with pytest.raises(NotFound):
        update(am, *PAIR)
    with pytest.raises(NotFound):
        cancel(am)


def test_a_slice_that_was_shut_down(running):
    running.service.shutdown(running.who(), running.slice_urn, now=running.now)
    for work in (lambda: update(running, *OTHERS), lambda: cancel(running)):
        with pytest.raises(Forbidden):
            work()


def test_what_is_about_to_go_still_runs(lone):
    update(lone, node("a"))
    assert lone.states() == dict.fromkeys(("a", "b"), "geni_ready")
    lone.sweep()
    lone.work()
    assert len(lone.backend.things) == 2
    (going,) = lone.act("geni_restart", [str(s.urn) for s in lone.status() if s.client_id == "b"])
    assert (going.allocation.value, going.operational.value) == ("geni_updating", "geni_ready_busy")
    lone.work()
    assert lone.states()["b"] == "geni_ready"
    lone.renew(lone.now + timedelta(days=3))
    lone.delete()
    lone.work()
    assert lone.backend.things == {}
    assert used(lone) == 0


def test_a_backend_that_starts_again_is_told_of_what_is_about_to_go(lone):
    from sfa_am.orchestration.backend_service import _BackendHost

    update(lone, node("a"), node("c"))
    host = _BackendHost("sim", lone.store, lambda: lone.now, lambda: None, lambda: None)
    assert {spec.shape.hostname for spec in host.desired()} == {"a", "b"}


def test_leases_of_what_is_about_to_go_end_as_before(lone):
    lone.renew(lone.now + timedelta(minutes=5))
    update(lone, node("a"))
    lone.wait(minutes=6)
    lone.expire()
    lone.work()
    assert lone.backend.things == {}


def test_describe_as_if_cancelled(running):
    update(running, *OTHERS)
    urns = [str(running.slice_urn)]
    described = running.service.describe(running.who(), urns, without_update=True, now=running.now)
    assert {s.client_id: s.allocation.value for s in described.slivers} == dict.fromkeys(
        ("a", "b", "ab"), "geni_provisioned"
    )
    assert {n.client_id for n in read_manifest(described.manifest).nodes} == {"a", "b"}


def test_a_dry_run(running):
    before = everything(running)
    described = update(running, *OTHERS, dry_run=True)
    assert {s.allocation.value for s in described.slivers} == {"geni_updating", "geni_allocated"}
    assert everything(running) == before


def test_through_the_door(running):
    am = running
    credential = [{"geni_type": "geni_sfa", "geni_version": "3", "geni_value": am.federation.credential()}]
    alice, slice_urn = am.federation.alice, str(am.slice_urn)
    answer = am.v3(alice, "Update", [slice_urn], credential, request(*OTHERS), {})
    assert answer["code"]["geni_code"] == 0
    states = {s["geni_allocation_status"] for s in answer["value"]["geni_slivers"]}
    assert states == {"geni_updating", "geni_allocated"}
    one = answer["value"]["geni_slivers"][0]["geni_sliver_urn"]
    assert am.v3(alice, "Update", [one], credential, request(*PAIR), {})["code"]["geni_code"] == 1
    assert am.v3(alice, "Update", [slice_urn, one], credential, request(*PAIR), {})["code"]["geni_code"] == 1
    answer = am.v3(alice, "Cancel", slice_urn, credential, {})
    assert (answer["code"]["geni_code"], len(answer["value"])) == (0, 6)
