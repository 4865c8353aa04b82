"""A virtual machine's disk as one file of its own, without what makes this machine itself.

The file system in it was written by a stranger's kernel, so the programs that read it run as nobody, with limits, and
are handed the file and no path. What they delete is punched out of the file: a key in a free block would still be one.
"""

import os
import re
import subprocess
from pathlib import Path

from backends.protocol import BackendError

_SECONDS = 3600
_MEMORY = 2 * 1024**3
_NOBODY = 65534
_CORRECTED = 1
"""How e2fsck ends when all is well now, and was not before; higher is worse."""

_SECRETS = (
    *(f"/etc/ssh/ssh_host_{kind}_key{end}" for kind in ("rsa", "dsa", "ecdsa", "ed25519") for end in ("", ".pub")),
    "/etc/machine-id",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/random-seed",
    "/var/lib/sliver/instance-id",
    "/root/.ssh/authorized_keys",
)
_NOT_THERE = (b"File not found by ext2_lookup", b"Ext2 inode is not a directory")
"""What debugfs says of a path that is not there; anything else, and a failure of its own, is no proof of that."""
_HOME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


def flatten(disk: Path, target: Path) -> None:
    """Write a disk and all that it stands on into a raw one. Nothing writes to it now. Raises BackendError."""
    _run(["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(disk), str(target)])
    target.chmod(0o600)


def clean(raw: Path) -> None:
    """Delete what no other machine may have from a file system that is the whole disk. Raises BackendError."""
    os.chown(raw, _NOBODY, _NOBODY)
    descriptor = os.open(raw, os.O_RDWR | os.O_CLOEXEC)
    try:
        _check(descriptor)  # the machine was stopped in the middle of things
        homes = _as_nobody(descriptor, ["debugfs", "-R", "ls -p /home"]).stdout.decode(errors="replace")
        names = [line.split("/")[5] for line in homes.splitlines() if line.count("/") > 5]
        users = [name for name in names if name not in (".", "..", "")]
        if strange := [name for name in users if not _HOME.fullmatch(name)]:
            raise BackendError(f"there is a folder in /home with a name that is no user's: {strange[0]!a:.80}")
        secrets = [*_SECRETS, *(f"/home/{name}/.ssh/authorized_keys" for name in users)]
        commands = "".join(f"rm {path}\n" for path in secrets)
        _as_nobody(descriptor, ["debugfs", "-w", "-f", "-"], commands)
        for path in secrets:
            said = _as_nobody(descriptor, ["debugfs", "-R", f"stat {path}"])
            if not any(word in said.stderr for word in _NOT_THERE):
                raise BackendError("what makes the machine itself could not be taken out of its image")
        _check(descriptor)
    finally:
        os.close(descriptor)
        os.chown(raw, 0, 0)


def _check(descriptor: int) -> None:
    """Bring the file system in order, and give back what is free."""
    done = _as_nobody(descriptor, ["e2fsck", "-f", "-y", "-E", "discard"])
    if done.returncode > _CORRECTED:
        raise BackendError("the machine's file system can't be read; images are made of ext4 on the whole disk")


def _as_nobody(descriptor: int, command: list[str], said: str = "") -> subprocess.CompletedProcess[bytes]:
    limits = ["prlimit", f"--as={_MEMORY}", f"--cpu={_SECONDS}"]
    user = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs"]
    full = [*limits, *user, *command, f"/proc/self/fd/{descriptor}"]
    return _done(full, said, (descriptor,))


def _run(command: list[str]) -> None:
    done = _done(command, "", ())
    if done.returncode != 0:
        problem = BackendError("the machine's disk could not be copied")
        problem.add_note(f"{command[0]}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
        raise problem


def _done(command: list[str], said: str, descriptors: tuple[int, ...]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command,
            input=said.encode(),
            capture_output=True,
            timeout=_SECONDS,
            pass_fds=descriptors,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise BackendError("copying the machine's disk took too long") from e
