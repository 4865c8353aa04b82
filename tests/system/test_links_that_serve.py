"""Links on which machines ask for their addresses and for names, of a server that comes and goes with the link."""

import os
import signal
import subprocess
from dataclasses import replace
from ipaddress import ip_interface

import pytest
from system.conftest import run_over_ssh

from backends.conformance import Quiet, until_settled
from backends.native.names import Names
from backends.native.runtime import Runtime
from backends.protocol import Account, Machine, Member, Port, Rule, Segment, SliceId, SliverId, SliverSpec

pytestmark = pytest.mark.needs("root", "lxc", "dnsmasq")

SERVER = "10.1.0.254"


@pytest.fixture
def backend(native_state, backend_in):
    backend = backend_in(native_state)
    backend.start(Quiet())
    yield backend
    backend.stop()


def mac(number):
    return f"02:00:00:00:04:{number:02x}"


@pytest.fixture
def machine(ssh_key):
    public = ssh_key.with_suffix(".pub").read_text().strip()

    def make(number: int, *, link: str = "l", rules=()) -> SliverSpec:
        port = Port(
            name="eth1",
            link=SliverId(link),
            mac=mac(number),
            addresses=(ip_interface(f"10.1.0.{number}/24"),),
            asks=True,
        )
        shape = Machine(
            hostname=f"m{number}",
            sliver_type="container",
            image="debian-12",
            cpus=1,
            memory_mib=256,
            disk_mib=512,
            accounts=(Account(name="alice", keys=(public,)),),
            ports=(port,),
            rules=rules,
        )
        name = SliverId(f"m{number}{link}")
        return SliverSpec(sliver=name, slice=SliceId("s"), offer="node1", generation=1, shape=shape)

    return make


def serving(*numbers, link="l", generation=1):
    shape = Segment(
        number=5,
        name="lan0",
        members=tuple(
            Member(hostname=f"m{n}", mac=mac(n), addresses=(ip_interface(f"10.1.0.{n}/24"),)) for n in numbers
        ),
        server=ip_interface(f"{SERVER}/24"),
    )
    return SliverSpec(sliver=SliverId(link), slice=SliceId("s"), offer="node1", generation=generation, shape=shape)


@pytest.fixture
def shell(ssh_key):
    def run(observation, command):
        done = run_over_ssh(ssh_key, observation.logins[0], command)
        return done.stdout + done.stderr

    return run


@pytest.fixture
def servers(native_state):
    """Processes of links' servers, by link."""

    def find():
        folder = Runtime(Names.of_folder(native_state)).servers
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
                    command = file.read().decode().split("\0")
            except OSError:
                continue
            if command[0] == "dnsmasq":
                tables = [part for part in command if str(folder) in part]
                found |= {part.split("/")[-2]: int(pid) for part in tables}
        return found

    return find


def address(shell, at):
    return shell(at, "ip -4 -brief address show dev eth1")


def test_machines_ask_for_their_addresses_and_for_names(backend, machine, shell, until):
    until_settled(backend, serving(1, 2))
    one, _two = (until_settled(backend, machine(n)) for n in (1, 2))
    until(lambda: "10.1.0.1/24" in address(shell, one))
    until(lambda: f"nameserver {SERVER}" in shell(one, "cat /etc/resolv.conf"))
    until(lambda: "1 received" in shell(one, "ping -c 1 -W 2 m2"))
    assert "10.1.0.2" in shell(one, f"busybox nslookup m2-lan0 {SERVER}")
    assert "10.1.0.1" in shell(one, f"busybox nslookup m1 {SERVER}")
    assert "can't" in shell(one, f"busybox nslookup example.org {SERVER}").lower()
    assert "default via" in shell(one, "ip route show dev eth0")  # logins go on by the way they came


def test_two_slices_with_the_same_addresses_have_servers_of_their_own(backend, machine, shell, until, servers):
    for link, number in (("l", 1), ("k", 2)):
        until_settled(backend, serving(number, link=link))
        at = until_settled(backend, machine(number, link=link))
        until(lambda at=at, number=number: f"10.1.0.{number}/24" in address(shell, at))
        assert f"10.1.0.{number}" in shell(at, f"busybox nslookup m{number} {SERVER}")
        assert "can't" in shell(at, f"busybox nslookup m{3 - number} {SERVER}").lower()
    assert set(servers()) == {"l", "k"}


def test_a_security_group_that_closes_a_link_leaves_the_server_in_reach(backend, machine, shell, until):
    until_settled(backend, serving(1))
    one = until_settled(backend, machine(1, rules=(Rule(allows=False, interface="eth1"),)))
    until(lambda: "10.1.0.1/24" in address(shell, one))
    assert "10.1.0.1" in shell(one, f"busybox nslookup m1 {SERVER}")


def test_a_server_that_was_killed_comes_back(backend, machine, shell, until, servers):
    until_settled(backend, serving(1))
    one = until_settled(backend, machine(1))
    until(lambda: "10.1.0.1/24" in address(shell, one))
    (before,) = servers().values()
    os.kill(before, signal.SIGKILL)
    until(lambda: list(servers().values()) not in ([], [before]))
    until(lambda: "10.1.0.1" in shell(one, f"busybox nslookup m1 {SERVER}"))


def test_a_server_outlives_its_node_manager_and_follows_the_next(
    native_state, backend_in, machine, shell, until, servers
):
    first = backend_in(native_state)
    first.start(Quiet())
    until_settled(first, serving(1))
    one = until_settled(first, machine(1))
    until(lambda: "10.1.0.1/24" in address(shell, one))
    before = servers()
    first.stop()
    assert servers() == before
    second = backend_in(native_state)
    second.start(Quiet())
    try:
        until_settled(second, serving(1, 2, generation=2))
        until(lambda: "10.1.0.2" in shell(one, f"busybox nslookup m2 {SERVER}"))
        assert servers() == before  # it has read its tables again, and nobody had to wait
        os.kill(before["l"], signal.SIGKILL)
        until(lambda: servers() not in ({}, before))
    finally:
        second.stop()


def test_a_server_ends_with_the_last_machine_of_its_host(backend, machine, native_state, servers):
    until_settled(backend, serving(1))
    assert servers() == {}  # whom should it answer?
    spec = until_settled(backend, machine(1))
    assert set(servers()) == {"l"}
    backend.remove(spec.sliver, "node1", 1)
    assert servers() == {}
    names = Names.of_folder(native_state)
    left = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
    assert names.link_servers not in left


def test_a_link_that_serves_no_more_ends_its_server(backend, machine, servers, until):
    until_settled(backend, serving(1))
    until_settled(backend, machine(1))
    spec = serving(1, generation=2)
    until_settled(backend, replace(spec, shape=replace(spec.shape, server=None)))
    until(lambda: servers() == {})
