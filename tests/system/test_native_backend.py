"""The native backend on this kernel: conformance, logins, isolation, limits, what survives a kill."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path

import pytest
from system.conftest import run_over_ssh

from backends.conformance import Conformance, Quiet, until_settled
from backends.native.cleanup import leftovers
from backends.native.images.recipes import RECIPES
from backends.native.names import Names
from backends.native.runtime import Runtime
from backends.protocol import (
    Account,
    Form,
    Machine,
    Port,
    Seen,
    Segment,
    SliceId,
    SliverId,
    SliverSpec,
    Unavailable,
)

pytestmark = pytest.mark.needs("root", "lxc")


@pytest.fixture
def host():
    return Quiet()


@pytest.fixture
def backend(native_state, backend_in, host):
    backend = backend_in(native_state)
    backend.start(host)
    yield backend
    backend.stop()


class TestConformance(Conformance):
    image, sliver_type = "debian-12", "container"

    @pytest.fixture(autouse=True)
    def _backend(self, backend):
        """The fixture of this module."""


@pytest.fixture
def machine(ssh_key):
    public = ssh_key.with_suffix(".pub").read_text().strip()

    def make(name: str, link: str, address: str, *, memory_mib: int = 256, cpus: float = 1) -> SliverSpec:
        shape = Machine(
            hostname=name,
            sliver_type="container",
            image="debian-12",
            cpus=cpus,
            memory_mib=memory_mib,
            disk_mib=512,
            accounts=(Account(name="alice", keys=(public,)),),
            ports=(
                Port(
                    name="eth1",
                    link=SliverId(link),
                    mac=f"02:00:00:00:01:{int(address.split('.')[-1]):02x}",
                    addresses=(ip_interface(f"{address}/24"),),
                ),
            ),
        )
        return SliverSpec(sliver=SliverId(name), slice=SliceId("s"), offer="node1", generation=1, shape=shape)

    return make


@pytest.fixture
def shell(ssh_key):
    """Run a command on a machine; returns what it printed, or fails with what it said."""

    def run(observation, command, *, check=True):
        done = run_over_ssh(ssh_key, observation.logins[0], command)
        if check:
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout if check else done

    return run


def test_one_logs_in_and_is_root_inside_and_nobody_outside(backend, machine, shell):
    a = until_settled(backend, machine("one", "l1", "10.1.0.1"))
    assert shell(a, "hostname; id -un; sudo id -u") == "one\nalice\n0\n"
    mapped = int(shell(a, "cat /proc/self/uid_map").split()[1])
    assert mapped >= 1_000_000


def test_slivers_have_user_numbers_and_host_keys_of_their_own(backend, machine, shell):
    a, b = (until_settled(backend, machine(n, "l1", f"10.1.0.{i}")) for i, n in ((1, "one"), (2, "two")))
    commands = ("cat /proc/self/uid_map", "cat /etc/ssh/ssh_host_ed25519_key.pub")
    for command in commands:
        assert shell(a, command) != shell(b, command)


def test_machines_on_one_link_reach_each_other(backend, machine, shell):
    a = until_settled(backend, machine("one", "l1", "10.1.0.1"))
    until_settled(backend, machine("two", "l1", "10.1.0.2"))
    assert "1 received" in shell(a, "ping -c 1 -W 2 10.1.0.2")


def test_machines_of_other_links_are_out_of_reach_by_every_way(backend, machine, shell):
    a = until_settled(backend, machine("one", "l1", "10.1.0.1"))
    b = until_settled(backend, machine("two", "l2", "10.1.0.2"))
    control = shell(b, "ip -4 -o addr show eth0").split()[3].split("/")[0]
    for target in ("10.1.0.2", control):
        assert "0 received" in shell(a, f"ping -c 1 -W 1 {target}; true")
    assert shell(a, f"timeout 2 bash -c 'exec 3<>/dev/tcp/{control}/22'; echo $?") != "0\n"


def test_a_machine_can_not_take_anothers_address_on_the_control_network(backend, place, machine, shell):
    a = until_settled(backend, machine("one", "l1", "10.1.0.1"))
    b = until_settled(backend, machine("two", "l2", "10.1.0.2"))
    stolen = shell(b, "ip -4 -o addr show eth0").split()[3]
    shell(a, f"sudo ip addr add {stolen} dev eth0; sudo ping -c 1 -W 1 -I {stolen.split('/')[0]} {place.gateway}; true")
    assert shell(b, "hostname") == "two\n"
    received = shell(a, f"sudo ping -c 1 -W 1 -I {stolen.split('/')[0]} {place.gateway}; true")
    assert "0 received" in received


def test_services_of_the_host_are_out_of_reach(backend, place, machine, shell):
    import socket

    a = until_settled(backend, machine("one", "l1", "10.1.0.1"))
    with socket.create_server((place.gateway, 0)) as server:
        port = server.getsockname()[1]
        assert shell(a, f"timeout 2 bash -c 'exec 3<>/dev/tcp/{place.gateway}/{port}'; echo $?") != "0\n"


def test_memory_is_limited_as_the_type_says(backend, machine, shell):
    a = until_settled(backend, machine("one", "l1", "10.1.0.1", memory_mib=64))
    hungry = shell(a, r"bash -c 'x=$(head -c 200M /dev/zero | tr \\0 x); echo ${#x}'", check=False)
    assert "209715200" not in hungry.stdout
    assert shell(a, "echo alive") == "alive\n"


def test_processes_are_limited(native_state, backend_in, machine, shell, host):
    backend = backend_in(native_state, processes=40)
    backend.start(host)
    try:
        a = until_settled(backend, machine("one", "l1", "10.1.0.1"))
        bomb = shell(a, "for i in $(seq 100); do sleep 5 & done; true", check=False)
        assert "Resource temporarily unavailable" in bomb.stderr
    finally:
        backend.stop()


def test_a_reload_gives_a_fresh_disk_and_a_restart_keeps_it(backend, machine, shell):
    spec = machine("one", "l1", "10.1.0.1")
    shell(until_settled(backend, spec), "echo kept > note")
    restarted = until_settled(backend, replace(spec, generation=2, restarts=1))
    assert shell(restarted, "cat note") == "kept\n"
    reloaded = until_settled(backend, replace(spec, generation=3, restarts=1, reloads=1))
    assert shell(reloaded, "ls") == ""


def test_accounts_change_on_a_machine_that_runs(backend, machine, shell, ssh_key):
    spec = machine("one", "l1", "10.1.0.1")
    first = until_settled(backend, spec)
    since = shell(first, "stat -c %Y /proc/1")
    bob = Account(name="bob", keys=spec.shape.accounts[0].keys)
    second = until_settled(backend, replace(spec, generation=2, shape=replace(spec.shape, accounts=(bob,))))
    assert [login.username for login in second.logins] == ["bob"]
    assert shell(second, "sudo stat -c %Y /proc/1") == since
    assert run_over_ssh(ssh_key, first.logins[0], "true").returncode != 0


def test_whatever_the_mask_of_the_server_is(backend, machine, shell):
    """Operators of hardened hosts have one that lets nobody else read what they make."""
    before = os.umask(0o077)
    try:
        a = until_settled(backend, machine("one", "l1", "10.1.0.1"))
    finally:
        os.umask(before)
    assert shell(a, "hostname") == "one\n"


def test_what_is_written_to_the_console_is_kept_within_bounds(backend, native_state, machine, shell):
    a = until_settled(backend, machine("one", "l1", "10.1.0.1"))
    shell(a, "echo hello there | sudo tee /dev/console")
    deadline = time.monotonic() + 10
    while "hello there" not in backend.console(a.sliver):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    flood = r"head -c 3000000 /dev/zero | tr '\0' x"
    shell(a, f"({flood}; echo last words) | sudo tee /dev/console > /dev/null")
    while "last words" not in backend.console(a.sliver):
        assert time.monotonic() < deadline + 10
        time.sleep(0.05)
    assert len(backend.console(a.sliver)) <= 64 * 1024
    logs = list(Runtime(Names.of_folder(native_state)).folder.glob("*/console.log*"))
    assert sum(log.stat().st_size for log in logs) <= 256 * 1024


def test_a_machine_that_ends_by_itself_is_reported(backend, machine, shell, host):
    a = until_settled(backend, machine("one", "l1", "10.1.0.1"))
    shell(a, "sudo kill -USR1 1", check=False)
    deadline = time.monotonic() + 15
    while not host.reports and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [(r.sliver, r.seen) for r in host.reports] == [(a.sliver, Seen.STOPPED)]
    assert until_settled(backend, machine("one", "l1", "10.1.0.1")).seen is Seen.RUNNING


def test_a_new_node_manager_adopts_what_runs(native_state, backend_in, machine, shell, host):
    first = backend_in(native_state)
    first.start(host)
    spec = machine("one", "l1", "10.1.0.1")
    a = until_settled(first, spec)
    boot = shell(a, "stat -c %Y /proc/1")
    first.stop()
    second = backend_in(native_state)
    second.start(host)
    try:
        assert list(second.observe()) == [a]
        assert until_settled(second, spec) == a
        assert shell(a, "stat -c %Y /proc/1") == boot
    finally:
        second.stop()


@pytest.mark.parametrize("at", [0, 1, 2], ids=["first", "between", "last"])
def test_a_link_has_the_capacity_asked_for_whenever_it_is_told(backend, native_state, machine, at):
    link = SliverSpec(
        sliver=SliverId("l1"),
        slice=SliceId("s"),
        offer="node1",
        generation=1,
        shape=Segment(capacity_kbps=2000),
    )
    specs = [machine(name, "l1", f"10.1.0.{number}") for number, name in enumerate(("one", "two"), start=1)]
    specs.insert(at, link)
    for spec in specs:
        until_settled(backend, spec)
    ports = [entry.name for entry in Path("/sys/class/net").glob(f"{Names.of_folder(native_state).tag}l*")]
    assert len(ports) == 2
    for port in ports:
        shown = subprocess.run(["tc", "qdisc", "show", "dev", port], capture_output=True, text=True, check=True).stdout
        assert "tbf" in shown
        assert "rate 2Mbit" in shown


CHILD = """
    import sys, threading, time, os
    from pathlib import Path
    from datetime import datetime, UTC
    from ipaddress import ip_interface
    from backends.native import create
    from backends.conformance import Quiet
    from backends.protocol import *
    state, images, what, steps = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    backend = create({{"first_port": {first_port}, "control_network": {network!r}, "image_folder": images}},
                     Context(name="local", state=state))
    backend.start(Quiet())
    spec = SliverSpec(sliver=SliverId("one"), slice=SliceId("s"), offer="node1", generation=steps, shape=Machine(
        hostname="one", sliver_type="container", image="debian-12", cpus=1, memory_mib=256, disk_mib=512,
        accounts=(Account(name="alice", keys=({key!r},)),),
        ports=(Port(name="eth1", link=SliverId("l1"), mac="02:00:00:00:01:01",
                    addresses=(ip_interface("10.1.0.1/24"),)),)))
    if what == "remove":
        while backend.converge(spec).seen is Seen.MAKING: pass
    # Die at the given step: every call into the operating system that changes something counts as one.
    count = 0
    watched = {{"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chown", "os.chmod", "open", "subprocess.Popen",
               "shutil.rmtree", "ctypes.call_function"}}
    def hook(event, arguments):
        global count
        if event in watched and threading.current_thread() is threading.main_thread():
            count += 1
            if count == steps: os.kill(os.getpid(), 9)
    sys.addaudithook(hook)
    if what == "remove":
        backend.remove(SliverId("one"), "node1", steps)
    else:
        while backend.converge(spec).seen is Seen.MAKING: pass
    print("finished after", count)
    os._exit(0)
"""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("what", ["converge", "remove"])
def test_killed_at_any_step_a_new_node_manager_comes_to_the_right_end(
    native_state, backend_in, images, place, machine, shell, host, tmp_path, ssh_key, what
):
    """Killed with SIGKILL at step after step of making (or removing) a machine, then taken up by another process."""
    script = tmp_path / "child.py"
    key = ssh_key.with_suffix(".pub").read_text().strip()
    script.write_text(
        textwrap.dedent(CHILD.format(key=key, first_port=place.first_port, network=place.control_network))
    )
    killed = 0
    step = 1
    while True:
        child = subprocess.run(
            [sys.executable, script, native_state, images, what, str(step)], capture_output=True, text=True, check=False
        )
        backend = backend_in(native_state)
        backend.start(host)
        try:
            if what == "converge":
                spec = replace(machine("one", "l1", "10.1.0.1"), generation=step)
                assert shell(until_settled(backend, spec), "hostname") == "one\n"
            backend.remove(SliverId("one"), "node1", step)
        finally:
            backend.stop()
        assert leftovers(native_state, slivers_only=True) == [], f"killed at step {step}"
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL, child.stderr
        killed += 1
        step += 4 if os.environ.get("CI") is None and killed > 20 else 2
    assert killed >= 10


def test_a_disk_stays_with_the_edition_of_the_image_it_began_from(backend, machine, shell, monkeypatch):
    """An upgrade brings a new edition: machines that are there go on with theirs, also after a restart."""
    spec = machine("one", "l1", "10.1.0.1")
    shell(until_settled(backend, spec), "echo kept > note")
    monkeypatch.setitem(RECIPES, Form.CONTAINER, replace(RECIPES[Form.CONTAINER], suite="upgraded"))
    again = until_settled(backend, replace(spec, generation=2, restarts=1))
    assert shell(again, "cat note") == "kept\n"
    with pytest.raises(Unavailable, match="not ready"):
        backend.converge(machine("two", "l1", "10.1.0.2"))


def test_a_disk_of_any_depth_is_deleted(backend, machine, shell, native_state):
    a = until_settled(backend, machine("one", "l1", "10.1.0.1"))
    shell(a, "ln -s / root; perl -e 'for (1..3000) { mkdir q(d); chdir q(d) }'")
    backend.remove(a.sliver, "node1", 1)
    assert leftovers(native_state, slivers_only=True) == []
