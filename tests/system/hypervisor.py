"""The hypervisor's daemons, for hosts on which nothing else starts them."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SOCKETS = {"virtlogd": Path("/run/libvirt/virtlogd-sock"), "libvirtd": Path("/run/libvirt/libvirt-sock")}


@contextmanager
def hypervisor_running() -> Iterator[None]:
    """Start those daemons that do not run, and end them again."""
    _settle_on_kvm()
    started: list[subprocess.Popen[bytes]] = []
    try:
        for program, path in _SOCKETS.items():
            if _answers(path):
                continue
            path.unlink(missing_ok=True)
            started.append(subprocess.Popen([program], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            deadline = time.monotonic() + 20
            while not _answers(path):
                assert time.monotonic() < deadline, f"{program} does not answer"
                assert started[-1].poll() is None, f"{program} ended"
                time.sleep(0.05)
        yield
    finally:
        for daemon in reversed(started):
            daemon.terminate()
            daemon.wait(20)


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
