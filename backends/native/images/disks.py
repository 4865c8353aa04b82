"""Disks that somebody else made: whether they are what they should be, and all of themselves.

A qcow2 file may name other files of the host that it reads as its own: what it was made from, or where its content is.
One that does would show a researcher what is there. Its header is looked at here before any other program opens it,
and that program is told the format and never finds it out from the content.
"""

import struct
import subprocess
from pathlib import Path

from backends.image_library import Format, ImageRefused
from backends.protocol import Unavailable

LARGEST = 2 * 1024**4
"""Octets that a disk may have room for."""

_MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_HEADER_3 = struct.Struct(">QQQII")
_EXTENSION = struct.Struct(">II")
_DATA_FILE_NAME = 0x44415441
_DIRTY, _CORRUPT, _EXTERNAL_DATA, _COMPRESSION, _EXTENDED_L2 = (1 << bit for bit in range(5))
_KNOWN = _DIRTY | _CORRUPT | _EXTERNAL_DATA | _COMPRESSION | _EXTENDED_L2

_MEMORY = 2 * 1024**3
_LOOK_SECONDS = 600
_COPY_SECONDS = 3600
_LEAKED = 3
"""How qemu-img ends when space is wasted and nothing else is wrong."""


def examine(path: Path, form: Format) -> None:
    """Whether a file is a disk of its own in this format. Raises ImageRefused."""
    with path.open("rb") as file:
        beginning = file.read(64 * 1024)
    if form is Format.RAW:
        _examine_raw(path, beginning)
    else:
        _examine_header(beginning)
        _examine_whole(path)


def convert(path: Path, form: Format, target: Path) -> None:
    """Write an examined disk as a qcow2 that nobody else has written. Raises ImageRefused."""
    arguments = ["-f", str(form), "-O", "qcow2", "-o", "compat=1.1", str(path), str(target)]
    done = _qemu_img("convert", *arguments, seconds=_COPY_SECONDS)
    if done.returncode != 0:
        raise ImageRefused(f"the disk can't be read through: {_last_line(done.stderr)}")


def _examine_raw(path: Path, beginning: bytes) -> None:
    if beginning.startswith(_MAGIC):
        raise ImageRefused("this is a qcow2 file; give --format qcow2")
    size = path.stat().st_size
    if size == 0 or size % 512:
        raise ImageRefused(f"a raw disk consists of whole sectors of 512 octets; this has {size} octets")
    _check_size(size)


def _examine_header(beginning: bytes) -> None:
    """See QEMU's docs/interop/qcow2."""
    if len(beginning) < _HEADER.size or not beginning.startswith(_MAGIC):
        raise ImageRefused("this is not a qcow2 file; is it a raw disk (--format raw), or compressed?")
    _, version, backing_offset, _, _, size, encryption, *_ = _HEADER.unpack_from(beginning)
    if version not in (2, 3):
        raise ImageRefused(f"qcow2 of version {version} is not known here; versions 2 and 3 are")
    if backing_offset:
        raise ImageRefused(
            "the disk is only what differs from another file (a backing file); make one of both: "
            "qemu-img convert -O qcow2 FILE WHOLE"
        )
    if encryption:
        raise ImageRefused("the disk is encrypted")
    if version == 3:
        _examine_features(beginning)
    _check_size(size)


def _examine_features(beginning: bytes) -> None:
    if len(beginning) < _HEADER.size + _HEADER_3.size:
        raise ImageRefused("the file ends within its header")
    features, _, _, _, length = _HEADER_3.unpack_from(beginning, _HEADER.size)
    if features & _EXTERNAL_DATA or _DATA_FILE_NAME in _extensions(beginning, length):
        raise ImageRefused(
            "the content of the disk is in another file (an external data file); make one of both: "
            "qemu-img convert -O qcow2 FILE WHOLE"
        )
    if features & _CORRUPT:
        raise ImageRefused("the disk says of itself that it is damaged")
    if features & ~_KNOWN:
        raise ImageRefused("the disk needs features that are not known here")


def _extensions(beginning: bytes, offset: int) -> set[int]:
    """The kinds of header extensions."""
    kinds: set[int] = set()
    while offset + _EXTENSION.size <= len(beginning):
        kind, length = _EXTENSION.unpack_from(beginning, offset)
        if kind == 0:
            return kinds
        kinds.add(kind)
        offset += _EXTENSION.size + (length + 7) // 8 * 8
    raise ImageRefused("the file's header has no end")


def _examine_whole(path: Path) -> None:
    done = _qemu_img("check", "-q", "-f", "qcow2", str(path), seconds=_LOOK_SECONDS)
    if done.returncode not in (0, _LEAKED):
        raise ImageRefused(f"the disk is damaged: {_last_line(done.stderr or done.stdout)}")


def _check_size(size: int) -> None:
    if not 0 < size <= LARGEST:
        raise ImageRefused(f"the disk has room for {size} octets; at least 1 and at most {LARGEST} are taken")


def _qemu_img(*arguments: str, seconds: int) -> subprocess.CompletedProcess[str]:
    """With no more memory and time than honest files need. Raises Unavailable without the program, ImageRefused."""
    command = ["prlimit", f"--as={_MEMORY}", f"--cpu={seconds}", "qemu-img", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)
    except FileNotFoundError as e:
        raise Unavailable("disks are read with prlimit and qemu-img (package qemu-utils); see `sfa-am doctor`") from e
    except subprocess.TimeoutExpired as e:
        raise ImageRefused(f"reading the disk took more than {seconds} seconds") from e
    if done.returncode == 127 or "failed to execute" in done.stderr:
        raise Unavailable("disks are read with qemu-img (package qemu-utils); see `sfa-am doctor`")
    return done


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2] or "no reason was given"
