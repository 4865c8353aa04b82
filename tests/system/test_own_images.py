"""Images that an operator imports: containers and virtual machines begin from them, and they stay while these do."""

import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from system.conftest import run_over_ssh, serving
from system.hypervisor import hypervisor_running
from system.image_folders import folder_beside, packed_rootfs
from system.machines import shell
from system.server import RunningServer, allocate, provision, states

from backends.conformance import Quiet, until_settled
from backends.image_library import Format, Source
from backends.native.images import ImageFolder
from backends.protocol import Account, Form, Machine, Seen, SliceId, SliverId, SliverSpec

pytestmark = [pytest.mark.needs("root", "lxc", "qemu-img"), pytest.mark.timeout(300)]

# Real-mode code: DS = 0; each octet at 0x7c15 to the first serial port until one is 0; halt.
_SAYS = bytes.fromhex("31c08ed8be157cbaf803ac84c07403eeebf8f4ebfd")
_WORDS = b"a boot loader of its own\r\n"


@pytest.fixture
def room():
    """A folder on a disk: images are too large for the memory, and belong there."""
    with tempfile.TemporaryDirectory(prefix="sfa-am-test-") as folder:
        yield Path(folder)


@pytest.fixture
def own_images(images, room):
    """An image folder where the built-in ones are those of all tests."""
    return ImageFolder(folder_beside(images, room / "images"))


@pytest.fixture
def rootfs_tar(images, room):
    return packed_rootfs(images, room)


@pytest.fixture
def server(own_images):
    with serving(lambda home: RunningServer(home, own_images.path)) as running:
        yield running


REQUEST = (
    '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="a">'
    '<sliver_type name="container"><disk_image name="mine"/></sliver_type></node></rspec>'
)


def test_a_server_that_runs_offers_what_is_imported_and_keeps_it_while_it_is_needed(server, own_images, rootfs_tar):
    said = server.sfa_am("image", "import", "mine", str(rootfs_tar), "--format", "rootfs-tar", "--os", "Mine")
    assert "mine is offered" in said
    server.wait_for(lambda: "+image+mine" in server.sfi("alice", "resources", "--rspec").stdout)
    s = server.add_slice("own", "alice")
    allocate(s, REQUEST)
    provision(s)
    server.wait_for(lambda: set(states(s).values()) == {"geni_ready"})
    assert shell(s, "a", "cat /whose; sudo id -u") == "an operator's\n0\n"
    assert "+image+mine" in s.describe()["geni_rspec"]

    assert "Kept until" in server.sfa_am("image", "delete", "mine")
    assert "kept" in server.sfa_am("image", "list")
    server.wait_for(lambda: "+image+mine" not in server.sfi("alice", "resources", "--rspec").stdout)
    shell(s, "a", "sudo touch /own; sync")
    server.kill()
    server.start()
    for action, lists in (("geni_restart", "/own"), ("geni_reload", "")):
        s.call("PerformOperationalAction", action, {})
        server.wait_for(lambda: set(states(s).values()) == {"geni_ready"})
        assert shell(s, "a", "cat /whose; ls /own 2>/dev/null").split() == ["an", "operator's", *lists.split()]

    s.call("Delete", {})
    server.wait_for(lambda: server.left() == [])
    server.wait_for(lambda: not list(own_images.path.glob("mine-*")))


INIT = "#!/bin/sh\nmkdir -p /run/sshd\n/usr/sbin/sshd\nwhile :; do sleep 60; done\n"


def test_a_container_begins_with_the_init_of_its_image(backend_in, native_state, own_images, rootfs_tar, room, ssh_key):
    subprocess.run(["tar", "--delete", "-f", rootfs_tar, "./etc/inittab"], check=True)
    (room / "sbin").mkdir()
    (room / "sbin" / "init").write_text(INIT)
    (room / "sbin" / "init").chmod(0o755)
    added = ["--transform=s,^sbin,usr/sbin,", "sbin/init"]
    subprocess.run(["tar", "--numeric-owner", "-C", room, "-rf", rootfs_tar, *added], check=True)
    own_images.take(Source(name="mine", file=rootfs_tar, format=Format.ROOTFS_TAR))
    alice = Account(name="alice", keys=(ssh_key.with_suffix(".pub").read_text().strip(),))
    shape = Machine(
        hostname="own",
        sliver_type="container",
        image="mine",
        cpus=1,
        memory_mib=128,
        disk_mib=512,
        accounts=(alice,),
    )
    spec = SliverSpec(sliver=SliverId("own"), slice=SliceId("s"), offer="node1", generation=1, shape=shape)
    backend = backend_in(native_state, image_folder=str(own_images.path))
    backend.start(Quiet())
    try:
        running = until_settled(backend, spec)
        done = run_over_ssh(ssh_key, running.logins[0], "cat /proc/1/cmdline | tr '\\0' ' '; sudo id -u")
        assert done.stdout == "/bin/sh /sbin/init 0\n", done.stderr
        assert until_settled(backend, replace(spec, generation=2, running=False)).seen is Seen.STOPPED
    finally:
        backend.stop()


@pytest.mark.needs("libvirtd", "xorrisofs")
def test_a_disk_with_its_own_boot_loader_starts_by_it(backend_in, native_state, own_images, tmp_path):
    sector = (_SAYS + _WORDS).ljust(510, b"\0") + b"\x55\xaa"
    disk = tmp_path / "disk.raw"
    disk.write_bytes(sector.ljust(4 << 20, b"\0"))
    own_images.take(Source(name="own-loader", file=disk, format=Format.RAW))
    shape = Machine(
        hostname="own",
        form=Form.VM,
        sliver_type="vm-small",
        image="own-loader",
        cpus=1,
        memory_mib=64,
        disk_mib=64,
    )
    name = SliverId("own")
    spec = SliverSpec(sliver=name, slice=SliceId("s"), offer="node1", generation=1, shape=shape)
    with hypervisor_running():
        backend = backend_in(native_state, image_folder=str(own_images.path), virtual_machines=True)
        backend.start(Quiet())
        try:
            assert backend.converge(spec).seen is Seen.MAKING, "nobody answers as SSH in it"
            deadline = time.monotonic() + 30
            while _WORDS.decode().strip() not in backend.console(name) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert _WORDS.decode().strip() in backend.console(name)
            backend.remove(name, "node1", 1)
        finally:
            backend.stop()
