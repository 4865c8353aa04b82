"""All or nothing: the database fails at one statement after the other, and after each failure nothing has changed."""

import contextlib
from datetime import timedelta

import pytest
from sqlalchemy import event
from unit.am.small import REQUEST, claims_add_up, everything, request, used

from sfa_am.errors import Unsupported

OTHERS = request(
    '<node client_id="third"><sliver_type name="container"/></node>',
    '<node client_id="left"><sliver_type name="container"/><interface client_id="left:0"/></node>',
)


MORE = OTHERS.replace("third", "fourth")


class DiskFull(Exception):
    pass


class Failing:
    """Lets so many writing statements pass and then fails."""

    def __init__(self, store):
        self.engine = store._engine
        self.left = 0
        self.has_failed = False
        event.listen(self.engine, "before_cursor_execute", self.look)

    def look(self, connection, cursor, statement, parameters, context, executemany):
        if not statement.startswith(("INSERT", "UPDATE", "DELETE")):
            return
        if self.left == 0:
            self.has_failed = True
            raise DiskFull
        self.left -= 1

    def close(self):
        event.remove(self.engine, "before_cursor_execute", self.look)


CALLS = {
    "allocate": (None, lambda am: am.allocate()),
    "create": (
        None,
        lambda am: am.service.create(am.who(), am.slice_urn, REQUEST, users=(), end_at=None, now=am.now),
    ),
    "update": ("lone", lambda am: am.service.update(am.who(), am.slice_urn, MORE, end_at=None, now=am.now)),
    "provision": ("allocated", lambda am: am.provision()),
    "provision an update": ("updating", lambda am: am.provision()),
    "provision with best effort": ("allocated", lambda am: am.provision(best_effort=True)),
    "cancel": (
        "updating",
        lambda am: am.service.cancel(am.who(), [str(am.slice_urn)], best_effort=False, now=am.now),
    ),
    "renew": ("running", lambda am: am.renew(am.now + timedelta(days=9))),
    "act": ("running", lambda am: am.act("geni_restart")),
    "delete": ("running", lambda am: am.delete()),
    "delete what is allocated": ("allocated", lambda am: am.delete()),
    "shutdown": ("running", lambda am: am.service.shutdown(am.who(), am.slice_urn, now=am.now)),
    "expire": ("over", lambda am: am.expire()),
}


def prepare(am, given):
    if given is None:
        return
    am.allocate(OTHERS if given in ("lone", "updating") else REQUEST)
    if given == "allocated":
        return
    am.provision()
    am.work()
    if given == "updating":
        more = request('<node client_id="new"><sliver_type name="container"/></node>')
        am.service.update(am.who(), am.slice_urn, more, end_at=None, now=am.now)
    if given == "over":
        am.wait(days=8)


@pytest.mark.parametrize("name", CALLS)
def test_a_failure_at_any_statement_changes_nothing(am, name):
    given, call = CALLS[name]
    prepare(am, given)
    before = everything(am)
    generation = am.store.offers_generation
    failing = Failing(am.store)
    try:
        for statements in range(100):
            failing.left, failing.has_failed = statements, False
            with contextlib.suppress(DiskFull):
                call(am)
            assert failing.has_failed == (everything(am) == before)
            if not failing.has_failed:
                break
            assert am.store.offers_generation == generation
        else:
            raise AssertionError("it never went through")
        assert statements > 0
    finally:
        failing.close()
    assert claims_add_up(am)
    am.work()


def test_a_refusal_in_the_midst_changes_nothing(am):
    am.allocate()
    one = str(next(s.urn for s in am.status() if s.client_id == "left"))
    am.provision([one])
    before = everything(am)
    every = [str(s.urn) for s in am.status()]
    for urns in (every, every[::-1]):
        with pytest.raises(Unsupported):
            am.provision(urns)
        assert everything(am) == before
    described = am.provision(every, best_effort=True)
    assert sorted(bool(s.error) for s in described.slivers) == [False, False, True]


def test_a_thousand_slivers_in_a_call(make_aggregate):
    from backends.simulated import SimulatedBackend
    from rspec import read_manifest

    am = make_aggregate(SimulatedBackend(capacity=1000))
    many = request(*(f'<node client_id="n{i}"><sliver_type name="container"/></node>' for i in range(1000)))
    am.allocate(many)
    described = am.provision()
    assert len(described.slivers) == len(read_manifest(described.manifest).nodes) == 1000
    urns = [str(s.urn) for s in described.slivers]
    am.work(turns=30)
    assert {s.operational.value for s in am.status(urns)} == {"geni_ready"}
    assert len(am.renew(am.now + timedelta(days=9), urns)) == 1000
    assert len(am.act("geni_restart", urns)) == 1000
    assert len(am.delete(urns)) == 1000
    am.work(turns=30)
    assert (used(am), am.backend.things) == (0, {})
