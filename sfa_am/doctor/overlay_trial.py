"""Make an id-mapped overlay in a folder and look at it through other eyes: a program of its own.

Run in a mount namespace of its own, so that what it mounts ends with it. Ends with 0 when a file that belongs to user 0
below is seen as belonging to user 1000000 above; else with a sentence on standard error. See mount_setattr(2).
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

_SHIFT = 1_000_000
_IDS = 65536

_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442  # the same on every 64-bit architecture
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_IDMAP = 0x0010_0000

_libc = ctypes.CDLL(None, use_errno=True)


def main(folder: Path) -> None:
    """Raises OSError, saying at what step, when the kernel can't do it."""
    image, mapped, upper, work, rootfs = (folder / name for name in ("image", "mapped", "upper", "work", "rootfs"))
    for directory in (image, mapped, upper, work, rootfs):
        directory.mkdir()
    (image / "file").touch()
    _mount_shifted(image, mapped)
    layers = f"lowerdir={mapped},upperdir={upper},workdir={work}"
    _check("mounting the overlay", _libc.mount(b"overlay", bytes(rootfs), b"overlay", 0, layers.encode()))
    owner = (rootfs / "file").stat().st_uid
    if owner != _SHIFT:
        raise OSError(f"a file has owner {owner} where {_SHIFT} was asked for")


def _mount_shifted(source: Path, target: Path) -> None:
    nothing = ctypes.c_char_p(b"")
    tree = _libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD, bytes(source), _OPEN_TREE_CLONE | os.O_CLOEXEC)
    _check("copying a mount", tree)
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_IDMAP, 0, 0, _shifting_namespace())
    size = ctypes.sizeof(attributes)
    changed = _libc.syscall(_SYS_MOUNT_SETATTR, tree, nothing, _AT_EMPTY_PATH, ctypes.byref(attributes), size)
    _check("mapping a mount", changed)
    moved = _libc.syscall(_SYS_MOVE_MOUNT, tree, nothing, _AT_FDCWD, bytes(target), _MOVE_MOUNT_F_EMPTY_PATH)
    _check("attaching a mount", moved)


def _shifting_namespace() -> int:
    """A descriptor of a user namespace in which 0 is the shift outside."""
    # It speaks only once `unshare` has made the namespace and become it, then waits to be let go.
    command = ["unshare", "--user", "/bin/sh", "-c", "echo made; read end"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        if holder.stdout is None or holder.stdout.readline() != b"made\n":
            raise OSError("making a user namespace: not permitted")
        Path(f"/proc/{holder.pid}/uid_map").write_text(f"0 {_SHIFT} {_IDS}")
        Path(f"/proc/{holder.pid}/gid_map").write_text(f"0 {_SHIFT} {_IDS}")
        return os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def _check(step: str, result: int) -> None:
    if result < 0:
        raise OSError(f"{step}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except OSError as e:
        sys.exit(str(e))
