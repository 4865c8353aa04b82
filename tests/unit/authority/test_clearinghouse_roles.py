"""Who may do what at the clearinghouse: every call with everybody, each line of the table one call."""

import pytest
from clearing import OTHER, PROJECT, S1
from conftest import NOW

from credentials import URN
from sfa_am.authority.callers import NotKnown
from sfa_am.authority.memberships import Changes
from sfa_am.authority.roles import Role
from sfa_am.errors import Forbidden

SLIVER = URN("plc", "sliver", "x1")
AGGREGATE = URN("plc", "authority", "am")

PROJECT_ROLES = {"ann", "p_admin", "p_member", "p_auditor", "p_operator"}
SLICE_ROLES = {"ann", "s_admin", "s_member", "s_auditor", "s_operator"}
EVERY_MEMBER = PROJECT_ROLES | SLICE_ROLES | {"pi", "bob", "sibling"}
OUTSIDE = {"foreign", "selfmade"}


def create_sliver(c, shown, now=NOW):
    # Told of by somebody in the slice: whether the caller may is what is tried
    return c.slivers.create(
        shown, SLIVER, slice_urn=S1, aggregate=AGGREGATE, creator=URN("plc", "user", "ann"), now=now
    )


def members(*names):
    return Changes(add=tuple((URN("plc", "user", name), Role.MEMBER) for name in names))


ANN, PI = URN("plc", "user", "ann"), URN("plc", "user", "pi")

TABLE = {
    "make a project": (lambda c, who: c.projects.create(who, "new", now=NOW), {"pi"}),
    "change a project": (
        lambda c, who: c.projects.change(who, PROJECT, description="d", now=NOW),
        {"pi", "ann", "p_admin"},
    ),
    "delete another project": (lambda c, who: c.projects.remove(who, OTHER, now=NOW), {"pi", "sibling"}),
    "see a project's members": (lambda c, who: c.projects.members(who, PROJECT, now=NOW), PROJECT_ROLES | {"pi"}),
    "join somebody to a project": (
        lambda c, who: c.projects.change_members(who, PROJECT, members("bob"), now=NOW),
        {"pi", "ann", "p_admin"},
    ),
    "depose a project's lead": (
        lambda c, who: c.projects.change_members(who, PROJECT, Changes(add=((PI, Role.LEAD),), remove=(ANN,)), now=NOW),
        {"pi", "ann"},
    ),
    "ask for ann's projects": (lambda c, who: c.projects.projects_of(who, ANN, now=NOW), {"pi", "ann"}),
    "make a slice in a project": (
        lambda c, who: c.slices.create(who, "s2", project=PROJECT, now=NOW),
        {"pi", "ann", "p_admin", "p_member"},
    ),
    "make a slice outside of projects": (lambda c, who: c.slices.create(who, "s2", project=None, now=NOW), {"pi"}),
    "change a slice": (
        lambda c, who: c.slices.change(who, S1, description="d", now=NOW),
        {"pi", "ann", "p_admin", "s_admin", "s_member"},
    ),
    "end a slice": (lambda c, who: c.slices.end(who, S1, now=NOW), {"pi", "ann", "p_admin", "s_admin"}),
    "get a slice's credential": (
        lambda c, who: c.slices.credential(who, S1, now=NOW),
        SLICE_ROLES | {"pi", "p_admin", "p_auditor", "p_operator"},
    ),
    "see a slice's members": (
        lambda c, who: c.slices.members(who, S1, now=NOW),
        SLICE_ROLES | PROJECT_ROLES | {"pi"},
    ),
    "join somebody to a slice": (
        lambda c, who: c.slices.change_members(who, S1, members("bob"), now=NOW),
        {"pi", "ann", "p_admin", "s_admin"},
    ),
    "depose a slice's lead": (
        lambda c, who: c.slices.change_members(who, S1, Changes(add=((PI, Role.LEAD),), remove=(ANN,)), now=NOW),
        {"pi", "ann", "p_admin"},
    ),
    "ask for ann's slices": (lambda c, who: c.slices.slices_of(who, ANN, now=NOW), {"pi", "ann"}),
    "tell of a sliver": (create_sliver, {"pi", "ann", "p_admin", "s_admin", "s_member"}),
    "look members up": (lambda c, who: c.members.find(who, now=NOW), EVERY_MEMBER),
    "get ann's credential": (lambda c, who: c.members.credential(who, ANN, now=NOW), {"ann"}),
    "change ann's address": (lambda c, who: c.members.change(who, ANN, email="a@new.org", now=NOW), {"ann", "pi"}),
    "add a key to ann's": (
        lambda c, who: c.members.add_key(who, ANN, "ssh-ed25519 " + "A" * 68 + " x", now=NOW),
        {"ann", "pi"},
    ),
    "see ann's private information": (
        lambda c, who: c.members.insist_on_private(who, named=[ANN], now=NOW),
        {"ann", "pi"},
    ),
    "see everybody's login information": (lambda c, who: c.members.insist_on_leading(who, now=NOW), {"pi"}),
}


@pytest.mark.parametrize("what", TABLE)
def test_a_call_is_for_those_whom_the_table_names_and_for_nobody_else(what, built, tmp_path):
    call, allowed = TABLE[what]
    assert allowed <= EVERY_MEMBER
    with built.on_a_copy(tmp_path) as clearing:
        for name in sorted((EVERY_MEMBER | OUTSIDE) - allowed):
            with pytest.raises(Forbidden) as refusal:
                call(clearing.house, clearing.shown(name))
            assert isinstance(refusal.value, NotKnown) is (name in OUTSIDE), name
    for name in sorted(allowed):
        with built.on_a_copy(tmp_path) as clearing:
            call(clearing.house, clearing.shown(name))
