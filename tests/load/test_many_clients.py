"""Sixty-four clients at once, on both versions of the API; afterwards the rows say what the clients believe.

Ten seconds of it; SFA_LOAD_SECONDS=60 makes it a minute.
"""

import os
import random
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from clients.simulated_server import SimulatedServer
from clients.wire import Wire, code

pytestmark = pytest.mark.alone

SECONDS = float(os.environ.get("SFA_LOAD_SECONDS", "10"))
ALONE, TOGETHER, SHARED = 48, 16, 4
"""Clients with a slice of their own, clients who share, and the slices that these share."""

OFFERS, CAPACITY = 4, 20
"""Room for fewer slivers than all would like to have."""

RSPEC = {"geni_rspec_version": {"type": "GENI", "version": "3"}}

OK, TOO_BIG, NOT_FOUND, UNSUPPORTED, EXISTS = 0, 6, 12, 13, 17


def request(names):
    elements = "".join(f'<node client_id="{name}"/>' for name in names)
    return f'<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">{elements}</rspec>'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {"server.connections_per_peer": 512}
    with SimulatedServer(
        tmp_path_factory.mktemp("server"), capacity=CAPACITY, offers=OFFERS, delay=0.005, settings=settings
    ) as running:
        yield running
    assert "Traceback" not in running.log.read_text()


class Client:
    """Somebody who calls this and that in a slice, and knows which answers can be."""

    def __init__(self, server, slice_, seed):
        self.slice = slice_
        self.credentials, self.bare = slice_.credentials, [slice_.credential]
        self.v3, self.v2 = Wire(server, "operator"), Wire(server, "operator", path="/am/2")
        self.rng = random.Random(seed)  # noqa: S311 - repeatable is what matters
        self.seed = seed
        self.made = 0
        self.calls, self.wrong = Counter(), []

    def work(self, until):
        """Call until a moment of the monotonic clock."""
        steps = (self.allocate, self.provision, self.look, self.renew, self.act, self.delete, self.whole, self.about)
        weights = (6, 6, 8, 2, 3, 3, 3, 2)
        while time.monotonic() < until:
            (step,) = self.rng.choices(steps, weights)
            try:
                step()
            except Exception as e:  # noqa: BLE001 - a thread's failures are gathered and shown
                self.wrong.append(f"{step.__name__}: {e!r}")
                return

    def call(self, method, *arguments, possible, of_slice=True):
        """The value of an answer, whose code must be among those that are possible now; None for a refusal."""
        first = () if not of_slice else (self.slice.urn,) if method in ("Allocate",) else ([self.slice.urn],)
        return self._judge(method, self.v3(method, *first, self.credentials, *arguments), possible)

    def call_v2(self, method, *arguments, possible):
        """The same in version 2."""
        return self._judge(method, self.v2(method, self.slice.urn, self.bare, *arguments), possible)

    def _judge(self, method, answer, possible):
        found = code(answer)
        self.calls[method, found] += 1
        if found not in possible:
            self.wrong.append(f"{method}: {found} {answer['output']}, not one of {possible}; {self.belief()}")
        return answer["value"] if found == OK else None

    def names(self):
        """New client_ids."""
        count = self.rng.randint(1, 3)
        self.made += count
        return [f"n{self.seed}-{self.made - number}" for number in range(count)]

    def later(self):
        return (datetime.now(UTC) + timedelta(days=self.rng.uniform(1, 9))).strftime("%Y-%m-%dT%H:%M:%SZ")

    def about(self):
        assert self.v3("GetVersion")["geni_api"] == 3
        options = {**RSPEC, "geni_compressed": True}
        assert self.call("ListResources", options, possible=(OK,), of_slice=False)

    def belief(self):
        return ""


class Alone(Client):
    """Nobody else touches the slice, so every answer is known but for what others leave room for.

    slivers: URN -> allocation state, as the answers told
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.slivers = {}

    def belief(self):
        return dict(Counter(self.slivers.values()))

    @property
    def some(self):
        return (OK,) if self.slivers else (NOT_FOUND,)

    def learn(self, slivers):
        for one in slivers:
            self.slivers[one["geni_sliver_urn"]] = one["geni_allocation_status"]
            if one["geni_allocation_status"] == "geni_unallocated":
                del self.slivers[one["geni_sliver_urn"]]

    def allocate(self):
        before, names = set(self.slivers), self.names()
        if value := self.call("Allocate", request(names), {}, possible=(OK, TOO_BIG)):
            self.learn(value["geni_slivers"])
            assert len(set(self.slivers) - before) == len(names)

    def provision(self):
        is_some_allocated = "geni_allocated" in self.slivers.values()
        possible = (OK,) if is_some_allocated else (UNSUPPORTED,) if self.slivers else (NOT_FOUND,)
        if value := self.call("Provision", RSPEC, possible=possible):
            self.learn(value["geni_slivers"])

    def look(self):
        if value := self.call("Status", {}, possible=self.some):
            assert {
                one["geni_sliver_urn"]: one["geni_allocation_status"] for one in value["geni_slivers"]
            } == self.slivers
        value = self.call("Describe", RSPEC, possible=(OK,))
        assert {one["geni_sliver_urn"] for one in value["geni_slivers"]} == set(self.slivers)
        assert value["geni_rspec"].count("<node ") == len(self.slivers)

    def renew(self):
        self.call("Renew", self.later(), {"geni_extend_alap": True}, possible=self.some)

    def act(self):
        possible = (OK, UNSUPPORTED) if self.slivers else (NOT_FOUND,)
        action = self.rng.choice(("geni_start", "geni_restart", "geni_stop"))
        self.call("PerformOperationalAction", action, {"geni_best_effort": self.rng.random() < 0.5}, possible=possible)

    def delete(self):
        if self.slivers and self.rng.random() < 0.5:
            urns = self.rng.sample(sorted(self.slivers), self.rng.randint(1, len(self.slivers)))
            answer = self.v3("Delete", urns, self.credentials, {})
            self.learn(self._judge("Delete", answer, (OK,)))
        elif value := self.call("Delete", {}, possible=self.some):
            self.learn(value)
            assert not self.slivers

    def whole(self):
        """A life in version 2."""
        names = self.names()
        possible = (EXISTS,) if self.slivers else (OK, TOO_BIG)
        created = self.call_v2("CreateSliver", request(names), [], {}, possible=possible)
        if created is None:
            return
        status = self.call_v2("SliverStatus", {}, possible=(OK,))
        assert {one["geni_client_id"] for one in status["geni_resources"]} == set(names)
        self.slivers = {one["geni_urn"]: "geni_provisioned" for one in status["geni_resources"]}
        if self.rng.random() < 0.5:
            self.call_v2("RenewSliver", self.later(), {"geni_extend_alap": True}, possible=(OK,))
            assert self.call_v2("DeleteSliver", {}, possible=(OK,)) is True
            self.slivers = {}


class Together(Client):
    """Others use the slice as well: what happens may be any of some, and names collide on purpose."""

    ANY = (OK, NOT_FOUND, UNSUPPORTED)

    def names(self):
        return [f"shared{self.rng.randrange(4)}"]

    def allocate(self):
        self.call("Allocate", request(self.names()), {}, possible=(OK, TOO_BIG, EXISTS))

    def provision(self):
        self.call("Provision", RSPEC, possible=self.ANY)

    def look(self):
        self.call("Status", {}, possible=(OK, NOT_FOUND))
        value = self.call("Describe", RSPEC, possible=(OK,))
        names = [part.split('"')[0] for part in value["geni_rspec"].split('<node client_id="')[1:]]
        assert len(names) == len(set(names)) == value["geni_rspec"].count("<node ")

    def renew(self):
        self.call("Renew", self.later(), {"geni_extend_alap": True}, possible=(OK, NOT_FOUND))

    def act(self):
        self.call("PerformOperationalAction", "geni_restart", {}, possible=self.ANY)

    def delete(self):
        self.call("Delete", {}, possible=(OK, NOT_FOUND))

    def whole(self):
        self.call_v2("CreateSliver", request(self.names()), [], {}, possible=(OK, TOO_BIG, EXISTS))
        self.call_v2("SliverStatus", {}, possible=(OK, NOT_FOUND))


@pytest.fixture(scope="module")
def after(server):
    """The clients, when they have worked and nothing is left to do for the server."""
    own = [server.slice(f"own{number}") for number in range(ALONE)]
    shared = [server.slice(f"shared{number}") for number in range(SHARED)]
    clients = [Alone(server, slice_, seed) for seed, slice_ in enumerate(own)]
    clients += [Together(server, shared[number % SHARED], ALONE + number) for number in range(TOGETHER)]
    until = time.monotonic() + SECONDS
    threads = [threading.Thread(target=client.work, args=(until,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.wait_for(lambda: not _ask(server, "SELECT sliver_id FROM operation"))
    return clients


def _ask(server, statement):
    with closing(sqlite3.connect(f"file:{server.state / 'store.sqlite'}?mode=ro", uri=True)) as store:
        return store.execute(statement).fetchall()


def test_every_answer_was_one_that_the_specification_wants(after, capsys):
    assert [wrong for client in after for wrong in client.wrong] == []
    calls = sum((client.calls for client in after), Counter())
    with capsys.disabled():
        print(f"\n{len(after)} clients, {SECONDS:.0f} s: {calls.total() / SECONDS:.0f} calls a second")
        print(", ".join(f"{method} {found}: {number}" for (method, found), number in sorted(calls.items())))
    # It was crowded enough to matter: some found no room, and some found a name taken.
    assert calls["Allocate", TOO_BIG]
    assert calls["Allocate", EXISTS]


def test_no_sliver_is_lost_and_none_is_there_twice(server, after):
    believed = {
        (client.slice.urn, urn.rpartition("+")[2], state)
        for client in after
        if isinstance(client, Alone)
        for urn, state in client.slivers.items()
    }
    kept = _ask(server, "SELECT slice.urn, sliver.id, allocation FROM sliver JOIN slice ON slice.id = slice_id")
    assert {row for row in kept if "+own" in row[0]} == believed
    assert believed
    twice = _ask(server, "SELECT slice_id, client_id FROM sliver GROUP BY slice_id, client_id HAVING count(*) > 1")
    assert twice == []


def test_what_is_claimed_is_what_is_used_and_nobody_was_sold_too_much(server, after):
    claimed = _ask(server, "SELECT backend, offer, resource, sum(amount) FROM claim GROUP BY 1, 2, 3 ORDER BY 1, 2, 3")
    used = _ask(server, "SELECT backend, offer, resource, used FROM capacity WHERE used > 0 ORDER BY 1, 2, 3")
    assert claimed == used
    assert _ask(server, "SELECT offer FROM capacity WHERE used > total") == []
    holders = {holder for (holder,) in _ask(server, "SELECT DISTINCT sliver_id FROM claim")}
    assert holders == {sliver for (sliver,) in _ask(server, "SELECT id FROM sliver WHERE kind = 'node'")}


def test_every_sliver_came_to_rest(server, after):
    """What was asked for was carried out: what is seen is of the newest generation."""
    unfinished = _ask(
        server,
        "SELECT id, allocation, seen FROM sliver WHERE allocation = 'geni_unallocated' OR"
        " (allocation = 'geni_provisioned' AND (seen_generation != generation OR seen NOT IN ('running', 'stopped')))",
    )
    assert unfinished == []
