"""What every backend must do: a suite to be run on any of them, ours and others'.

    class TestMine(Conformance):
        @pytest.fixture
        def backend(self): ...     # started, with nothing in it
        image, sliver_type = "debian-12", "container"

Each test says one rule of `backends.protocol.Backend`. Nothing here knows how a backend works.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_interface, ip_network

from backends.protocol import (
    Account,
    Backend,
    Form,
    Impossible,
    Machine,
    Observation,
    Port,
    Rule,
    Seen,
    Segment,
    Sender,
    SliceId,
    SliverId,
    SliverSpec,
    Traffic,
)
from backends.underneath import WORDS, underneath

_LINK = SliverId("conformlink")
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRoZSBwdWJsaWMga2V5IG9mIGEgdGVzdCBvbmx5ISEh"
_MOST_TURNS = 200


class Quiet:
    """A host that keeps what it is told."""

    def __init__(self) -> None:
        self.reports: list[Observation] = []

    def report(self, observation: Observation) -> None:
        """Keep it."""
        self.reports.append(observation)

    def changed(self) -> None:
        """Nobody looks."""

    def desired(self) -> Sequence[SliverSpec]:
        """Nothing."""
        return []

    def now(self) -> datetime:
        """The time."""
        return datetime.now(UTC)


def until_settled(backend: Backend, spec: SliverSpec) -> Observation:
    """Converge until it is no longer being made."""
    for _ in range(_MOST_TURNS):
        observation = backend.converge(spec)
        if observation.seen is not Seen.MAKING:
            return observation
    raise AssertionError(f"{spec.sliver} is still being made after {_MOST_TURNS} turns")


class Conformance:
    """The rules, as tests."""

    image: str
    sliver_type: str
    form = Form.CONTAINER

    def machine(self, number: int = 1) -> SliverSpec:
        """A machine with an account and a port on the link."""
        shape = Machine(
            hostname=f"host-{number}",
            form=self.form,
            sliver_type=self.sliver_type,
            image=self.image,
            cpus=1,
            memory_mib=256,
            disk_mib=512,
            accounts=(Account(name="alice", keys=(_KEY,)),),
            ports=(
                Port(
                    name="eth1",
                    link=_LINK,
                    mac=f"02:00:00:00:00:{number:02x}",
                    addresses=(ip_interface(f"10.128.0.{number}/24"),),
                ),
            ),
        )
        name = SliverId(f"conform{number}")
        return SliverSpec(sliver=name, slice=SliceId("conform"), offer="node1", generation=1, shape=shape)

    def link(self) -> SliverSpec:
        """The link."""
        slice_id = SliceId("conform")
        return SliverSpec(sliver=_LINK, slice=slice_id, offer="node1", generation=1, shape=Segment())

    def everything(self, backend: Backend) -> dict[SliverId, Observation]:
        """What the backend sees."""
        return {observation.sliver: observation for observation in backend.observe()}

    def test_offers_name_what_can_be_asked_for(self, backend: Backend) -> None:
        """An offer has types, images and capacity."""
        for offer in backend.offers():
            assert self.image in {image.name for image in offer.images}
            assert self.sliver_type in {kind.name for kind in offer.sliver_types}
            assert all(amount > 0 for amount in offer.capacity.values())

    def test_a_machine_is_made_and_seen_with_a_login(self, backend: Backend) -> None:
        """Converge ends in RUNNING, of the spec's generation, with a login for the account."""
        observation = until_settled(backend, self.machine())
        assert (observation.seen, observation.generation) == (Seen.RUNNING, 1)
        assert [login.username for login in observation.logins] == ["alice"]
        assert self.everything(backend) == {observation.sliver: observation}

    def test_converging_twice_is_converging_once(self, backend: Backend) -> None:
        """Nothing is made again."""
        first = until_settled(backend, self.machine())
        assert until_settled(backend, self.machine()) == first
        assert len(self.everything(backend)) == 1

    def test_links_and_machines_come_in_any_order(self, backend: Backend) -> None:
        """The link may come before, between or after its machines."""
        for spec in (self.machine(1), self.link(), self.machine(2)):
            assert until_settled(backend, spec).seen is Seen.RUNNING
        for sliver in (_LINK, self.machine(1).sliver, self.machine(2).sliver):
            backend.remove(sliver, "node1", 1)
        assert self.everything(backend) == {}

    def test_an_older_wish_changes_nothing(self, backend: Backend) -> None:
        """A spec that was overtaken leaves what is there."""
        until_settled(backend, replace(self.machine(), generation=3, running=False))
        observation = until_settled(backend, replace(self.machine(), generation=2))
        assert (observation.seen, observation.generation) == (Seen.STOPPED, 3)

    def test_a_console_is_text_and_that_of_nothing_is_empty(self, backend: Backend) -> None:
        """Whatever was written to it; nothing of what is underneath."""
        assert backend.console(SliverId("nothing")) == ""
        until_settled(backend, self.machine())
        written = backend.console(self.machine().sliver)
        assert isinstance(written, str)
        # A kernel of its own names the hardware that it finds, and whoever logs in can ask it.
        assert self.form is Form.VM or not any(word in written.lower() for word in WORDS)

    def test_a_machine_is_stopped_and_started(self, backend: Backend) -> None:
        """`running` is a level, not an event."""
        until_settled(backend, self.machine())
        stopped = replace(self.machine(), generation=2, running=False)
        assert until_settled(backend, stopped).seen is Seen.STOPPED
        assert until_settled(backend, stopped).seen is Seen.STOPPED
        assert until_settled(backend, replace(self.machine(), generation=3)).seen is Seen.RUNNING

    def test_a_restart_and_a_reload_end_running(self, backend: Backend) -> None:
        """Counters that grew are acted upon, and the login stays what it was."""
        logins = until_settled(backend, self.machine()).logins
        restarted = until_settled(backend, replace(self.machine(), generation=2, restarts=1))
        reloaded = until_settled(backend, replace(self.machine(), generation=3, restarts=1, reloads=1))
        assert {restarted.seen, reloaded.seen} == {Seen.RUNNING}
        assert reloaded.logins == logins

    def test_what_a_machine_may_send_and_what_may_come_in_change_while_it_runs(self, backend: Backend) -> None:
        """A wish that differs in these alone is met, and the login stays what it was."""
        logins = until_settled(backend, self.machine()).logins
        shape = self.machine().shape
        assert isinstance(shape, Machine)
        rules = (
            Rule(
                allows=True, traffic=Traffic.TCP, ports=(80, 90), source=ip_network("10.128.0.0/24"), interface="eth1"
            ),
            Rule(allows=False, interface="eth1"),
            Rule(allows=False, traffic=Traffic.TCP, source=ip_network("192.0.2.0/24")),
        )
        for generation, sender in enumerate(Sender, start=2):
            ports = tuple(replace(port, sender=sender) for port in shape.ports)
            changed = replace(shape, ports=ports, rules=rules if generation % 2 else ())
            observation = until_settled(backend, replace(self.machine(), generation=generation, shape=changed))
            assert (observation.seen, observation.generation) == (Seen.RUNNING, generation)
            assert observation.logins == logins

    def test_removing_is_complete_and_may_be_repeated(self, backend: Backend) -> None:
        """Absent already is success."""
        until_settled(backend, self.machine())
        for _ in range(2):
            backend.remove(self.machine().sliver, "node1", 1)
            assert self.everything(backend) == {}
        backend.remove(SliverId("neverwas"), "node1", 1)

    def test_a_removed_machine_can_be_made_again(self, backend: Backend) -> None:
        """By a newer wish; nothing of the old one is in the way."""
        until_settled(backend, self.machine())
        backend.remove(self.machine().sliver, "node1", 1)
        assert until_settled(backend, replace(self.machine(), generation=2)).seen is Seen.RUNNING

    def test_what_was_removed_does_not_come_back_by_an_overtaken_wish(self, backend: Backend) -> None:
        """A command that was delayed on its way finds that it is late."""
        until_settled(backend, replace(self.machine(), generation=2))
        backend.remove(self.machine().sliver, "node1", 3)
        for late in (replace(self.machine(), generation=2), replace(self.machine(), generation=3)):
            assert backend.converge(late).seen is Seen.ABSENT
        assert self.everything(backend) == {}

    def test_what_can_never_be_made_is_said_before_and_refused(self, backend: Backend) -> None:
        """`problems` and `converge` agree."""
        shape = self.machine().shape
        assert isinstance(shape, Machine)
        impossible = replace(self.machine(), shape=replace(shape, image="no-such-image"))
        assert backend.problems([self.machine()]) == []
        assert len(backend.problems([impossible])) == 1
        try:
            backend.converge(impossible)
        except Impossible as refusal:
            words = str(refusal)
        else:
            raise AssertionError("an impossible spec was accepted")
        assert self.everything(backend) == {}
        assert "no-such-image" in words

    def test_nothing_underneath_is_named(self, backend: Backend) -> None:
        """Offers and observations are shown to researchers as they are."""
        shown = [*backend.offers(), until_settled(backend, self.machine())]
        assert underneath(repr(shown)) == []

    def test_limits_are_given_for_both_kinds_of_work(self, backend: Backend) -> None:
        """At least one at once."""
        assert min(backend.limits()["converge"], backend.limits()["remove"]) >= 1
