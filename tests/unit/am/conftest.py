"""An aggregate small enough to hold in hand: a store in a file, a simulated backend, no reactor, no network."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from xmlrpc.client import loads

import pytest
from conftest import NOW, Federation, Person
from stores import empty_store
from unit.am.small import KEY, REQUEST

from backends.simulated import SimulatedBackend
from credentials import URN
from sfa_am.config import Leases, Limits, Placement
from sfa_am.orchestration import work
from sfa_am.orchestration.expiry import expire
from sfa_am.orchestration.sweep import sweep
from sfa_am.slices.desk import Presented
from sfa_am.slices.gate import Gate
from sfa_am.slices.identity import Identity
from sfa_am.slices.policy import Policies
from sfa_am.slices.service import AggregateService
from sfa_am.store import Store, operations, trust
from sfa_am.store.trust import RootRow
from sfa_am.wire.am_either import EitherVersion
from sfa_am.wire.am_v2 import AggregateV2
from sfa_am.wire.am_v3 import AggregateV3
from sfa_am.wire.am_version import About
from sfa_am.wire.xmlrpc import Caller, Door, marshal


class Straight:
    """A door without a reactor: calls run where they are made."""

    async def off_reactor(self, work):
        return work()


class StraightV2(Straight, AggregateV2):
    pass


class StraightV3(Straight, AggregateV3):
    pass


def through(door: Door, person: Person, method: str, *sent: object):
    """The answer of a door to a call, as it would be marshalled."""
    caller = Caller(gid=person.gid, request_id="r1")
    coroutine = door.lookupProcedure(method)(caller, *sent)
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer = end.value
    else:
        raise AssertionError("the door waits for something")
    if isinstance(answer, bytes):
        ((answer,), _) = loads(answer)
    else:
        marshal((answer,))
    return answer


@dataclass
class Aggregate:
    """The service with its clock, its backend, and a loop that is turned by hand."""

    federation: Federation
    store: Store
    backend: SimulatedBackend
    now: object = NOW
    woken: int = 0
    leases: Leases = field(default_factory=Leases)
    limits: Limits = field(default_factory=Limits)
    policies: Policies = field(default_factory=Policies)
    placement: Placement = field(default_factory=Placement)

    def __post_init__(self) -> None:
        self.service = AggregateService(
            self.store,
            Gate(self.store),
            Identity("plc"),
            self.leases,
            self.limits,
            self._wake,
            self.policies,
            lambda backend, sliver: self.backend.console(sliver),
            self.placement,
        )
        about = About(URN("plc", "authority", "am"), "test", {"2": "https://here/am/2", "3": "https://here/am/3"})
        self._v2 = StraightV2(None, None, self.service, about, now=lambda: self.now)
        self._v3 = StraightV3(None, None, self.service, about, now=lambda: self.now)
        self._either = EitherVersion(None, None, self._v2, self._v3)
        self.sweep()

    def v2(self, person: Person, method: str, *sent: object):
        return through(self._v2, person, method, *sent)

    def v3(self, person: Person, method: str, *sent: object):
        return through(self._v3, person, method, *sent)

    def either(self, person: Person, method: str, *sent: object):
        return through(self._either, person, method, *sent)

    def _wake(self) -> None:
        self.woken += 1

    def who(self, person: Person | None = None, *documents: str) -> Presented:
        person = person or self.federation.alice
        shown = documents or (self.federation.credential(person, ends_at=self.now + timedelta(days=30)),)
        return Presented(caller=person.gid, documents=shown, request_id="test")

    @property
    def slice_urn(self) -> URN:
        return URN("plc", "slice", "s1")

    def allocate(self, request: str = REQUEST, **options):
        options = {"end_at": None, "now": self.now, **options}
        return self.service.allocate(self.who(), self.slice_urn, request, **options)

    def provision(self, urns=None, **options):
        options = {
            "users": [(str(self.federation.alice.urn), [KEY])],
            "end_at": None,
            "best_effort": False,
            "now": self.now,
            **options,
        }
        return self.service.provision(self.who(), urns or [str(self.slice_urn)], **options)

    def act(self, action: str, urns=None, **options):
        options = {"users": None, "best_effort": False, "now": self.now, **options}
        return self.service.act(self.who(), urns or [str(self.slice_urn)], action, **options)

    def renew(self, end_at, urns=None, **options):
        options = {"as_long_as_possible": False, "best_effort": False, "now": self.now, **options}
        return self.service.renew(self.who(), urns or [str(self.slice_urn)], end_at, **options)

    def delete(self, urns=None, **options):
        options = {"best_effort": False, "now": self.now, **options}
        return self.service.delete(self.who(), urns or [str(self.slice_urn)], **options)

    def status(self, urns=None):
        return self.service.status(self.who(), urns or [str(self.slice_urn)], now=self.now)[1]

    def states(self):
        return {state.client_id: state.operational.value for state in self.status()}

    def work(self, turns: int = 10) -> None:
        """Take and do what is due until nothing is."""
        for _ in range(turns):
            taken = [one for kind in ("remove", "converge") for one in self.take(kind)]
            for one in taken:
                work.run(one, self.backend, self.store, lambda: self.now)
            if not taken:
                return

    def take(self, kind: str):
        with self.store.transaction() as tx:
            return operations.take(tx, backend="sim", kind=kind, most=100, lease=timedelta(seconds=60), now=self.now)

    def sweep(self) -> int:
        return sweep("sim", self.backend, self.store, lambda: self.now)

    def expire(self) -> int:
        return expire(self.store, self.now)

    def rows(self, table) -> list:
        from sqlalchemy import select

        with self.store.reading() as tx:
            return tx.execute(select(table)).mappings().all()

    def wait(self, **time) -> None:
        self.now += timedelta(**time)


def aggregate_in(path: Path, plc: Federation, backend: SimulatedBackend | None = None, **settings) -> Aggregate:
    """An aggregate with its store in this folder. Close the store."""
    store = empty_store(path)
    with store.transaction() as tx:
        root = RootRow(
            fingerprint=plc.root.fingerprint,
            gid=plc.root.pem,
            names=("plc",),
            legacy_sha1=False,
            added_at=NOW,
            added_by="test",
        )
        trust.put(tx, root)
    return Aggregate(plc, store, backend or SimulatedBackend(), **settings)


@pytest.fixture
def make_aggregate(plc, tmp_path) -> Callable[..., Aggregate]:
    made = []

    def make(backend: SimulatedBackend | None = None, path: Path = tmp_path, **settings) -> Aggregate:
        made.append(aggregate_in(path, plc, backend, **settings))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


@pytest.fixture
def am(make_aggregate) -> Aggregate:
    return make_aggregate()
