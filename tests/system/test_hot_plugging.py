"""Interfaces that come and go while a container runs: nothing in it is restarted, nothing of them is left."""

import subprocess
from dataclasses import replace
from ipaddress import ip_interface

import pytest
from system.conftest import run_over_ssh

from backends.conformance import Quiet, until_settled
from backends.native.names import Names
from backends.protocol import Account, Machine, Member, Port, Segment, Sender, SliceId, SliverId, SliverSpec

pytestmark = pytest.mark.needs("root", "lxc")


@pytest.fixture
def backend(native_state, backend_in):
    backend = backend_in(native_state)
    backend.start(Quiet())
    yield backend
    backend.stop()


def port(number: int, link: str, last: int, *, asks: bool = False, sender: Sender = Sender.OWN_MAC) -> Port:
    return Port(
        name=f"eth{number}",
        link=SliverId(link),
        mac=f"02:00:00:00:{number:02x}:{last:02x}",
        addresses=(ip_interface(f"10.{number}.0.{last}/24"),),
        asks=asks,
        sender=sender,
    )


@pytest.fixture
def machine(ssh_key):
    public = ssh_key.with_suffix(".pub").read_text().strip()

    def make(name: str, *ports: Port, generation: int = 1) -> SliverSpec:
        shape = Machine(
            hostname=name,
            sliver_type="container",
            image="debian-12",
            cpus=1,
            memory_mib=256,
            disk_mib=512,
            accounts=(Account(name="alice", keys=(public,)),),
            ports=ports,
        )
        return SliverSpec(sliver=SliverId(name), slice=SliceId("s"), offer="node1", generation=generation, shape=shape)

    return make


@pytest.fixture
def shell(ssh_key):
    def run(observation, command):
        done = run_over_ssh(ssh_key, observation.logins[0], command)
        return done.stdout + done.stderr

    return run


PING = "ping -c 1 -W 2"
BOOT = "stat -c %Y /proc/1; cut -d' ' -f22 /proc/1/stat"


def test_a_port_comes_while_the_machine_runs(backend, machine, shell):
    one = until_settled(backend, machine("one"))
    two = until_settled(backend, machine("two", port(1, "l", 2)))
    before = shell(one, BOOT)
    one = until_settled(backend, machine("one", port(1, "l", 1), generation=2))
    assert "1 received" in shell(one, f"{PING} 10.1.0.2")
    assert "1 received" in shell(two, f"{PING} 10.1.0.1")
    assert shell(one, BOOT) == before
    assert one.generation == 2


def test_one_port_goes_and_another_comes_and_the_third_stays_as_it_was(backend, machine, shell, native_state):
    spec = machine("one", port(1, "l", 1), port(2, "k", 1))
    one = until_settled(backend, spec)
    until_settled(backend, machine("two", port(1, "l", 2), port(2, "k", 2), port(3, "j", 2)))
    before = shell(one, f"{BOOT}; cat /sys/class/net/eth2/ifindex")
    one = until_settled(backend, machine("one", port(2, "k", 1), port(3, "j", 1), generation=2))
    assert "1 received" in shell(one, f"{PING} 10.2.0.2")
    assert "1 received" in shell(one, f"{PING} 10.3.0.2")
    assert "eth1" not in shell(one, "ls /sys/class/net")
    assert shell(one, f"{BOOT}; cat /sys/class/net/eth2/ifindex") == before
    # What was let in by the port that is gone has no way any more, and what is new is watched like all.
    members = subprocess.run(
        ["nft", "list", "set", "bridge", Names.of_folder(native_state).table, "members"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "02:00:00:00:01:01" not in members
    shell(one, "sudo ip link set eth3 address 02:00:00:00:00:99")
    assert "0 received" in shell(one, "ping -c 1 -W 1 10.3.0.2")


def test_what_came_while_it_ran_is_there_after_a_restart(backend, machine, shell):
    until_settled(backend, machine("one"))
    until_settled(backend, machine("two", port(1, "l", 2)))
    spec = machine("one", port(1, "l", 1), generation=2)
    until_settled(backend, spec)
    one = until_settled(backend, replace(spec, generation=3, restarts=1))
    assert "1 received" in shell(one, f"{PING} 10.1.0.2")


def test_what_came_while_it_ran_asks_for_its_address(backend, machine, shell, until):
    member = Member(hostname="one", mac=port(1, "l", 1).mac, addresses=port(1, "l", 1).addresses)
    segment = Segment(number=3, name="lan0", members=(member,), server=ip_interface("10.1.0.254/24"))
    link = SliverSpec(sliver=SliverId("l"), slice=SliceId("s"), offer="node1", generation=1, shape=segment)
    until_settled(backend, link)
    until_settled(backend, machine("one"))
    one = until_settled(backend, machine("one", port(1, "l", 1, asks=True), generation=2))
    until(lambda: "10.1.0.1/24" in shell(one, "ip -4 -brief address show dev eth1"))


def test_a_machine_s_own_interface_is_not_taken_from_it(backend, machine, shell):
    one = until_settled(backend, machine("one"))
    shell(one, "sudo ip link add eth1 type veth peer name other")
    with pytest.raises(Exception, match="of its own making"):
        until_settled(backend, machine("one", port(1, "l", 1), generation=2))
    shell(one, "sudo ip link del eth1")
    until_settled(backend, machine("one", port(1, "l", 1), generation=2))
    assert "eth1" in shell(one, "ls /sys/class/net")


def test_the_bridge_of_a_link_goes_with_the_last_port_on_it(backend, machine, native_state):
    names = Names.of_folder(native_state)
    until_settled(backend, machine("one", port(1, "l", 1)))
    listed = ["ip", "-brief", "link", "show"]
    assert names.bridge(SliverId("l")) in subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    until_settled(backend, machine("one", generation=2))
    assert names.bridge(SliverId("l")) not in subprocess.run(listed, capture_output=True, text=True, check=True).stdout
