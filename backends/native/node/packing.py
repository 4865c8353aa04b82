"""A machine's files as one tar: read by the machine's own root, so that owners have the numbers they have inside, and
without what makes this machine itself.

Left out, since whoever begins from it must not have it: the host's keys, the machine's identifier, and who may log in.
"""

import os
import subprocess
from pathlib import Path

from backends.protocol import BackendError

SECRETS = (
    "./etc/ssh/ssh_host_*",
    "./etc/machine-id",
    "./var/lib/dbus/machine-id",
    "./var/lib/systemd/random-seed",
    "./var/lib/cloud",
    "./home/*/.ssh/authorized_keys*",
    "./root/.ssh/authorized_keys*",
)
"""Paths, as patterns, that never come into an image."""

_LEFT_EMPTY = ("./dev/*", "./proc/*", "./sys/*", "./run/*", "./tmp/*")
_SECONDS = 3600


class TooLarge(BackendError):
    """The machine has more files than an image may have."""


def pack(rootfs: Path, namespace: int, target: Path, largest: int) -> None:
    """Write the files of a machine that does not run now, or stands still, into a tar.

    namespace: descriptor of the user namespace whose root reads them. largest: octets
    Raises TooLarge, BackendError.
    """
    excluded = [f"--exclude={pattern}" for pattern in (*SECRETS, *_LEFT_EMPTY)]
    command = [
        "prlimit",
        f"--fsize={largest}",
        "nsenter",
        f"--user=/proc/self/fd/{namespace}",
        "tar",
        f"--directory={rootfs}",
        "--create",
        "--file=-",
        "--format=posix",
        "--numeric-owner",
        "--one-file-system",
        "--sparse",
        "--xattrs",
        "--xattrs-include=security.capability",
        "--anchored",
        "--no-wildcards-match-slash",
        "--wildcards",
        *excluded,
        ".",
    ]
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        try:
            done = subprocess.run(
                command,
                stdout=file,
                stderr=subprocess.PIPE,
                timeout=_SECONDS,
                pass_fds=(namespace,),
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
                check=False,
            )
        except subprocess.TimeoutExpired as e:
            raise BackendError("packing the machine's files took too long") from e
        if file.tell() >= largest or os.fstat(descriptor).st_size >= largest:
            raise TooLarge(f"the machine has more files than an image may have, {largest // 1024**2} MiB")
    if done.returncode != 0:
        problem = BackendError("the machine's files could not be packed")
        problem.add_note(f"exit {done.returncode}: {done.stderr.decode(errors='replace').strip()[-2000:]}")
        raise problem
