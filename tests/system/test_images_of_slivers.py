"""Images that researchers make from their slivers: what comes along, what must not, and how long they stay."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from system.conftest import run_over_ssh
from system.image_folders import folder_beside

from backends.conformance import Quiet, until_settled
from backends.native.images import DEBIAN_12
from backends.own_images import ImageWish, Progress
from backends.protocol import Account, Impossible, Machine, Seen, SliceId, SliverId, SliverSpec, Unavailable

pytestmark = [pytest.mark.needs("root", "lxc"), pytest.mark.timeout(300)]

LARGEST = 2 * 1024**3


@pytest.fixture
def own_images(images, native_state):
    """An image folder where the built-in ones are those of all tests."""
    return folder_beside(images, native_state.parent / "images")


@pytest.fixture
def backend(backend_in, native_state, own_images):
    backend = backend_in(native_state, image_folder=str(own_images))
    backend.start(Quiet())
    try:
        yield backend
    finally:
        backend.stop()


def spec(name: str, key: Path, image: str = DEBIAN_12.name, login: str = "alice") -> SliverSpec:
    account = Account(name=login, keys=(key.with_suffix(".pub").read_text().strip(),))
    shape = Machine(
        hostname=name,
        sliver_type="container",
        image=image,
        cpus=1,
        memory_mib=128,
        disk_mib=512,
        accounts=(account,),
    )
    return SliverSpec(sliver=SliverId(name), slice=SliceId("s"), offer="node1", generation=1, shape=shape)


def wish(sliver: str, image: str = "i1", largest: int = LARGEST) -> ImageWish:
    return ImageWish(image=image, name="alice//web", sliver=SliverId(sliver), offer="node1", largest=largest)


def made(backend, wanted: ImageWish):
    deadline = time.monotonic() + 120
    while (seen := backend.make_image(wanted)).progress is Progress.MAKING:
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)
    return seen


def shell(key: Path, running, command: str) -> str:
    done = run_over_ssh(key, running.logins[0], command)
    assert done.returncode == 0, done.stderr
    return done.stdout


PREPARE = """set -e
sudo sh -c 'echo worked > /srv/result; chown 1234:4321 /srv/result; ln -s /srv/result /srv/link
echo abc > /etc/machine-id; cp /bin/true /srv/able; chmod 4755 /srv/able'
echo mine > ~/note; sync; cat /etc/ssh/ssh_host_ed25519_key.pub"""


def test_a_container_begins_with_the_files_of_another_and_not_with_its_identity(backend, ssh_key):
    first = until_settled(backend, spec("first", ssh_key))
    host_key = shell(ssh_key, first, PREPARE)
    seen = made(backend, wish("first"))
    assert seen.progress is Progress.READY, seen.fault
    assert seen.size > 0
    assert len(seen.sha256) == 64
    assert shell(ssh_key, first, "echo lives") == "lives\n", "the sliver goes on"
    assert "alice//web" not in str(backend.offers()), "it is nobody else's business"

    second = until_settled(backend, spec("second", ssh_key, "alice//web", login="bob"))
    said = shell(
        ssh_key, second, "cat /srv/link; stat -c '%u %g' /srv/result; stat -c %a /srv/able; sudo cat /home/alice/note"
    )
    assert said.splitlines() == ["worked", "1234 4321", "4755", "mine"]
    assert shell(ssh_key, second, "cat /etc/ssh/ssh_host_ed25519_key.pub") != host_key
    assert shell(ssh_key, second, "sudo ls -A /home/alice/.ssh; cat /etc/machine-id 2>/dev/null || true") == ""
    alice = replace(second.logins[0], username="alice")
    assert run_over_ssh(ssh_key, alice, "true").returncode != 0, "who could log in there can't here"


def test_an_image_stays_for_its_slivers_and_goes_with_the_last(backend, own_images, ssh_key):
    until_settled(backend, spec("first", ssh_key))
    assert made(backend, wish("first")).progress is Progress.READY
    second = spec("second", ssh_key, "alice//web")
    until_settled(backend, second)
    backend.drop_image("i1", "node1")
    backend.drop_image("i1", "node1")
    with pytest.raises(Impossible):
        backend.converge(spec("third", ssh_key, "alice//web"))
    assert until_settled(backend, replace(second, generation=2, reloads=1)).seen is Seen.RUNNING
    assert list(own_images.glob("of-sliver-*")) != []
    backend.remove(SliverId("third"), "node1", 1)
    backend.remove(SliverId("second"), "node1", 2)
    assert list(own_images.glob("of-sliver-*")) == []


def test_an_image_that_is_still_being_made_is_dropped_after_that(backend, own_images, ssh_key):
    until_settled(backend, spec("first", ssh_key))
    assert backend.make_image(wish("first")).progress is Progress.MAKING
    with pytest.raises(Unavailable, match="still being made"):
        backend.drop_image("i1", "node1")
    deadline = time.monotonic() + 120
    while True:
        try:
            backend.drop_image("i1", "node1")
            break
        except Unavailable:
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.1)
    assert list(own_images.glob("of-sliver-*")) == list(own_images.glob(".building-*")) == []


def test_no_image_is_made_of_what_is_too_large_or_not_there(backend, own_images, ssh_key):
    until_settled(backend, spec("first", ssh_key))
    seen = made(backend, wish("first", largest=1024**2))
    assert (seen.progress, seen.fault) == (
        Progress.FAILED,
        "the machine has more files than an image may have, 1 MiB",
    )
    assert made(backend, wish("nobody", "i2")).progress is Progress.FAILED
    assert list(own_images.glob("of-sliver-*")) == list(own_images.glob(".building-*")) == []
    assert until_settled(backend, spec("first", ssh_key)).seen is Seen.RUNNING
