"""Why not, for programs; and what would be, without doing it."""

import pytest
from unit.am.small import REQUEST, everything, request

from backends.simulated import SimulatedBackend
from rspec import read_manifest


def node(name, kind="container", **attributes):
    extra = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<node client_id="{name}"{extra}><sliver_type name="{kind}"/></node>'


def allocate(am, document, **options):
    credential = [{"geni_type": "geni_sfa", "geni_version": "3", "geni_value": am.federation.credential()}]
    return am.v3(am.federation.alice, "Allocate", str(am.slice_urn), credential, document, options)


def reasons(answer):
    return answer["value"]["sfa_reasons"]


def test_several_things_wrong_at_once(am):
    answer = allocate(am, request(node("a", "containr"), node("b"), node("c", "mainframe")))
    assert answer["code"]["geni_code"] == 1
    assert "sliver type 'containr' is not offered here" in answer["output"]
    assert "(and 1 more can not be had as asked)" in answer["output"]
    first, second = reasons(answer)
    assert (first["constraint"], first["wanted"], first["nearest"]) == ("sliver type", "containr", "container")
    assert "container-large" in first["available"]
    assert first["where"].startswith("node 'a' (line")
    assert (second["wanted"], second["nearest"], second["reasons"]) == ("mainframe", "", [])


def test_no_room(make_aggregate):
    am = make_aggregate(SimulatedBackend(capacity=3))
    answer = allocate(am, request(*(node(f"n{i}", "container-large") for i in range(5))))
    assert answer["code"]["geni_code"] == 6
    reason = reasons(answer)[0]
    assert (reason["constraint"], reason["wanted"], reason["available"]) == ("room", "container-large", 0)
    short = {one["constraint"]: (one["wanted"], one["available"]) for one in reason["reasons"]}
    assert all(wanted > available for wanted, available in short.values())
    assert short
    assert all(one["where"].startswith("component ") for one in reason["reasons"])


def test_the_nearest_that_would_fit(make_aggregate):
    am = make_aggregate(SimulatedBackend(capacity=1))
    answer = allocate(am, request(node("a", "container-large")))
    if answer["code"]["geni_code"] == 0:
        pytest.fail("the simulated backend has room for a large machine")
    (reason,) = reasons(answer)
    assert reason["nearest"] == "container"
    assert allocate(am, request(node("a", reason["nearest"])))["code"]["geni_code"] == 0


def test_a_thousand_reasons_are_cut(am):
    answer = allocate(am, request(*(node(f"n{i}", "mainframe") for i in range(500))))
    assert len(reasons(answer)) == 20
    assert "(and 499 more can not be had as asked)" in answer["output"]


def test_a_request_that_is_no_good(am):
    answer = allocate(am, request(node("a"), node("a")))
    assert answer["code"]["geni_code"] == 1
    (reason,) = reasons(answer)
    assert (reason["constraint"], reason["where"][:5]) == ("rspec", "line ")


def test_too_many_slivers(make_aggregate):
    from sfa_am.config import Limits

    am = make_aggregate(limits=Limits(slivers_per_slice=2))
    answer = allocate(am, REQUEST)
    (reason,) = reasons(answer)
    assert (reason["wanted"], reason["available"], reason["nearest"]) == (3, 2, 2)


def test_what_provision_can_not_do(am):
    allocate(am, REQUEST)
    am.provision()
    credential = [{"geni_type": "geni_sfa", "geni_version": "3", "geni_value": am.federation.credential()}]
    version = {"geni_rspec_version": {"type": "GENI", "version": "3"}}
    answer = am.v3(am.federation.alice, "Provision", [str(am.slice_urn)], credential, version)
    (reason,) = reasons(answer)
    assert (reason["constraint"], reason["available"]) == ("state", "geni_provisioned")
    assert "geni_allocated" in reason["wanted"]
    assert "Delete" in reason["nearest"]


@pytest.mark.parametrize("flag", [True, 1, "true"])
def test_a_dry_run_changes_nothing(am, flag):
    before = everything(am)
    generation = am.store.offers_generation
    answer = allocate(am, REQUEST, sfa_dry_run=flag)
    assert answer["code"]["geni_code"] == 0
    assert {n.client_id for n in read_manifest(answer["value"]["geni_rspec"]).nodes} == {"left", "right"}
    assert len(answer["value"]["geni_slivers"]) == 3
    assert everything(am) == before
    assert am.store.offers_generation == generation
    assert am.woken == 0
    assert allocate(am, REQUEST)["code"]["geni_code"] == 0  # the turn was handed back


def test_a_dry_run_of_what_is_not_possible(am):
    before = everything(am)
    answer = allocate(am, request(node("a", "mainframe")), sfa_dry_run=True)
    assert answer["code"]["geni_code"] == 1
    assert reasons(answer)
    assert everything(am) == before


def test_numbers_too_large_for_the_wire():
    from sfa_am.errors import NotFeasible, Reason
    from sfa_am.wire.am_answers import _hint

    huge = Reason(constraint="disk_mib", where="k\u00f6ln", wanted=2**40, available=2**31 - 1)
    (one,) = _hint(NotFeasible("no", reasons=[huge]))["sfa_reasons"]
    assert (one["wanted"], one["available"], one["where"]) == (str(2**40), 2**31 - 1, r"k\xf6ln")


def test_reservations_in_advance_are_refused_by_name(am):
    answer = allocate(am, REQUEST, geni_start_time="2026-07-01T00:00:00Z")
    assert (answer["code"]["geni_code"], "geni_start_time" in answer["output"]) == (13, True)
    assert allocate(am, REQUEST, geni_start_time="2026-06-01T12:00:00Z")["code"]["geni_code"] == 0
