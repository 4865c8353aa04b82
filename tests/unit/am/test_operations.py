"""Operations, leases and fences: what a slow or dead worker can't spoil."""

from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert

from backends.protocol import Observation, Seen
from sfa_am.orchestration import work
from sfa_am.store import operations, schema, slivers


class Halt(Exception):
    """Ends a transaction."""


ONE = '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="a"/></rspec>'


def provisioned(am):
    am.allocate(ONE)
    am.provision()


def test_an_operation_is_in_one_pair_of_hands_until_its_lease_ends(am):
    provisioned(am)
    assert len(am.take("converge")) == 1
    assert am.take("converge") == ()
    am.wait(seconds=59)
    assert am.take("converge") == ()
    am.wait(seconds=1)
    assert len(am.take("converge")) == 1


def test_a_wish_that_comes_while_a_worker_is_at_it_is_not_lost(am):
    provisioned(am)
    (taken,) = am.take("converge")
    am.act("geni_stop")
    work.run(taken, am.backend, am.store, lambda: am.now)
    assert am.states() == {"a": "geni_stopping"}
    am.work()
    assert am.states() == {"a": "geni_notready"}


def test_a_worker_that_slept_past_its_lease_overwrites_nothing(am):
    provisioned(am)
    (slow,) = am.take("converge")
    am.wait(seconds=61)
    am.work()
    assert am.states() == {"a": "geni_ready"}
    seen = am.rows(schema.sliver)[0]["seen_at"]
    am.backend.failures = [work.BackendError("late news")]
    work.run(slow, am.backend, am.store, lambda: am.now)
    assert am.states() == {"a": "geni_ready"}
    assert am.rows(schema.sliver)[0]["seen_at"] == seen
    assert am.rows(schema.operation) == []


def test_deleting_while_a_worker_is_at_it_ends_with_nothing(am):
    provisioned(am)
    (taken,) = am.take("converge")
    am.delete()
    work.run(taken, am.backend, am.store, lambda: am.now)
    am.work()
    assert am.backend.things == {}
    assert am.rows(schema.sliver) == []


def test_a_crash_after_the_deed_and_before_the_record_makes_nothing_twice(am):
    """The worker dies having made the thing; another takes over when the lease ends."""
    provisioned(am)
    am.take("converge")
    row_spec = am.rows(schema.sliver)[0]
    with am.store.reading() as tx:
        spec = slivers.by_id(tx, row_spec["id"]).spec()
    am.backend.converge(spec)
    am.wait(seconds=61)
    am.work()
    assert am.states() == {"a": "geni_ready"}
    assert [thing.starts for thing in am.backend.things.values()] == [1]


def test_a_start_takes_up_what_an_earlier_run_had_in_hand(am, make_aggregate):
    provisioned(am)
    am.take("converge")
    with am.store.transaction() as tx:
        assert operations.release_all(tx) == 1
    am.work()
    assert am.states() == {"a": "geni_ready"}


def test_older_news_does_not_replace_newer(am):
    provisioned(am)
    am.work()
    (row,) = am.rows(schema.sliver)
    old = Observation(sliver=row["id"], generation=row["seen_generation"] - 1, seen=Seen.BROKEN, fault="old")
    with am.store.transaction() as tx:
        assert not slivers.record(tx, old, now=am.now)
        assert slivers.record(tx, replace(old, generation=row["seen_generation"]), now=am.now)


def test_what_still_boots_after_ten_minutes_has_failed(am):
    provisioned(am)

    def boots_for_ever(spec):
        return Observation(sliver=spec.sliver, generation=0, seen=Seen.MAKING)

    am.backend.converge = boots_for_ever
    for _ in range(40):
        am.work(1)
        am.wait(seconds=20)
    (state,) = am.status()
    assert (state.operational.value, state.error) == ("geni_failed", "not ready 10 minutes after it was asked for")


def test_an_undone_transaction_leaves_nothing(am):
    def write_and_fail():
        with am.store.transaction() as tx:
            tx.execute(insert(schema.event).values(at=am.now, actor="x", what="y"))
            raise Halt

    with pytest.raises(Halt):
        write_and_fail()
    assert am.rows(schema.event) == []


def test_the_migrations_make_the_tables_that_the_code_speaks_of(am):
    with am.store.reading() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": False})
        assert compare_metadata(context, schema.metadata) == []
