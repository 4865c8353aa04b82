"""Real containers on this host: backends and servers for tests, and the proof that nothing is left of them."""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import lacking_for
from system.cluster import cluster
from system.place import Place
from system.server import RunningServer

from backends.native.cleanup import clean, leftovers
from backends.native.images import DEBIAN_12, ImageFolder
from backends.protocol import BackendError, Form

REPOSITORY = Path(__file__).resolve().parent.parent.parent
IMAGES = Path(os.environ.get("SFA_AM_IMAGE_CACHE", REPOSITORY / ".cache" / "images"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build images before the clock of any test runs: it takes minutes, and other processes wait for it."""
    users = (item for item in session.items if "images" in getattr(item, "fixturenames", ()))
    if not session.config.option.collectonly and not all(map(lacking_for, users)):
        with suppress(BackendError):  # tests that need the image will say so
            build_images()


def build_images() -> None:
    """All of ours, unless they are there."""
    for form in Form:
        ImageFolder(IMAGES).build(DEBIAN_12.name, form)


@pytest.fixture(scope="session")
def images() -> Path:
    """The folder of disk images, built once and kept between runs."""
    build_images()
    return IMAGES


@pytest.fixture(scope="session")
def place():
    """Ports and a network for the backends of this process, one after the other."""
    place = Place.take()
    yield place
    place.leave()


@pytest.fixture
def backend_in(images, place):
    """Makes backends on state folders, each the next user of the same ports and network."""
    from backends.native import create
    from backends.protocol import Context

    where = {
        "first_port": place.first_port,
        "first_door": place.first_door,
        "doors": 50,
        "control_network": place.control_network,
        "image_folder": str(images),
    }
    return lambda state, **changes: create({**where, **changes}, Context(name="local", state=state))


@pytest.fixture
def native_state():
    """A state folder for a native backend; whatever a test left of it is removed and counted as a failure."""
    home = Path(tempfile.mkdtemp(prefix="sfa-am-test-"))
    home.chmod(0o700)
    state = home / "local"
    state.mkdir()
    try:
        yield state
    finally:
        clean(state)
        left = leftovers(state, slivers_only=False)
        shutil.rmtree(home)
    assert left == []


@pytest.fixture
def until():
    """Waits until something holds, for as long as it may take on a busy machine."""

    def wait(condition, timeout: float = 30) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="session")
def ssh_key(tmp_path_factory) -> Path:
    """A key pair of OpenSSH's own making; the public one has .pub behind its name."""
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def run_over_ssh(key: Path, login, command: str, *, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    """Run a command over SSH as any client would."""
    options = ["IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
    options += ["BatchMode=yes", "ConnectTimeout=5"]
    arguments = [part for option in options for part in ("-o", option)]
    target = f"{login.username}@{login.hostname}"
    return subprocess.run(
        ["ssh", "-i", key, *arguments, "-p", str(login.port), target, command],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@contextmanager
def serving(make):
    """A server with the user alice, as `make` makes it in a folder; of what it makes itself nothing is left."""
    home = Path(tempfile.mkdtemp(prefix="sfa-am-test-"))
    running = make(home)
    try:
        running.start()
        running.add_user("alice")
        yield running
    finally:
        running.remove()
        left = leftovers(running.backend, slivers_only=False)
        shutil.rmtree(home)
    assert left == []


@pytest.fixture(scope="module")
def server(images):
    """One server for a module's tests, with the user alice."""
    with serving(lambda home: RunningServer(home, images)) as running:
        yield running


@pytest.fixture(scope="module")
def hosts(images):
    """Three hosts that make containers, for a module's tests, with the user alice."""
    yield from _cluster(images)


@pytest.fixture(scope="module")
def hosts_with_vms(images):
    """Three hosts that make virtual machines, too."""
    yield from _cluster(images, virtual_machines=True)


def _cluster(images, **settings):
    home = Path(tempfile.mkdtemp(prefix="sfa-am-test-"))
    home.chmod(0o711)
    try:
        with cluster(home, images, **settings) as running:
            running.server.add_user("alice")
            yield running
    except BaseException:
        for log in sorted(home.glob("*.log")):
            print(f"== {log.name}\n{log.read_text()[-6000:]}")
        raise
    finally:
        shutil.rmtree(home)
