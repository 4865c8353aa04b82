"""User numbers of slivers: each has 65,536 of its own, and sees the shared image as if it were made for them.

An id-mapped mount (Linux 5.12, under overlayfs 5.19) shows the image's files with other owners without touching them:
see mount_setattr(2). The mapping is taken from a user namespace, which takes a process to make; namespaces are kept by
slot, because slots are used again.
"""

import ctypes
import os
import subprocess
import threading
from pathlib import Path

IDS = 65536

_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442  # the same on every 64-bit architecture
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_RDONLY = 0x1
_MOUNT_ATTR_IDMAP = 0x0010_0000
_MS_PRIVATE = 1 << 18

_MOST_KEPT = 512

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


class IdRanges:
    """The user numbers of slots. Safe to use from many threads."""

    def __init__(self, first_id: int) -> None:
        self._first_id = first_id
        self._namespaces: dict[int, int] = {}
        self._lock = threading.Lock()

    def base(self, slot: int) -> int:
        """The number outside that is 0 inside."""
        return self._first_id + slot * IDS

    def mount(self, source: Path, target: Path, slot: int) -> None:
        """Show `source` at `target`, read only, with the owners shifted for a slot. Raises OSError."""
        tree = _call(_SYS_OPEN_TREE, _AT_FDCWD, ctypes.c_char_p(os.fsencode(source)), _OPEN_TREE_CLONE | os.O_CLOEXEC)
        try:
            attributes = _MountAttributes(_MOUNT_ATTR_IDMAP | _MOUNT_ATTR_RDONLY, 0, _MS_PRIVATE, self._namespace(slot))
            _call(
                _SYS_MOUNT_SETATTR,
                tree,
                ctypes.c_char_p(b""),
                _AT_EMPTY_PATH,
                ctypes.byref(attributes),
                ctypes.sizeof(attributes),
            )
            _call(
                _SYS_MOVE_MOUNT,
                tree,
                ctypes.c_char_p(b""),
                _AT_FDCWD,
                ctypes.c_char_p(os.fsencode(target)),
                _MOVE_MOUNT_F_EMPTY_PATH,
            )
        finally:
            os.close(tree)

    def namespace(self, slot: int) -> int:
        """A descriptor of a slot's user namespace, the caller's to close."""
        with self._lock:
            return os.dup(self._kept(slot))

    def close(self) -> None:
        """Let go of all namespaces; mounts made with them stay."""
        with self._lock:
            for descriptor in self._namespaces.values():
                os.close(descriptor)
            self._namespaces.clear()

    def _namespace(self, slot: int) -> int:
        with self._lock:
            return self._kept(slot)

    def _kept(self, slot: int) -> int:
        """The caller holds the lock."""
        if slot not in self._namespaces:
            if len(self._namespaces) >= _MOST_KEPT:
                os.close(self._namespaces.pop(next(iter(self._namespaces))))
            self._namespaces[slot] = _new_namespace(self.base(slot))
        return self._namespaces[slot]


def _new_namespace(base: int) -> int:
    """A descriptor of a user namespace in which 0 is `base` outside."""
    # cat answers only once `unshare` has made the namespace and become it.
    with subprocess.Popen(["unshare", "--user", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        if holder.stdin is None or holder.stdout is None:
            raise RuntimeError("pipes were asked for")
        holder.stdin.write(b".")
        holder.stdin.flush()
        if holder.stdout.read(1) != b".":
            raise OSError("user namespaces can't be made on this host")
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{holder.pid}/{name}").write_text(f"0 {base} {IDS}")
        return os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
