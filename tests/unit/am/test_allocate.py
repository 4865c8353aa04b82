"""Allocate: what it does, what it refuses, and that a refusal changes nothing."""

import pytest
from unit.am.small import claims_add_up, everything, request, used

from backends.simulated import SimulatedBackend
from sfa_am.config import Limits
from sfa_am.errors import (
    AlreadyExists,
    BadArgs,
    BadVersion,
    NotFeasible,
    Unsupported,
)
from sfa_am.errors import Unavailable as AggregateUnavailable


@pytest.mark.parametrize(
    ("text", "refusal", "says"),
    [
        ("", BadArgs, "not well-formed"),
        ("<rspec", BadArgs, "not well-formed"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><rspec/>', BadArgs, "document type"),
        ("<rspec/>", BadVersion, "GENI version 3 RSpec is expected"),
        (
            '<rspec xmlns="http://www.protogeni.net/resources/rspec/0.2" type="request"/>',
            BadVersion,
            "ProtoGENI version 0.2",
        ),
        ('<rspec xmlns="http://www.geni.net/resources/rspec/3" type="manifest"/>', BadVersion, "of type 'manifest'"),
        (request(), BadArgs, "names no node"),
        (request("<node/>"), BadArgs, "line 1: <node> needs the attribute client_id"),
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
        (request('<node client_id="a" component_manager_id="nonsense"/>'), BadArgs, "bound to 'nonsense' and no node"),
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


@pytest.mark.parametrize("quantity", ["latency", "packet_loss"])
def test_a_link_that_should_be_worse_than_it_would_be_is_refused_by_name(am, quantity):
    nodes = [f'<node client_id="{n}"><interface client_id="{n}:0"/></node>' for n in "ab"]
    ends = '<interface_ref client_id="a:0"/><interface_ref client_id="b:0"/>'
    way = 'source_id="a:0" dest_id="b:0" capacity="1000"'
    with pytest.raises(Unsupported, match=f"link 'l'.*{quantity} is not offered here"):
        am.allocate(request(*nodes, f'<link client_id="l">{ends}<property {way} {quantity}="0.5"/></link>'))
    am.allocate(request(*nodes, f'<link client_id="l">{ends}<property {way} {quantity}="0"/></link>'))


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
