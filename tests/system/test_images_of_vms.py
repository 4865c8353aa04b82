"""Images made from virtual machines: what comes along, and what does not, also not in blocks that are free."""

import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from system.conftest import run_over_ssh
from system.hypervisor import hypervisor_running
from system.image_folders import folder_beside

from backends.conformance import Quiet, until_settled
from backends.native.images import DEBIAN_12
from backends.own_images import ImageWish, Progress
from backends.protocol import Account, Form, Machine, SliceId, SliverId, SliverSpec

pytestmark = [pytest.mark.needs("root", "lxc", "libvirtd", "qemu-img", "xorrisofs"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module", autouse=True)
def hypervisor():
    with hypervisor_running():
        yield


@pytest.fixture
def own_images(images):
    with tempfile.TemporaryDirectory(prefix="sfa-am-test-") as room:
        Path(room).chmod(0o755)
        yield folder_beside(images, Path(room) / "images")


@pytest.fixture
def backend(backend_in, native_state, own_images):
    backend = backend_in(native_state, image_folder=str(own_images), virtual_machines=True)
    backend.start(Quiet())
    try:
        yield backend
    finally:
        backend.stop()


def spec(name: str, key: Path, image: str, login: str) -> SliverSpec:
    account = Account(name=login, keys=(key.with_suffix(".pub").read_text().strip(),))
    shape = Machine(
        hostname=name,
        form=Form.VM,
        sliver_type="vm-small",
        image=image,
        cpus=1,
        memory_mib=384,
        disk_mib=3072,
        accounts=(account,),
    )
    return SliverSpec(sliver=SliverId(name), slice=SliceId("s"), offer="node1", generation=1, shape=shape)


def shell(key: Path, running, command: str) -> str:
    done = run_over_ssh(key, running.logins[0], command, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_virtual_machine_begins_with_the_disk_of_another_and_not_with_its_identity(backend, own_images, ssh_key):
    first = until_settled(backend, spec("first", ssh_key, DEBIAN_12.name, "alice"))
    shell(ssh_key, first, "echo worked | sudo tee /srv/result; sync")
    host_key = shell(ssh_key, first, "sudo sed -n 2,4p /etc/ssh/ssh_host_ed25519_key").strip()
    wish = ImageWish(image="i1", name="alice//web", sliver=SliverId("first"), offer="node1", largest=8 * 1024**3)
    deadline = time.monotonic() + 200
    while (seen := backend.make_image(wish)).progress is Progress.MAKING:
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.5)
    assert seen.progress is Progress.READY, seen.fault
    assert shell(ssh_key, first, "echo lives") == "lives\n", "the sliver goes on"
    (home,) = own_images.glob("of-sliver-*")
    raw = own_images / "raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", home / "disk.qcow2", raw], check=True)
    content = raw.read_bytes()
    assert b"worked" in content
    for line in (*host_key.splitlines(), ssh_key.with_suffix(".pub").read_text().split()[1]):
        assert line.encode() not in content, "not in a free block, either"
    raw.unlink()
    backend.remove(SliverId("first"), "node1", 1)

    second = until_settled(backend, spec("second", ssh_key, "alice//web", "bob"))
    assert shell(ssh_key, second, "cat /srv/result") == "worked\n"
    assert run_over_ssh(ssh_key, replace(second.logins[0], username="alice"), "true").returncode != 0
    backend.remove(SliverId("second"), "node1", 1)
    backend.drop_image("i1", "node1")
    assert not list(own_images.glob("of-sliver-*"))
