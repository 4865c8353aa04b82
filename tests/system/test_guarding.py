"""As whom machines may speak on their links: hardware addresses, IP addresses, and what becomes of it on a change."""

import subprocess
import time
from dataclasses import replace
from ipaddress import ip_interface, ip_network

import pytest
from system.conftest import run_over_ssh

from backends.conformance import Quiet, until_settled
from backends.native.names import Names
from backends.protocol import Account, Machine, Port, Rule, Seen, Sender, SliceId, SliverId, SliverSpec, Traffic

pytestmark = pytest.mark.needs("root", "lxc")


@pytest.fixture
def backend(native_state, backend_in):
    backend = backend_in(native_state)
    backend.start(Quiet())
    yield backend
    backend.stop()


@pytest.fixture
def machine(ssh_key):
    public = ssh_key.with_suffix(".pub").read_text().strip()

    def make(name: str, *ports: tuple[str, str], sender: Sender = Sender.OWN_MAC) -> SliverSpec:
        """`ports`: link and addresses, which are joined by blanks."""
        shape = Machine(
            hostname=name,
            sliver_type="container",
            image="debian-12",
            cpus=1,
            memory_mib=256,
            disk_mib=512,
            accounts=(Account(name="alice", keys=(public,)),),
            ports=tuple(
                Port(
                    name=f"eth{number}",
                    link=SliverId(link),
                    mac=f"02:00:00:00:0{number}:{sum(name.encode()) % 256:02x}",
                    addresses=tuple(map(ip_interface, addresses.split())),
                    sender=sender,
                )
                for number, (link, addresses) in enumerate(ports, start=1)
            ),
        )
        return SliverSpec(sliver=SliverId(name), slice=SliceId("s"), offer="node1", generation=1, shape=shape)

    return make


@pytest.fixture
def shell(ssh_key):
    def run(observation, command):
        done = run_over_ssh(ssh_key, observation.logins[0], command)
        return done.stdout + done.stderr

    return run


def sending(spec, sender):
    """The same machine a generation later, all of whose ports send so."""
    ports = tuple(replace(port, sender=sender) for port in spec.shape.ports)
    return replace(spec, generation=spec.generation + 1, shape=replace(spec.shape, ports=ports))


PING = "ping -c 1 -W 1"


def test_a_machine_speaks_with_no_hardware_address_but_its_own(backend, machine, shell):
    spec = machine("one", ("l1", "10.1.0.1/24"))
    one = until_settled(backend, spec)
    until_settled(backend, machine("two", ("l1", "10.1.0.2/24")))
    assert "1 received" in shell(one, f"{PING} 10.1.0.2")
    as_another = f"sudo ip link set eth1 address 02:00:00:00:00:99; {PING} 10.1.0.2"
    assert "0 received" in shell(one, as_another)
    # A machine that is a switch is let through when it is asked for.
    until_settled(backend, sending(spec, Sender.ANYBODY))
    assert "1 received" in shell(one, as_another)


def test_a_router_forwards_unless_it_was_bound_to_its_own_addresses(backend, machine, shell):
    left = until_settled(backend, machine("left", ("l1", "10.1.0.1/24")))
    right = until_settled(backend, machine("right", ("l2", "10.2.0.1/24")))
    spec = machine("router", ("l1", "10.1.0.254/24"), ("l2", "10.2.0.254/24"))
    router = until_settled(backend, spec)
    shell(left, "sudo ip route add 10.2.0.0/24 via 10.1.0.254")
    shell(right, "sudo ip route add 10.1.0.0/24 via 10.2.0.254")
    shell(router, "sudo sysctl -w net.ipv4.ip_forward=1 || echo 1 | sudo tee /proc/sys/net/ipv4/ip_forward")
    assert "1 received" in shell(left, f"{PING} 10.2.0.1")
    began = time.monotonic()
    until_settled(backend, bound := sending(spec, Sender.OWN_ADDRESSES))
    assert time.monotonic() - began < 1
    assert "0 received" in shell(left, f"{PING} 10.2.0.1")
    assert "1 received" in shell(left, f"{PING} 10.1.0.254")
    until_settled(backend, sending(bound, Sender.OWN_MAC))
    assert "1 received" in shell(left, f"{PING} 10.2.0.1")


def test_a_bound_machine_takes_nobodys_address(backend, machine, shell):
    spec = machine("one", ("l1", "10.1.0.1/24 fd00:1::1/64"), sender=Sender.OWN_ADDRESSES)
    one = until_settled(backend, spec)
    two = until_settled(backend, machine("two", ("l1", "10.1.0.2/24 fd00:1::2/64")))
    shell(one, "sudo ip addr add 10.1.0.9/24 dev eth1; sudo ip addr add fd00:1::9/64 dev eth1 nodad")
    shell(two, "sleep 2")  # until its own IPv6 address has been found free
    for own, foreign, other in (("10.1.0.1", "10.1.0.9", "10.1.0.2"), ("fd00:1::1", "fd00:1::9", "fd00:1::2")):
        assert "1 received" in shell(one, f"{PING} -I {own} {other}")
        assert "0 received" in shell(one, f"{PING} -I {foreign} {other}")
        assert "0 received" in shell(two, f"{PING} {foreign}")  # nor does it answer for it
        assert "1 received" in shell(two, f"{PING} {own}")


def test_a_new_node_manager_brings_the_rules_back(native_state, backend_in, machine, shell):
    spec = machine("one", ("l1", "10.1.0.1/24"), sender=Sender.OWN_ADDRESSES)
    first = backend_in(native_state)
    first.start(Quiet())
    one = until_settled(first, spec)
    until_settled(first, machine("two", ("l1", "10.1.0.2/24")))
    first.stop()
    table = Names.of_folder(native_state).table
    subprocess.run(["nft", "delete", "table", "bridge", table], check=True)
    second = backend_in(native_state)
    second.start(Quiet())
    try:
        shell(one, "sudo ip addr add 10.1.0.9/24 dev eth1")
        assert "0 received" in shell(one, f"{PING} -I 10.1.0.9 10.1.0.2")
        assert "1 received" in shell(one, f"{PING} -I 10.1.0.1 10.1.0.2")
    finally:
        second.stop()


@pytest.mark.parametrize("sender", list(Sender))
def test_nothing_of_a_removed_machine_is_left_in_the_rules(backend, machine, native_state, sender):
    spec = machine("one", ("l1", "10.1.0.1/24"), sender=sender)
    table = Names.of_folder(native_state).table
    before = rules(table)
    until_settled(backend, spec)
    assert rules(table) != before
    for _ in range(2):
        backend.remove(spec.sliver, "node1", 2)
        assert rules(table) == before


def rules(table):
    return [
        subprocess.run(["nft", "list", "table", family, table], capture_output=True, text=True, check=True).stdout
        for family in ("inet", "bridge")
    ]


# What comes in


def with_rules(spec, *rules):
    """The same machine a generation later, with these rules."""
    return replace(spec, generation=spec.generation + 1, shape=replace(spec.shape, rules=rules))


def reaches(shell, observation, address, port):
    return shell(observation, f"timeout 2 bash -c 'exec 3<>/dev/tcp/{address}/{port}' 2>/dev/null; echo $?") == "0\n"


def test_rules_of_a_link_let_in_what_they_say_and_change_while_the_machine_runs(backend, machine, shell):
    spec = machine("one", ("l1", "10.1.0.1/24"))
    one = until_settled(backend, spec)
    two = until_settled(backend, machine("two", ("l1", "10.1.0.2/24")))
    boot = shell(one, "stat -c %Y /proc/1")
    assert reaches(shell, two, "10.1.0.1", 22)
    deny_all = Rule(allows=False, interface="eth1")
    began = time.monotonic()
    until_settled(backend, spec := with_rules(spec, deny_all))
    assert time.monotonic() - began < 1
    assert not reaches(shell, two, "10.1.0.1", 22)
    assert "0 received" in shell(two, f"{PING} 10.1.0.1")
    assert reaches(shell, one, "10.1.0.2", 22)  # what it begins itself is answered
    ssh = Rule(allows=True, traffic=Traffic.TCP, ports=(22, 22), source=ip_network("10.1.0.2"), interface="eth1")
    until_settled(backend, spec := with_rules(spec, ssh, deny_all))
    assert reaches(shell, two, "10.1.0.1", 22)
    assert "0 received" in shell(two, f"{PING} 10.1.0.1")
    elsewhere = replace(ssh, source=ip_network("10.1.0.64/26"))
    icmp = Rule(allows=True, traffic=Traffic.ICMP, interface="eth1")
    until_settled(backend, spec := with_rules(spec, elsewhere, icmp, deny_all))
    assert not reaches(shell, two, "10.1.0.1", 22)
    assert "1 received" in shell(two, f"{PING} 10.1.0.1")
    until_settled(backend, with_rules(spec))
    assert reaches(shell, two, "10.1.0.1", 22)
    assert shell(one, "stat -c %Y /proc/1") == boot


def test_rules_say_from_where_one_logs_in(backend, machine, shell):
    spec = machine("one", ("l1", "10.1.0.1/24"))
    one = until_settled(backend, spec)
    assert shell(one, "hostname") == "one\n"
    nobody = Rule(allows=False, traffic=Traffic.TCP, ports=(22, 22))
    spec = with_rules(spec, nobody)
    assert until_settled(backend, spec).seen is Seen.RUNNING
    assert shell(one, "hostname") != "one\n"
    here = Rule(allows=True, traffic=Traffic.TCP, source=ip_network("127.0.0.0/8"))
    until_settled(backend, with_rules(spec, here, nobody))
    assert shell(one, "hostname") == "one\n"


def test_a_machine_that_has_rules_starts_with_them_and_leaves_none(backend, machine, shell, native_state):
    table = Names.of_folder(native_state).table
    before = rules(table)
    deny = (Rule(allows=False, interface="eth1"), Rule(allows=False, source=ip_network("192.0.2.0/24")))
    one = until_settled(backend, with_rules(machine("one", ("l1", "10.1.0.1/24")), *deny))
    two = until_settled(backend, machine("two", ("l1", "10.1.0.2/24")))
    assert not reaches(shell, two, "10.1.0.1", 22)
    for sliver in (one.sliver, two.sliver):
        backend.remove(sliver, "node1", 2)
    assert rules(table) == before
