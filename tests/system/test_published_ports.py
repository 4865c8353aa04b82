"""Ports of machines that are reached from outside, by whom the rules let in, for as long as they are wished."""

import socket
from dataclasses import replace
from ipaddress import ip_network

import pytest
from system.conftest import run_over_ssh

from backends.conformance import Quiet, until_settled
from backends.protocol import Account, Machine, Opening, Rule, SliceId, SliverId, SliverSpec, Traffic

pytestmark = pytest.mark.needs("root", "lxc")

WEB = Opening(traffic=Traffic.TCP, port=80)
ALSO = Opening(traffic=Traffic.TCP, port=81)
NAMES = Opening(traffic=Traffic.UDP, port=53)


@pytest.fixture
def backend(native_state, backend_in):
    backend = backend_in(native_state)
    backend.start(Quiet())
    yield backend
    backend.stop()


@pytest.fixture
def machine(ssh_key):
    public = ssh_key.with_suffix(".pub").read_text().strip()

    def make(name: str, *openings: Opening, rules=()) -> SliverSpec:
        shape = Machine(
            hostname=name,
            sliver_type="container",
            image="debian-12",
            cpus=1,
            memory_mib=256,
            disk_mib=512,
            accounts=(Account(name="alice", keys=(public,)),),
            rules=rules,
            openings=openings,
        )
        return SliverSpec(sliver=SliverId(name), slice=SliceId("s"), offer="node1", generation=1, shape=shape)

    return make


@pytest.fixture
def listens(ssh_key):
    """Has a machine answer with its name at a TCP port, and with `udp` at the UDP port of the same number."""

    def begin(observation, port):
        script = (
            f"sudo setsid busybox nc -ll -p {port} -e busybox hostname >/dev/null 2>&1 </dev/null & "
            f"sudo setsid perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => {port}, "
            "Proto => qq(udp)); while (defined $s->recv(my $asked, 99)) { $s->send(qx(hostname)) }' "
            ">/dev/null 2>&1 </dev/null & sleep 0.3"
        )
        done = run_over_ssh(ssh_key, observation.logins[0], script)
        assert done.returncode == 0, done.stderr

    return begin


def at(observation, opening):
    (found,) = [one for one in observation.published if (one.traffic, one.port) == (opening.traffic, opening.port)]
    return found.hostname, found.public_port


def says(where) -> str:
    """What a TCP port says; nothing when it lets nobody in."""
    try:
        with socket.create_connection(where, timeout=2) as connection:
            return connection.recv(100).decode().strip()
    except OSError:
        return ""


def says_by_udp(where) -> str:
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.settimeout(2)
        asking.connect(where)
        try:
            asking.send(b"?\n")
            return asking.recv(100).decode().strip()
        except OSError:
            return ""


def changed(spec, **changes):
    return replace(spec, generation=spec.generation + 1, shape=replace(spec.shape, **changes))


def test_what_is_published_is_reached_and_nothing_else(backend, machine, listens, until):
    one = until_settled(backend, machine("one", WEB, NAMES))
    two = until_settled(backend, machine("two", WEB))
    for observation in (one, two):
        for port in (80, 53):
            listens(observation, port)
    until(lambda: says(at(one, WEB)) == "one")
    assert says(at(two, WEB)) == "two"
    assert says_by_udp(at(one, NAMES)) == "one"
    host, port = at(one, NAMES)
    assert says((host, port)) == "", "published for UDP alone"


def test_rules_decide_who_gets_in(backend, machine, listens, until):
    spec = machine("one", WEB, ALSO)
    one = until_settled(backend, spec)
    listens(one, 80)
    listens(one, 81)
    until(lambda: says(at(one, WEB)) == "one")
    nobody = Rule(allows=False, traffic=Traffic.TCP, ports=(80, 80))
    until_settled(backend, closed := changed(spec, rules=(nobody,)))
    assert says(at(one, WEB)) == ""
    assert says(at(one, ALSO)) == "one"
    us = Rule(allows=True, traffic=Traffic.TCP, ports=(80, 80), source=ip_network("127.0.0.0/8"))
    until_settled(backend, changed(closed, rules=(us, nobody)))
    assert says(at(one, WEB)) == "one"


def test_what_is_published_changes_while_the_machine_runs(backend, machine, listens, until):
    spec = machine("one", WEB)
    one = until_settled(backend, spec)
    listens(one, 80)
    listens(one, 81)
    until(lambda: says(at(one, WEB)) == "one")
    both = until_settled(backend, spec := changed(spec, openings=(WEB, ALSO)))
    assert at(both, WEB) == at(one, WEB)
    assert says(at(both, ALSO)) == "one"
    left = until_settled(backend, changed(spec, openings=(ALSO,)))
    assert at(left, ALSO) == at(both, ALSO)
    assert [one.port for one in left.published] == [81]
    assert says(at(both, WEB)) == ""
    other = until_settled(backend, machine("two", WEB))  # may have what was given back
    listens(other, 80)
    until(lambda: says(at(other, WEB)) == "two")


def test_ports_stay_what_they_are_over_a_restart_of_the_node_manager(native_state, backend_in, machine, listens, until):
    first = backend_in(native_state)
    first.start(Quiet())
    one = until_settled(first, machine("one", WEB))
    listens(one, 80)
    first.stop()
    second = backend_in(native_state)
    second.start(Quiet())
    try:
        (seen,) = second.observe()
        assert seen.published == one.published
        until(lambda: says(at(one, WEB)) == "one")
    finally:
        second.stop()
