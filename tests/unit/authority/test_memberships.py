"""Who may come, go and lead: the rules that slices and projects share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials import URN
from sfa_am.authority.memberships import Changes, changed
from sfa_am.authority.roles import Role
from sfa_am.errors import AlreadyExists, AMError, BadArgs, Forbidden

S1 = URN("plc:demo", "slice", "s1")
ANN, BOB, EVE = (URN("plc", "user", name) for name in ("ann", "bob", "eve"))
BEFORE = {ANN: Role.LEAD, BOB: Role.MEMBER}


def after(*, may_appoint=True, **changes):
    return changed(BEFORE, Changes(**changes), may_appoint=may_appoint, of=S1)


def test_people_come_change_and_go_in_one_call():
    now = after(add=((EVE, Role.LEAD),), change=((BOB, Role.ADMIN),), remove=(ANN,))
    assert now == {BOB: Role.ADMIN, EVE: Role.LEAD}


def test_nothing_asked_changes_nothing():
    assert after() == BEFORE


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"add": ((BOB, Role.ADMIN),)}, AlreadyExists, "already a member"),
        ({"change": ((EVE, Role.ADMIN),)}, BadArgs, "no member of"),
        ({"remove": (EVE,)}, BadArgs, "no member of"),
        ({"remove": (ANN,)}, BadArgs, "no LEAD left"),
        ({"change": ((ANN, Role.ADMIN),)}, BadArgs, "no LEAD left"),
        ({"add": ((EVE, Role.MEMBER), (EVE, Role.ADMIN))}, BadArgs, "more than once"),
        ({"change": ((BOB, Role.ADMIN),), "remove": (BOB,)}, BadArgs, "more than once"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(changes, kind, said):
    with pytest.raises(kind, match=said):
        after(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"add": ((EVE, Role.LEAD),)},
        {"change": ((BOB, Role.LEAD),)},
        {"change": ((ANN, Role.MEMBER),)},
        {"remove": (ANN,)},
    ],
)
def test_an_administrator_appoints_and_deposes_no_lead(changes):
    with pytest.raises(Forbidden, match="who leads"):
        after(**changes, may_appoint=False)


def test_an_administrator_does_the_rest():
    now = after(add=((EVE, Role.AUDITOR),), change=((BOB, Role.ADMIN),), may_appoint=False)
    assert now == {ANN: Role.LEAD, BOB: Role.ADMIN, EVE: Role.AUDITOR}


people, roles = st.sampled_from([ANN, BOB, EVE]), st.sampled_from(list(Role))
pairs = st.lists(st.tuples(people, roles), max_size=3).map(tuple)


@given(st.dictionaries(people, roles), pairs, pairs, st.lists(people, max_size=3).map(tuple), st.booleans())
def test_whatever_is_asked_a_lead_remains_and_nobody_makes_themselves_one(before, add, change, remove, may_appoint):
    try:
        now = changed(before, Changes(add=add, change=change, remove=remove), may_appoint=may_appoint, of=S1)
    except AMError:
        return
    leads = [{urn for urn, role in members.items() if role is Role.LEAD} for members in (before, now)]
    assert not leads[0] or leads[1]
    assert may_appoint or leads[0] == leads[1]
    assert set(now) == (set(before) | {urn for urn, _ in add}) - set(remove)
