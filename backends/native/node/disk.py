"""A sliver's disk: the shared image below, its own changes above (overlayfs).

lower   the image, id-mapped, read only       upper   the sliver's changes
work    overlayfs' own                         rootfs  all together: what the machine sees
"""

import ctypes
import errno
import os
from pathlib import Path

from backends.native.node.idmap import IdRanges
from backends.native.trees import delete_tree
from backends.protocol import Unavailable

_libc = ctypes.CDLL(None, use_errno=True)
_MNT_DETACH = 2
_MS_NODEV = 4


class Disk:
    """The disk of one sliver."""

    def __init__(self, folder: Path, mounts: Path, ids: IdRanges, slot: int) -> None:
        """folder: where the changes are kept. mounts: a folder for mounts and nothing else, so that nobody who deletes
        what is kept can ever wander into an image."""
        self._folder = folder
        self._lower = mounts / "lower"
        self._rootfs = mounts / "rootfs"
        self._ids = ids
        self._slot = slot

    @property
    def rootfs(self) -> Path:
        """What the machine sees, once mounted."""
        return self._rootfs

    @property
    def upper(self) -> Path:
        """The sliver's changes."""
        return self._folder / "upper"

    def exists(self) -> bool:
        """Whether there are changes of the sliver's own; they must be kept."""
        return self.upper.is_dir()

    def make(self) -> "Layer":
        """A fresh disk, not mounted, to be written to before the first start. Nothing of an older one is left.

        It becomes the sliver's by `Layer.keep`; a crash before that leaves nothing that counts.
        """
        self.wipe()
        fresh = self._folder / "fresh"
        delete_tree(fresh)
        return Layer(fresh, self.upper, self._ids.base(self._slot))

    def mount(self, image: Path) -> None:
        """Put the layers together; nothing happens when they are."""
        for directory in (self._folder / "work", self._lower, self._rootfs):
            if not directory.is_dir():
                directory.mkdir(parents=True)
                directory.chmod(0o711)  # whatever our own mask is: the machine's root walks here
        mounted = mounts_below(self._lower.parent)
        if self._lower not in mounted:
            self._ids.mount(image, self._lower, self._slot)
        if self._rootfs not in mounted:
            _mount_overlay(
                self._rootfs, f"lowerdir={self._lower},upperdir={self.upper},workdir={self._folder / 'work'}"
            )

    def unmount(self) -> None:
        """Take the layers apart; nothing happens when they are. Raises Unavailable while something holds them."""
        for target in (self._rootfs, self._lower):
            for _ in range(mounts_below(target.parent).count(target)):
                unmount(target)
            if target.is_dir():
                target.rmdir()

    def wipe(self) -> None:
        """Unmount and delete all layers."""
        self.unmount()
        for name in ("upper", "work"):
            delete_tree(self._folder / name)


class Layer:
    """The changes of a sliver that has never run: only we have written here, so its paths can be trusted."""

    def __init__(self, folder: Path, final: Path, base: int) -> None:
        self._folder = folder
        self._final = final
        self._base = base
        folder.mkdir()
        folder.chmod(0o755)  # whatever our own mask is: it becomes the machine's root directory
        os.chown(folder, base, base)

    def directory(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        """A directory, with those above it."""
        above = self._folder
        for part in Path(path).parts:
            above = above / part
            if not above.exists():
                above.mkdir()
                above.chmod(0o755)
                os.chown(above, self._base, self._base)
        above.chmod(mode)
        os.chown(above, self._base + owner, self._base + owner)

    def file(self, path: str, content: str, mode: int = 0o644, owner: int = 0) -> None:
        """A file whose directory is there."""
        target = self._folder / path
        target.write_text(content)
        target.chmod(mode)
        os.chown(target, self._base + owner, self._base + owner)

    def keep(self) -> None:
        """It is complete: from now on this is the sliver's disk."""
        self._folder.rename(self._final)


def mounts_below(folder: Path) -> list[Path]:
    """Where something is mounted in a folder or deeper; twice what is mounted twice.

    From the kernel's own list: comparing devices, as `os.path.ismount` does, misses bind mounts. Paths are compared as
    text, since there are some for each machine on the host.
    """
    below = f"{folder}/"
    points = (line.split(" ", 5)[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    plain = (point.encode().decode("unicode_escape") if "\\" in point else point for point in points)
    return [Path(point) for point in plain if f"{point}/".startswith(below)]


def _mount_overlay(target: Path, options: str) -> None:
    done = _libc.mount(b"overlay", os.fsencode(target), b"overlay", ctypes.c_ulong(_MS_NODEV), options.encode())
    if done != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"overlay at {target}: {os.strerror(error)}")


def unmount(target: Path) -> None:
    """Unmount one thing. Raises Unavailable while something holds it."""
    if _libc.umount2(os.fsencode(target), 0) != 0:
        error = ctypes.get_errno()
        # A process that is just ending holds it a moment longer: detached, it goes when that is over.
        if error == errno.EBUSY and _libc.umount2(os.fsencode(target), _MNT_DETACH) == 0:
            return
        raise Unavailable("a disk is still in use; it will be tried again")
