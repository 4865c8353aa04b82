"""Virtual machines of the native backend on this kernel: conformance, and what they share with containers."""

import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import pytest
from system.conftest import run_over_ssh
from system.hypervisor import hypervisor_running
from system.machines import pings
from system.machines import shell as shell_in
from system.server import RunningServer, allocate, provision, states

from backends.conformance import Conformance, Quiet, until_settled
from backends.native.cleanup import leftovers
from backends.protocol import Account, Form, Machine, Member, Port, Seen, Segment, SliceId, SliverId, SliverSpec

pytestmark = pytest.mark.needs("root", "lxc", "libvirtd", "qemu-img", "xorrisofs")


@pytest.fixture(scope="module", autouse=True)
def hypervisor():
    with hypervisor_running():
        yield


@pytest.fixture
def backend(native_state, backend_in):
    backend = backend_in(native_state, virtual_machines=True)
    backend.start(Quiet())
    yield backend
    backend.stop()


class TestConformance(Conformance):
    image, sliver_type, form = "debian-12", "vm-small", Form.VM

    @pytest.fixture(autouse=True)
    def _backend(self, backend):
        """The fixture of this module."""


@pytest.fixture
def machine(ssh_key):
    public = ssh_key.with_suffix(".pub").read_text().strip()

    def make(number: int, form: Form, *names: str) -> SliverSpec:
        shape = Machine(
            hostname=f"{form}{number}",
            form=form,
            sliver_type={Form.VM: "vm-small", Form.CONTAINER: "container"}[form],
            image="debian-12",
            cpus=1,
            memory_mib=384,
            disk_mib=3072,
            accounts=tuple(Account(name=name, keys=(public,)) for name in names or ("alice",)),
            ports=(
                Port(
                    name="eth1",
                    link=SliverId("lan"),
                    mac=f"02:00:00:00:02:{number:02x}",
                    addresses=(ip_interface(f"10.2.0.{number}/24"),),
                ),
            ),
        )
        name = SliverId(f"{form}{number}")
        return SliverSpec(sliver=name, slice=SliceId("s"), offer="node1", generation=1, shape=shape)

    return make


@pytest.fixture
def shell(ssh_key):
    def run(observation, command):
        login = observation.logins[-1]
        done = run_over_ssh(ssh_key, login, command, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    return run


def test_a_virtual_machine_and_a_container_share_a_link(backend, place, machine, shell):
    virtual = until_settled(backend, machine(1, Form.VM))
    until_settled(backend, machine(2, Form.CONTAINER))
    assert shell(virtual, "hostname; id -un; sudo id -u").split() == ["vm1", "alice", "0"]
    assert "1 received" in shell(virtual, "ping -c 1 -W 5 10.2.0.2")
    assert place.gateway in shell(virtual, "ip route get 192.0.2.1")
    size_kib = int(shell(virtual, "df --output=size / | tail -1"))
    assert 3072 * 1024 > size_kib > 2800 * 1024, "its file system has the size that was asked for"


def test_accounts_change_while_it_runs(backend, machine, shell):
    first = until_settled(backend, machine(1, Form.VM))
    up_since = shell(first, "cat /proc/sys/kernel/random/boot_id")
    changed = until_settled(backend, replace(machine(1, Form.VM, "bob"), generation=2))
    assert shell(changed, "id -un; cat /proc/sys/kernel/random/boot_id") == f"bob\n{up_since}"
    with pytest.raises(AssertionError, match="denied"):
        shell(first, "true")


def test_it_outlives_its_node_manager_and_is_adopted(native_state, backend_in, machine, shell):
    before = backend_in(native_state, virtual_machines=True)
    before.start(Quiet())
    first = until_settled(before, machine(1, Form.VM))
    boot = shell(first, "cat /proc/sys/kernel/random/boot_id; echo kept | sudo tee /root/file >/dev/null; sudo sync")
    before.stop()
    after = backend_in(native_state, virtual_machines=True)
    after.start(Quiet())
    try:
        assert [(seen.sliver, seen.seen) for seen in after.observe()] == [("vm1", Seen.RUNNING)]
        again = until_settled(after, machine(1, Form.VM))
        assert shell(again, "cat /proc/sys/kernel/random/boot_id") == boot
        restarted = until_settled(after, replace(machine(1, Form.VM), generation=2, restarts=1))
        assert shell(restarted, "sudo cat /root/file") == "kept\n"
        reloaded = until_settled(after, replace(machine(1, Form.VM), generation=3, restarts=1, reloads=1))
        assert shell(reloaded, "sudo ls /root/file 2>&1 || true").strip().endswith("No such file or directory")
    finally:
        after.stop()


def test_the_image_is_there_once_however_many_machines_begin_from_it(backend, machine, native_state):
    for number in (1, 2):
        until_settled(backend, machine(number, Form.VM))
    used = subprocess.run(["du", "-sm", native_state / "slivers"], capture_output=True, text=True, check=True)
    assert int(used.stdout.split()[0]) < 200, "two disks are what differs from an image of 300 MiB"


def test_what_it_says_at_its_boot_is_on_its_console(backend, machine):
    until_settled(backend, machine(1, Form.VM))
    assert "Linux version" in backend.console(SliverId("vm1"))


def test_a_machine_that_ends_by_itself_is_reported(native_state, backend_in, machine, shell):
    host = Quiet()
    backend = backend_in(native_state, virtual_machines=True)
    backend.start(host)
    try:
        running = until_settled(backend, machine(1, Form.VM))
        shell(running, "sudo sh -c 'sleep 1; poweroff' >/dev/null 2>&1 &")
        for _ in range(300):
            if host.reports:
                break
            time.sleep(0.1)
        assert [(seen.sliver, seen.seen) for seen in host.reports] == [("vm1", Seen.STOPPED)]
        assert until_settled(backend, machine(1, Form.VM)).seen is Seen.RUNNING
    finally:
        backend.stop()


REQUEST = """<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">
  <node client_id="vm"><sliver_type name="vm-small"/><interface client_id="vm:0">
    <ip address="10.20.0.1" netmask="255.255.255.0"/></interface></node>
  <node client_id="ct"><sliver_type name="container"/><interface client_id="ct:0">
    <ip address="10.20.0.2" netmask="255.255.255.0"/></interface></node>
  <link client_id="lan"><interface_ref client_id="vm:0"/><interface_ref client_id="ct:0"/></link>
</rspec>"""


def test_a_request_brings_a_virtual_machine_and_a_container_on_one_lan(images):
    home = Path(tempfile.mkdtemp(prefix="sfa-am-test-"))
    server = RunningServer(home, images, **{"backend.virtual_machines": "true"})
    try:
        server.start()
        server.add_user("alice")
        slice_ = server.add_slice("mixed", "alice")
        allocate(slice_, REQUEST)
        provision(slice_)
        server.wait_for(lambda: set(states(slice_).values()) == {"geni_ready"}, timeout=100)
        assert pings(slice_, "vm", "10.20.0.2")
        assert pings(slice_, "ct", "10.20.0.1")
        assert shell_in(slice_, "vm", "cat /sys/class/dmi/id/product_name") == "Sliver\n"
        slice_.call("Delete", {})
        server.wait_for(lambda: server.left() == [])
    finally:
        server.remove()
        left = leftovers(server.backend, slivers_only=False)
        shutil.rmtree(home)
    assert left == []


def test_a_virtual_machine_asks_its_link_for_an_address_and_knows_the_others_by_name(backend, machine, shell):
    """The container beside it, too."""
    wishes = [machine(1, Form.VM), machine(2, Form.CONTAINER)]
    members = tuple(
        Member(hostname=wish.shape.hostname, mac=port.mac, addresses=port.addresses)
        for wish in wishes
        for port in wish.shape.ports
    )
    segment = Segment(number=9, name="lan", members=members, server=ip_interface("10.2.0.254/24"))
    lan = SliverSpec(sliver=SliverId("lan"), slice=SliceId("s"), offer="node1", generation=1, shape=segment)
    until_settled(backend, lan)
    asking = [
        replace(wish, shape=replace(wish.shape, ports=tuple(replace(port, asks=True) for port in wish.shape.ports)))
        for wish in wishes
    ]
    virtual, _ = (until_settled(backend, wish) for wish in asking)
    for _ in range(100):
        if "10.2.0.1/24" in shell(virtual, "ip -4 -brief address show dev eth1"):
            break
        time.sleep(0.1)
    assert "1 received" in shell(virtual, "ping -c 1 -W 5 container2 || true")
    assert "10.2.0.2" in shell(virtual, "busybox nslookup container2-lan 10.2.0.254")


def test_interfaces_come_and_go_while_a_virtual_machine_runs(backend, machine, shell):
    until_settled(backend, machine(2, Form.CONTAINER))
    spec = machine(1, Form.VM)
    alone = replace(spec, shape=replace(spec.shape, ports=()))
    virtual = until_settled(backend, alone)
    booted = shell(virtual, "cat /proc/sys/kernel/random/boot_id")
    virtual = until_settled(backend, replace(spec, generation=2))
    assert "1 received" in shell(virtual, "ping -c 1 -W 5 10.2.0.2 || true")
    until_settled(backend, replace(alone, generation=3))
    assert "eth1" not in shell(virtual, "ls /sys/class/net")
    virtual = until_settled(backend, replace(spec, generation=4))
    assert "1 received" in shell(virtual, "ping -c 1 -W 5 10.2.0.2 || true")
    assert shell(virtual, "cat /proc/sys/kernel/random/boot_id") == booted
