"""A link's way out: its machines reach the outside through it, share one address, and stay apart from other slices."""

import secrets
import subprocess
from ipaddress import ip_interface

import pytest
from system.conftest import run_over_ssh

from backends.conformance import Quiet, until_settled
from backends.native.names import Names
from backends.protocol import Account, Machine, Member, Port, Segment, SliceId, SliverId, SliverSpec

pytestmark = pytest.mark.needs("root", "lxc", "dnsmasq")

OUTSIDE = "198.51.100.2"
SERVER = "10.1.0.254"


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.fixture
def outside(tmp_path):
    """A host beyond this one, which knows no way to addresses of slivers, with a name server. Yields the way there."""
    name = f"sfat{secrets.token_hex(2)}"
    names = tmp_path / "names"
    names.write_text(f"{OUTSIDE} out.example\n")
    server = None
    try:
        run("ip", "netns", "add", name)
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "up", "netns", name)
        run("ip", "address", "add", "198.51.100.1/24", "dev", name)
        run("ip", "link", "set", name, "up")
        for command in ("address add 198.51.100.2/24 dev up", "link set dev up up", "link set dev lo up"):
            run("ip", "-n", name, *command.split())
        options = ("--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--pid-file=")
        command = ["ip", "netns", "exec", name, "dnsmasq", *options, f"--addn-hosts={names}", "--user=root"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        yield name
    finally:
        if server is not None:
            server.kill()
            server.wait()
        for command in (("ip", "netns", "del", name), ("ip", "link", "del", name)):
            subprocess.run(command, capture_output=True, check=False, timeout=30)


@pytest.fixture
def backend(native_state, backend_in, outside):
    backend = backend_in(native_state, uplink=outside, nameservers=[OUTSIDE])
    backend.start(Quiet())
    yield backend
    backend.stop()


@pytest.fixture
def made(backend, ssh_key):
    """Makes a link with a way out, and one machine on it."""
    public = ssh_key.with_suffix(".pub").read_text().strip()

    def make(link: str, *, gateway: bool = True):
        address, mac = (ip_interface("10.1.0.1/24"),), "02:00:00:00:05:01"
        segment = Segment(
            number=7 if link == "l" else 8,
            name="lan0",
            members=(Member(hostname="m", mac=mac, addresses=address),),
            server=ip_interface(f"{SERVER}/24"),
            gateway=gateway,
        )
        port = Port(name="eth1", link=SliverId(link), mac=mac, addresses=address, asks=True)
        machine = Machine(
            hostname="m",
            sliver_type="container",
            image="debian-12",
            cpus=1,
            memory_mib=256,
            disk_mib=512,
            accounts=(Account(name="alice", keys=(public,)),),
            ports=(port,),
        )
        common = {"slice": SliceId(link), "offer": "node1", "generation": 1}
        until_settled(backend, SliverSpec(sliver=SliverId(link), shape=segment, **common))
        return until_settled(backend, SliverSpec(sliver=SliverId(f"m{link}"), shape=machine, **common))

    return make


@pytest.fixture
def shell(ssh_key):
    def say(observation, command):
        done = run_over_ssh(ssh_key, observation.logins[0], command)
        return done.stdout + done.stderr

    return say


def test_machines_reach_the_outside_by_their_link_and_logins_go_on(made, shell, until):
    one = made("l")
    until(lambda: "dev eth1" in shell(one, f"ip route get {OUTSIDE}"))
    assert "1 received" in shell(one, f"ping -c 1 -W 2 {OUTSIDE}")
    assert OUTSIDE in shell(one, f"busybox nslookup out.example {SERVER}")
    assert "10.1.0.1" in shell(one, f"busybox nslookup m {SERVER}")


def test_slices_with_the_same_addresses_share_no_way_out(made, native_state, shell, until):
    one, two = made("l"), made("k")
    for machine in (one, two):
        until(lambda machine=machine: "dev eth1" in shell(machine, f"ip route get {OUTSIDE}"))
        assert "1 received" in shell(machine, f"ping -c 1 -W 2 {OUTSIDE}")
    names = Names.of_folder(native_state)
    guests = run("nft", "list", "set", "bridge", names.table, "guests").split("elements = {")[1]
    address_of = {port.strip(' "{}\n\t'): address.strip(" }\n\t") for port, _, address in elements(guests)}
    assert len(set(address_of.values())) == len(address_of) == 4  # two machines, two ways out
    own = {names.port(SliverId("ml"), 0), names.way_out(SliverId("l"))}
    for port in address_of.keys() - own:
        assert "0 received" in shell(one, f"ping -c 1 -W 1 -I eth1 {address_of[port]}")


def elements(written: str) -> list[list[str]]:
    """Of a set, each as its parts."""
    return [element.split(" . ") for element in written.split(",")]


def test_a_link_without_a_gateway_is_no_way_out(made, shell, until):
    one = made("l", gateway=False)
    until(lambda: "10.1.0.1/24" in shell(one, "ip -4 -brief address show dev eth1"))
    assert "dev eth1" not in shell(one, f"ip route get {OUTSIDE}")
    shell(one, f"sudo ip route add {OUTSIDE}/32 via {SERVER}")
    assert "0 received" in shell(one, f"ping -c 1 -W 1 {OUTSIDE}")


def test_a_way_out_outlives_a_node_manager(made, backend, backend_in, native_state, outside, shell, until):
    one = made("l")
    until(lambda: "dev eth1" in shell(one, f"ip route get {OUTSIDE}"))
    backend.stop()
    second = backend_in(native_state, uplink=outside, nameservers=[OUTSIDE])
    second.start(Quiet())
    try:
        assert "1 received" in shell(one, f"ping -c 1 -W 2 {OUTSIDE}")
        second.remove(SliverId("ml"), "node1", 1)
        table = Names.of_folder(native_state).table
        assert "elements" not in run("nft", "list", "set", "bridge", table, "guests")
    finally:
        second.stop()
