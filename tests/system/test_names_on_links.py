"""Machines of a slice know each other by name, and go on knowing each other when who is there changes."""

from dataclasses import replace
from ipaddress import ip_interface

import pytest
from system.conftest import run_over_ssh

from backends.conformance import Quiet, until_settled
from backends.protocol import Account, Machine, Member, Port, Segment, SliceId, SliverId, SliverSpec

pytestmark = pytest.mark.needs("root", "lxc")


@pytest.fixture
def backend(native_state, backend_in):
    backend = backend_in(native_state)
    backend.start(Quiet())
    yield backend
    backend.stop()


def mac(number):
    return f"02:00:00:00:03:{number:02x}"


@pytest.fixture
def machine(ssh_key):
    public = ssh_key.with_suffix(".pub").read_text().strip()

    def make(name: str, number: int) -> SliverSpec:
        port = Port(name="eth1", link=SliverId("l"), mac=mac(number), addresses=(ip_interface(f"10.1.0.{number}/24"),))
        shape = Machine(
            hostname=name,
            sliver_type="container",
            image="debian-12",
            cpus=1,
            memory_mib=256,
            disk_mib=512,
            accounts=(Account(name="alice", keys=(public,)),),
            ports=(port,),
        )
        return SliverSpec(sliver=SliverId(name), slice=SliceId("s"), offer="node1", generation=1, shape=shape)

    return make


def link(*members, generation=1):
    shape = Segment(
        number=5,
        name="lan0",
        members=tuple(
            Member(hostname=name, mac=mac(n), addresses=(ip_interface(f"10.1.0.{n}/24"),)) for name, n in members
        ),
    )
    return SliverSpec(sliver=SliverId("l"), slice=SliceId("s"), offer="node1", generation=generation, shape=shape)


@pytest.fixture
def shell(ssh_key):
    def run(observation, command):
        done = run_over_ssh(ssh_key, observation.logins[0], command)
        return done.stdout + done.stderr

    return run


def test_machines_find_each_other_by_name(backend, machine, shell):
    until_settled(backend, link(("one", 1), ("two", 2)))
    one = until_settled(backend, machine("one", 1))
    two = until_settled(backend, machine("two", 2))
    for at, other in ((one, "two"), (one, "two-lan0"), (two, "one"), (two, "one-lan0")):
        assert "1 received" in shell(at, f"ping -c 1 -W 2 {other}")


def test_names_come_and_go_while_machines_run(backend, machine, shell, until):
    one = until_settled(backend, machine("one", 1))  # before anything was heard of the link
    until_settled(backend, link(("one", 1), ("two", 2)))
    until(lambda: "10.1.0.2" in shell(one, "getent hosts two"))
    shell(one, "echo 192.0.2.1 mine | sudo tee -a /etc/hosts")
    until_settled(backend, link(("one", 1), ("three", 3), generation=2))
    until(lambda: "10.1.0.3" in shell(one, "getent hosts three"))
    assert shell(one, "getent hosts two") == ""
    assert "192.0.2.1" in shell(one, "getent hosts mine")


def test_a_machine_that_was_off_learns_the_names_at_its_start(backend, machine, shell):
    until_settled(backend, link(("one", 1)))
    spec = machine("one", 1)
    until_settled(backend, spec)
    until_settled(backend, off := replace(spec, generation=2, running=False))
    until_settled(backend, link(("one", 1), ("two", 2), generation=2))
    one = until_settled(backend, replace(off, generation=3, running=True))
    assert "10.1.0.2" in shell(one, "getent hosts two")
