"""The state machines, as tables."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.protocol import Seen
from sfa_am.errors import Unsupported
from sfa_am.slices.states import ACTIONS, TABLE, Action, Allocation, Call, Operational, Situation, admit_action, after
from sfa_am.slices.states import operational as operational_state

situations = st.builds(
    Situation,
    allocation=st.sampled_from(Allocation),
    running=st.booleans(),
    seen=st.sampled_from(Seen),
    current=st.booleans(),
)


@given(st.lists(st.sampled_from(Call), max_size=30))
def test_no_sequence_of_calls_leaves_the_table(calls):
    state = Allocation.UNALLOCATED
    for call in calls:
        try:
            state = after(state, call)
        except Unsupported:
            assert (state, call) not in TABLE
        else:
            assert state in Allocation


def test_a_sliver_is_made_only_by_allocate_then_provision():
    paths = [c for c in itertools.product(Call, repeat=2) if _end(c) is Allocation.PROVISIONED]
    assert paths == [(Call.ALLOCATE, Call.PROVISION)]


def _end(calls):
    state = Allocation.UNALLOCATED
    for call in calls:
        if (state, call) not in TABLE:
            return None
        state = TABLE[state, call]
    return state


def test_an_illegal_call_is_refused_with_the_calls_that_are_possible():
    with pytest.raises(
        Unsupported, match=r"Provision is not possible while a sliver is geni_provisioned.*Renew.*Delete"
    ):
        after(Allocation.PROVISIONED, Call.PROVISION)


@given(situations)
def test_every_situation_has_an_operational_state(situation):
    state = operational_state(situation)
    if situation.allocation not in (Allocation.PROVISIONED, Allocation.UPDATING):
        assert state is Operational.PENDING_ALLOCATION
    if state is Operational.READY:
        assert situation.running
        assert situation.current
        assert situation.seen is Seen.RUNNING


@pytest.mark.parametrize(
    ("running", "seen", "current", "state"),
    [
        (True, Seen.ABSENT, False, Operational.CONFIGURING),
        (True, Seen.MAKING, True, Operational.CONFIGURING),
        (True, Seen.RUNNING, True, Operational.READY),
        (True, Seen.RUNNING, False, Operational.READY_BUSY),
        (True, Seen.STOPPED, False, Operational.CONFIGURING),
        (False, Seen.RUNNING, False, Operational.STOPPING),
        (False, Seen.STOPPED, True, Operational.NOTREADY),
        (True, Seen.BROKEN, True, Operational.FAILED),
        (True, Seen.BROKEN, False, Operational.CONFIGURING),
    ],
)
def test_operational_state_of_a_provisioned_sliver(running, seen, current, state):
    situation = Situation(allocation=Allocation.PROVISIONED, running=running, seen=seen, current=current)
    assert operational_state(situation) is state


@given(st.sampled_from(Action), st.sampled_from(Operational))
def test_an_action_is_admitted_just_where_the_table_says(action, state):
    if state in ACTIONS[action]:
        admit_action(action, state)
    else:
        with pytest.raises(Unsupported):
            admit_action(action, state)


def test_a_failed_sliver_can_be_brought_back():
    assert {a for a in Action if Operational.FAILED in ACTIONS[a]} >= {Action.RESTART, Action.RELOAD}
