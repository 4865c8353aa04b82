"""What goes wrong underneath, and that it is told, tried again, given up or cleaned up."""

from dataclasses import replace

import pytest
from unit.am.small import request, used

from backends.protocol import BackendError, Impossible, Unavailable
from sfa_am.errors import (
    NotFound,
)


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
