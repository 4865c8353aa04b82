"""Disk images: building the seed from Debian's packages, and finding images by name.

An image is a folder `<name>-<recipe>/rootfs`; the recipe's digest is in the name, so that a changed recipe is a new
image and an old one stays as long as slivers use it. Built in a folder beside it and renamed: it is whole or not there.

Run as a program it builds what is missing: ``python -m backends.native.images FOLDER``.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.protocol import Image, Unavailable

_SUITE = "bookworm"
_PACKAGES = (
    "busybox-static",
    "ca-certificates",
    "iproute2",
    "iputils-ping",
    "less",
    "nano",
    "openssh-server",
    "procps",
    "sudo",
)
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")

_FILES = {
    # busybox' init: reaps what is orphaned, starts sshd again when it ends, answers to the signal for a shutdown.
    "etc/inittab": "::sysinit:/etc/sliver/boot\n::respawn:/usr/sbin/sshd -D\n",
    "etc/sliver/boot": "#!/bin/busybox sh\n/bin/busybox mkdir -p -m 0755 /run/sshd\n/bin/busybox mkdir -p /run/lock\n",
    "etc/ssh/sshd_config": (
        "HostKey /etc/ssh/ssh_host_ed25519_key\n"
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        "PermitRootLogin no\n"
        "UsePAM no\n"
        "UseDNS no\n"
        "PrintMotd no\n"
        "X11Forwarding no\n"
        "AcceptEnv LANG LC_*\n"
        "Subsystem sftp /usr/lib/openssh/sftp-server\n"
    ),
    # Researchers are root in their own machine.
    "etc/sudoers.d/sliver": "%sudo ALL=(ALL:ALL) NOPASSWD: ALL\n",
    "etc/hostname": "sliver\n",
}
_MODES = {"etc/sliver/boot": 0o755, "etc/sudoers.d/sliver": 0o440}
_REMOVED = ("etc/ssh/ssh_host_*", "var/cache/apt/*.bin", "var/lib/apt/lists/*_*", "etc/machine-id", "etc/resolv.conf")

DEBIAN_12 = Image(name="debian-12", os="Linux", version="12", description="Debian 12, small, with SSH and sudo")

_BUILD_TIMEOUT = 900


class ImageFolder:
    """The images of a host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offered(self) -> tuple[Image, ...]:
        """What can be asked for."""
        return (DEBIAN_12,)

    def edition(self, name: str) -> str:
        """The newest edition of an image: what a disk that begins now begins from, and must stay with."""
        return self._home(name).name

    def rootfs(self, edition: str) -> Path:
        """The files of an edition. Raises Unavailable when it is not here."""
        rootfs = self._folder / edition / "rootfs"
        if not rootfs.is_dir():
            raise Unavailable(f"image {edition!r} is not ready here yet; try again in a minute")
        return rootfs

    def is_ready(self, name: str) -> bool:
        """Whether the image has been built."""
        return (self._home(name) / "rootfs").is_dir()

    def build(self, name: str) -> Path:
        """Build an image unless it is there; a second builder waits for the first. Returns its files.

        Raises Unavailable when that fails; the reason is a note of it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._one_builder():
            if not self.is_ready(name):
                _build(self._home(name))
        return self.rootfs(self.edition(name))

    def _home(self, name: str) -> Path:
        return self._folder / f"{name}-{_recipe()}"

    @contextmanager
    def _one_builder(self) -> Iterator[None]:
        lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _recipe() -> str:
    return hashlib.sha256(repr((_SUITE, _PACKAGES, _LEFT_OUT, _FILES, _MODES, _REMOVED)).encode()).hexdigest()[:8]


def _build(home: Path) -> None:
    building = Path(tempfile.mkdtemp(dir=home.parent, prefix=".building-"))
    try:
        building.chmod(0o755)
        rootfs = building / "rootfs"
        _bootstrap(rootfs)
        _finish(rootfs)
        building.rename(home)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _bootstrap(rootfs: Path) -> None:
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(_PACKAGES)}",
        "--aptopt=Acquire::Languages none",
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT),
        _SUITE,
        str(rootfs),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_TIMEOUT, check=False)
    except FileNotFoundError as e:
        raise Unavailable("images are built with mmdebstrap, which is not installed: apt-get install mmdebstrap") from e
    except subprocess.TimeoutExpired as e:
        raise Unavailable(f"building an image took more than {_BUILD_TIMEOUT} seconds") from e
    if done.returncode != 0:
        problem = Unavailable("an image could not be built; the log of the node says why")
        problem.add_note(done.stderr.strip()[-4000:])
        raise problem


def _finish(rootfs: Path) -> None:
    for pattern in _REMOVED:
        for path in rootfs.glob(pattern):
            path.unlink()
    for name, content in _FILES.items():
        path = rootfs / name
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o755)
        path.write_text(content)
        path.chmod(_MODES.get(name, 0o644))


def main(arguments: list[str]) -> int:
    """Build all images into the folder given. Returns the exit status."""
    if len(arguments) != 1:
        print("usage: python -m backends.native.images FOLDER", file=sys.stderr)
        return 2
    images = ImageFolder(Path(arguments[0]))
    for image in images.offered():
        try:
            images.build(image.name)
        except Unavailable as e:
            print(f"{image.name}: {e}", *getattr(e, "__notes__", []), sep="\n", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
