"""Making an image from a file that somebody else made: copied, compared, examined, written anew.

The copy comes first: what is examined is then what is used, whoever writes to the file meanwhile.
"""

import hashlib
import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from backends.image_library import Format, ImageRefused, Source
from backends.native.images import disks, unpacking
from backends.native.images.records import DEFAULT_INIT
from backends.protocol import Form

FORMS = {Format.QCOW2: Form.VM, Format.RAW: Form.VM, Format.ROOTFS_TAR: Form.CONTAINER}

_CHUNK = 1 << 20
_UNPACK_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a file.

    sha256: of the file
    digest: short name of its content, as this format
    init:   command that a container of it begins with
    """

    sha256: str
    digest: str
    init: str = DEFAULT_INIT


def take(source: Source, folder: Path) -> Imported:
    """Make the files of an edition in an empty folder. Raises ImageRefused, Unavailable."""
    copy = folder / "source"
    sha256 = _copy(source.file, copy)
    if source.sha256 and source.sha256.lower() != sha256:
        raise ImageRefused(f"{source.file} is not the file that was meant: its SHA-256 is {sha256}")
    init = DEFAULT_INIT
    if source.format is Format.ROOTFS_TAR:
        init = _unpack(copy, folder / "rootfs")
    else:
        disks.examine(copy, source.format)
        disks.convert(copy, source.format, folder / "disk.qcow2")
        (folder / "disk.qcow2").chmod(0o644)
    copy.unlink()
    # The same octets are another image as another format.
    digest = hashlib.sha256(f"{source.format} {sha256}".encode()).hexdigest()[:12]
    return Imported(sha256=sha256, digest=digest, init=init)


def _copy(file: Path, target: Path) -> str:
    """Returns the SHA-256. Raises ImageRefused: it can't be read."""
    digest = hashlib.sha256()
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as e:
        raise ImageRefused(f"{file}: {e.strerror}") from e
    with os.fdopen(descriptor, "rb") as reader:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ImageRefused(f"{file} is not a file")
        with target.open("wb") as writer:
            while chunk := reader.read(_CHUNK):
                digest.update(chunk)
                if chunk.count(0) == len(chunk):
                    writer.seek(len(chunk), os.SEEK_CUR)  # disks are mostly empty
                else:
                    writer.write(chunk)
            writer.truncate(writer.tell())
    return digest.hexdigest()


def _unpack(tar: Path, rootfs: Path) -> str:
    """Returns the command it begins with."""
    rootfs.mkdir()
    rootfs.chmod(0o755)
    command = [sys.executable, "-I", unpacking.__file__, str(rootfs)]
    with tar.open("rb") as file:
        try:
            done = subprocess.run(
                command, stdin=file, capture_output=True, text=True, timeout=_UNPACK_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as e:
            raise ImageRefused(f"unpacking it took more than {_UNPACK_SECONDS} seconds") from e
    if done.returncode == unpacking.REFUSED:
        raise ImageRefused(done.stderr.strip())
    if done.returncode != 0:
        raise ImageRefused(f"it can't be unpacked: {done.stderr.strip()[-2000:]}")
    init: str = json.loads(done.stdout)["init"]
    return init
