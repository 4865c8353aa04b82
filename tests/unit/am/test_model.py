"""Random walks over both versions of the API, against a model that is the specification in few words.

The model knows nothing of tables, rows or backends: what a slice holds, until when, and how much room there is. After
every call the answer's code and everything the aggregate keeps must be as the model says.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from conftest import IN_MEMORY, NOW, Federation
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from unit.am.conftest import aggregate_in
from unit.am.small import KEY, claims_add_up, request, used

from backends.simulated import SimulatedBackend
from credentials.keys import new_ec_key
from sfa_am.store import schema

WALKS = int(os.environ.get("SFA_WALKS", "160"))  # of some 40 steps each

ROOM = 7
CREDENTIALS_END = NOW + timedelta(days=90)
DEFAULT, LONGEST = timedelta(days=7), timedelta(days=60)
PROMISE, LONGEST_PROMISE = timedelta(minutes=10), timedelta(minutes=120)
RSPEC = {"geni_rspec_version": {"type": "GENI", "version": "3"}}

NODES = ("n0", "n1", "n2", "n3", "n4")
LINKS = {"l01": ("n0", "n1"), "l23": ("n2", "n3")}
ALLOCATED, PROVISIONED, UPDATING, UNALLOCATED = (
    f"geni_{word}" for word in ("allocated", "provisioned", "updating", "unallocated")
)

SLICES = ("s1", "s2", "s3")
slice_names = st.sampled_from(SLICES)
some_nodes = st.sets(st.sampled_from(NODES), min_size=1)
people = st.sampled_from(("alice", "bob"))


@dataclass
class Sliver:
    state: str
    end: datetime
    update_end: datetime | None = None
    running: bool = True


@dataclass
class Slice:
    slivers: dict[str, Sliver] = field(default_factory=dict)
    is_known: bool = False
    is_shut_down: bool = False


FEDERATION = Federation(keys=new_ec_key)
CREDENTIALS: dict[tuple[str, str], str] = {}


def credential(person, slice_name):
    """Everybody may act on all three slices; only their own is of use to carol."""
    if (person, slice_name) not in CREDENTIALS:
        CREDENTIALS[person, slice_name] = FEDERATION.credential(
            PEOPLE[person], FEDERATION.slice_gid(slice_name), ends_at=CREDENTIALS_END
        )
    return CREDENTIALS[person, slice_name]


PEOPLE = {name: FEDERATION.person(name) for name in ("alice", "bob", "carol")}


def urn(slice_name):
    return f"urn:publicid:IDN+plc+slice+{slice_name}"


def document(nodes, *, with_links):
    """A request, and the client_ids in it."""
    links = [name for name, ends in LINKS.items() if with_links and nodes.issuperset(ends)]
    return request(*map(node, sorted(nodes)), *map(link, links)), {*nodes, *links}


def node(name):
    return f'<node client_id="{name}"><sliver_type name="container"/><interface client_id="{name}:0"/></node>'


def link(name):
    ends = "".join(f'<interface_ref client_id="{end}:0"/>' for end in LINKS[name])
    return f'<link client_id="{name}">{ends}</link>'


class Walk(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None))
        self.am = aggregate_in(self.folder, FEDERATION, SimulatedBackend(capacity=ROOM))
        self.slices = {name: Slice() for name in SLICES}
        self.leaving = 0  # nodes that are gone for clients, and whose removal is not confirmed yet

    def teardown(self):
        self.am.store.close()
        shutil.rmtree(self.folder)

    # Calls

    def v3(self, person, method, slice_name, *arguments, urns=None, options=None):
        shown = [{"geni_type": "geni_sfa", "geni_version": "3", "geni_value": credential(person, slice_name)}]
        return self.am.v3(PEOPLE[person], method, urns or [urn(slice_name)], shown, *arguments, options or {})

    def v2(self, person, method, slice_name, *arguments):
        return self.am.v2(PEOPLE[person], method, urn(slice_name), [credential(person, slice_name)], *arguments, {})

    def expect(self, answer, code):
        assert answer["code"]["geni_code"] == code, answer
        event(f"code {code}")
        if code:
            assert answer["output"]
        return answer["value"]

    def users(self):
        return [{"urn": str(PEOPLE["alice"].urn), "keys": [KEY]}]

    # The model

    @property
    def now(self):
        return self.am.now

    @property
    def free(self):
        return ROOM - self.leaving - sum(name in NODES for one in self.slices.values() for name in one.slivers)

    def bound(self, state):
        return min(self.now + (LONGEST_PROMISE if state == ALLOCATED else LONGEST), CREDENTIALS_END)

    def first(self, state):
        return min(self.now + (PROMISE if state == ALLOCATED else DEFAULT), self.bound(state))

    def end(self, one, name):
        sliver = one.slivers.pop(name)
        if sliver.state != ALLOCATED and name in NODES:
            self.leaving += 1

    def changeable(self, one):
        """The code of every change of a slice that can't be changed at all; 0 if it can."""
        if one.is_shut_down:
            return 3
        return 0 if one.slivers else 12

    def waiting(self, one):
        few = [name for name, sliver in one.slivers.items() if sliver.state in (ALLOCATED, UPDATING)]
        return few or list(one.slivers)

    def urn_of(self, slice_name, client_id):
        slivers = self.v3("alice", "Describe", slice_name, options=RSPEC)["value"]
        from rspec import read_manifest

        read = read_manifest(slivers["geni_rspec"])
        return {item.client_id: item.sliver_id for item in (*read.nodes, *read.links)}[client_id]

    # Promising

    @initialize(nodes=some_nodes)
    def begin(self, nodes):
        """Most of what can be done needs a slice that holds something."""
        self.create_sliver("alice", "s1", nodes, True)

    @rule(person=people, name=slice_names, nodes=some_nodes, links=st.booleans(), dry=st.booleans())
    def allocate(self, person, name, nodes, links, dry):
        one = self.slices[name]
        written, wanted = document(nodes, with_links=links)
        slice_urn = urn(name)
        answer = self.v3(person, "Allocate", name, written, urns=slice_urn, options={"sfa_dry_run": dry})
        if one.is_shut_down:
            self.expect(answer, 3)
        elif wanted & one.slivers.keys():
            self.expect(answer, 17)
        elif len(nodes) > self.free:
            self.expect(answer, 6)
        else:
            value = self.expect(answer, 0)
            assert {s["geni_allocation_status"] for s in value["geni_slivers"]} == {ALLOCATED}
            assert len(value["geni_slivers"]) == len(wanted)
            if not dry:
                one.is_known = True
                one.slivers |= {client_id: Sliver(ALLOCATED, self.first(ALLOCATED)) for client_id in wanted}

    @rule(person=people, name=slice_names, nodes=some_nodes, links=st.booleans())
    def create_sliver(self, person, name, nodes, links):
        one = self.slices[name]
        written, wanted = document(nodes, with_links=links)
        answer = self.v2(person, "CreateSliver", name, written, self.users())
        if one.is_shut_down:
            self.expect(answer, 3)
        elif one.slivers:
            self.expect(answer, 17)
        elif len(nodes) > self.free:
            self.expect(answer, 6)
        else:
            self.expect(answer, 0)
            one.is_known = True
            one.slivers = {client_id: Sliver(PROVISIONED, self.first(PROVISIONED)) for client_id in wanted}

    @rule(person=people, name=slice_names, nodes=some_nodes, links=st.booleans())
    def update(self, person, name, nodes, links):
        one = self.slices[name]
        written, wanted = document(nodes, with_links=links)
        answer = self.v3(person, "Update", name, written)
        if code := self.changeable(one):
            self.expect(answer, code)
            return
        made = {client_id for client_id, sliver in one.slivers.items() if sliver.state != ALLOCATED}
        new = wanted - made
        if any(end in made for link in new & LINKS.keys() for end in LINKS[link]):
            self.expect(answer, 13)
            return
        dropped = [client_id for client_id in one.slivers if client_id not in made]
        if len(new & set(NODES)) > self.free + len(set(dropped) & set(NODES)):
            self.expect(answer, 6)
            return
        self.expect(answer, 0)
        for client_id in dropped:
            self.end(one, client_id)
        for client_id in made:
            sliver = one.slivers[client_id]
            is_wanted = client_id in wanted
            sliver.state = PROVISIONED if is_wanted else UPDATING
            sliver.update_end = None if is_wanted else self.first(ALLOCATED)
        one.slivers |= {client_id: Sliver(ALLOCATED, self.first(ALLOCATED)) for client_id in new}

    # Moving on

    @rule(person=people, name=slice_names, best_effort=st.booleans(), alone=st.booleans(), data=st.data())
    def provision(self, person, name, best_effort, alone, data):
        self.move(person, name, "Provision", best_effort, alone, data)

    @rule(person=people, name=slice_names, best_effort=st.booleans(), alone=st.booleans(), data=st.data())
    def cancel(self, person, name, best_effort, alone, data):
        self.move(person, name, "Cancel", best_effort, alone, data)

    def move(self, person, name, method, best_effort, alone, data):
        one = self.slices[name]
        chosen, urns = self.waiting(one), None
        if alone and one.slivers:
            chosen = [data.draw(st.sampled_from(sorted(one.slivers)))]
            urns = [self.urn_of(name, chosen[0])]
        options = {**RSPEC, "geni_users": self.users(), "geni_best_effort": best_effort}
        answer = self.v3(person, method, name, urns=urns, options=options)
        if code := self.changeable(one):
            self.expect(answer, code)
            return
        possible = [client_id for client_id in chosen if one.slivers[client_id].state in (ALLOCATED, UPDATING)]
        if len(possible) < len(chosen) and not best_effort:
            self.expect(answer, 13)
            return
        value = self.expect(answer, 0)
        slivers = value["geni_slivers"] if method == "Provision" else value
        assert sum(s["geni_error"] != "" for s in slivers) == len(chosen) - len(possible)
        for client_id in possible:
            sliver = one.slivers[client_id]
            if sliver.state == (ALLOCATED if method == "Cancel" else UPDATING):
                self.end(one, client_id)
            else:
                if sliver.state == ALLOCATED:
                    sliver.end = self.first(PROVISIONED)
                sliver.state, sliver.update_end = PROVISIONED, None

    @rule(
        person=people,
        name=slice_names,
        ahead=st.sampled_from((-60, 0, 60, 6000, 8000, 200_000, 5_000_000, 50_000_000)),
        alap=st.booleans(),
        older=st.booleans(),
    )
    def renew(self, person, name, ahead, alap, older):
        one = self.slices[name]
        asked = self.now + timedelta(seconds=ahead)
        options = {"geni_extend_alap": alap}
        if older:
            shown = [credential(person, name)]
            answer = self.am.v2(PEOPLE[person], "RenewSliver", urn(name), shown, asked.isoformat(), options)
        else:
            answer = self.v3(person, "Renew", name, asked.isoformat(), options=options)
        if asked <= self.now:
            self.expect(answer, 1)
        elif code := self.changeable(one):
            self.expect(answer, code)
        elif not alap and any(asked > self.bound(sliver.state) for sliver in one.slivers.values()):
            self.expect(answer, 7)
        else:
            self.expect(answer, 0)
            for sliver in one.slivers.values():
                sliver.end = min(asked, self.bound(sliver.state))

    @rule(person=people, name=slice_names, action=st.sampled_from(("geni_start", "geni_stop", "geni_restart")))
    def act(self, person, name, action):
        self.settle()
        one = self.slices[name]
        answer = self.v3(person, "PerformOperationalAction", name, action)
        if code := self.changeable(one):
            self.expect(answer, code)
            return
        nodes = [sliver for client_id, sliver in one.slivers.items() if client_id in NODES]
        if any(s.state == ALLOCATED or (action != "geni_start" and not s.running) for s in nodes):
            self.expect(answer, 13)
            return
        assert len(self.expect(answer, 0)) == len(nodes)
        for sliver in nodes:
            sliver.running = action != "geni_stop"

    @rule(person=people, name=slice_names, older=st.booleans(), alone=st.booleans(), data=st.data())
    def delete(self, person, name, older, alone, data):
        one = self.slices[name]
        chosen = list(one.slivers)
        if older:
            answer = self.v2(person, "DeleteSliver", name)
        elif alone and chosen:
            chosen = [data.draw(st.sampled_from(sorted(chosen)))]
            answer = self.v3(person, "Delete", name, urns=[self.urn_of(name, chosen[0])])
        else:
            answer = self.v3(person, "Delete", name)
        if code := self.changeable(one):
            self.expect(answer, code)
            return
        self.expect(answer, 0)
        for client_id in chosen:
            self.end(one, client_id)

    @precondition(lambda self: sum(one.is_shut_down for one in self.slices.values()) < 2)
    @rule(person=people, name=slice_names, older=st.booleans(), sure=st.integers(0, 4))
    def shut_down(self, person, name, older, sure):
        one = self.slices[name]
        if sure:
            return
        answer = self.v2(person, "Shutdown", name) if older else self.v3(person, "Shutdown", name, urns=urn(name))
        if not one.is_known:
            self.expect(answer, 12)
        elif one.is_shut_down:
            self.expect(answer, 3)
        else:
            self.expect(answer, 0)
            one.is_shut_down = True
            for client_id, sliver in one.slivers.items():
                if client_id in NODES and sliver.state != ALLOCATED:
                    sliver.running = False

    # Looking

    @rule(person=people, name=slice_names)
    def look(self, person, name):
        one = self.slices[name]
        code = 0 if one.slivers else 12
        status = self.expect(self.v3(person, "Status", name), code)
        older = self.expect(self.v2(person, "SliverStatus", name), code)
        described = self.expect(self.v3(person, "Describe", name, options=RSPEC), 0)
        assert len(described["geni_slivers"]) == len(one.slivers)
        if one.slivers:
            assert sorted(s["geni_allocation_status"] for s in status["geni_slivers"]) == sorted(
                sliver.state for sliver in one.slivers.values()
            )
            assert older["geni_expires"] == min(s["geni_expires"] for s in status["geni_slivers"])

    @rule(
        name=slice_names,
        method=st.sampled_from(("Status", "Describe", "Provision", "Delete", "Cancel", "SliverStatus", "DeleteSliver")),
    )
    def somebody_else(self, name, method):
        shown = [credential("carol", "elsewhere")]
        if "Sliver" in method:
            answer = self.am.v2(PEOPLE["carol"], method, urn(name), shown, {})
        else:
            answer = self.am.v3(PEOPLE["carol"], method, [urn(name)], shown, RSPEC)
        self.expect(answer, 3)

    # Time

    @precondition(lambda self: self.now < NOW + timedelta(days=70))
    @rule(seconds=st.sampled_from((30, 300, 700, 7300, 90_000, 700_000)))
    def wait(self, seconds):
        self.am.wait(seconds=seconds)
        self.am.expire()
        for one in self.slices.values():
            for client_id, sliver in list(one.slivers.items()):
                if sliver.update_end is not None and sliver.update_end <= self.now:
                    sliver.state, sliver.update_end = PROVISIONED, None
                if sliver.end <= self.now:
                    self.end(one, client_id)

    @rule()
    def settle(self):
        """Everything that is under way comes to its end."""
        self.am.work()
        self.leaving = 0
        for name, one in self.slices.items():
            if one.slivers:
                states = {s.client_id: s.operational.value for s in self.states(name)}
                assert states == {
                    client_id: "geni_pending_allocation"
                    if sliver.state == ALLOCATED
                    else "geni_ready"
                    if sliver.running
                    else "geni_notready"
                    for client_id, sliver in one.slivers.items()
                }
        assert len(self.am.backend.things) == sum(
            sliver.state != ALLOCATED for one in self.slices.values() for sliver in one.slivers.values()
        )

    def states(self, name):
        who = self.am.who(PEOPLE["alice"], credential("alice", name))
        return self.am.service.status(who, [urn(name)], now=self.now)[1]

    @invariant()
    def everything_is_as_it_should_be(self):
        names = {row["id"]: row["urn"].rpartition("+")[2] for row in self.am.rows(schema.slice_)}
        kept = {
            (names[row["slice_id"]], row["client_id"]): (row["allocation"], row["expires_at"])
            for row in self.am.rows(schema.sliver)
            if row["allocation"] != UNALLOCATED
        }
        assert kept == {
            (name, client_id): (sliver.state, sliver.end)
            for name, one in self.slices.items()
            for client_id, sliver in one.slivers.items()
        }
        assert used(self.am) == ROOM - self.free
        assert claims_add_up(self.am)


TestWalk = Walk.TestCase
# A walk that ran out of pytest's usual time would look to Hypothesis like a failure that doesn't come back ("Flaky").
TestWalk.pytestmark = [pytest.mark.timeout(300 + 5 * WALKS)]
TestWalk.settings = settings(
    max_examples=WALKS,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
