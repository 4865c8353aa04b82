"""The hypervisor's daemons, for hosts on which nothing else starts them. Tests that run side by side share them: the
first to come starts them, the last to go ends them."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_SOCKETS = {"virtlogd": Path("/run/libvirt/virtlogd-sock"), "libvirtd": Path("/run/libvirt/libvirt-sock")}
_USERS = Path("/run/lock/sfa-am-test-hypervisor")
"""Locked in common by whoever uses the daemons; says what processes tests have started."""


@contextmanager
def hypervisor_running() -> Iterator[None]:
    """Have them run."""
    with _USERS.open("a+") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        while not all(map(_answers, _SOCKETS.values())):
            fcntl.flock(users, fcntl.LOCK_EX)
            _start(users)
            fcntl.flock(users, fcntl.LOCK_SH)  # somebody may have come in between, and ended them: hence again
        try:
            yield
        finally:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # others use them
            else:
                _end(users)


def start_own() -> list[subprocess.Popen[bytes]]:
    """Start daemons of this host's own, where it has a /run/libvirt of its own. In the order in which they begin."""
    _settle_on_kvm()
    return [
        _begin(path, [program, "--pid-file", path.with_name(f"{program}.pid")]) for program, path in _SOCKETS.items()
    ]


def end_own(daemons: Sequence[subprocess.Popen[bytes]]) -> None:
    """End them."""
    for daemon in reversed(daemons):
        daemon.terminate()
        try:
            daemon.wait(20)
        finally:
            daemon.kill()


def _start(users) -> None:
    _settle_on_kvm()
    for program, path in _SOCKETS.items():
        if not _answers(path):
            users.write(f"{_begin(path, [program]).pid}\n")
            users.flush()


def _begin(path: Path, command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
    path.unlink(missing_ok=True)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    daemon = subprocess.Popen(command, start_new_session=True, **quiet)
    deadline = time.monotonic() + 30
    while not _answers(path):
        assert time.monotonic() < deadline, f"{command[0]} does not answer"
        assert daemon.poll() is None, f"{command[0]} ended"
        time.sleep(0.05)
    return daemon


def _end(users) -> None:
    users.seek(0)
    for pid in map(int, reversed(users.read().split())):
        deadline = time.monotonic() + 20
        while _is_daemon(pid) and time.monotonic() < deadline:
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.2)
    users.truncate(0)


def _is_daemon(pid: int) -> bool:
    """Whether it still runs; one that has ended may wait for whoever started it to notice."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    name, _, rest = status.partition(" (")[2].rpartition(") ")
    return name in _SOCKETS and not rest.startswith("Z")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.connect(os.fspath(path))
        except OSError:
            return False
    return True


def _settle_on_kvm() -> None:
    """Have the device belong to whom udev gives it, where udev has not: the daemon, finding that it can use the device
    and its emulators can't, would examine each emulator anew at every call."""
    device = Path("/dev/kvm")
    if device.exists() and device.stat().st_gid == 0:
        shutil.chown(device, group="kvm")
        device.chmod(0o660)
