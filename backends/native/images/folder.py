"""Where images are on a host, by name, form and edition.

An edition is a folder named after image, form and the digest of its recipe, so that a changed recipe is a new edition
and an old one stays as long as slivers use it. Built in a folder beside it and renamed: it is whole or not there.

container: rootfs/, the files as they are      vm: disk.qcow2, and beside it the kernel and initrd that it starts with
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backends.native.images import building
from backends.native.images.recipes import RECIPES
from backends.protocol import Form, Image, Unavailable

DEBIAN_12 = Image(
    name="debian-12",
    os="Linux",
    version="12",
    description="Debian 12, small, with SSH and sudo",
    forms=(Form.CONTAINER, Form.VM),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFiles:
    """An edition of a virtual machine's image. Without a kernel, the disk starts by itself."""

    disk: Path
    kernel: Path | None
    initrd: Path | None


class ImageFolder:
    """The images of a host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offered(self, forms: Collection[Form]) -> tuple[Image, ...]:
        """What can be asked for on a host that makes machines of these forms."""
        return (
            Image(
                name=DEBIAN_12.name,
                os=DEBIAN_12.os,
                version=DEBIAN_12.version,
                description=DEBIAN_12.description,
                forms=tuple(form for form in DEBIAN_12.forms if form in forms),
            ),
        )

    def edition(self, name: str, form: Form) -> str:
        """The newest edition of an image: what a disk that begins now begins from, and must stay with."""
        return self._home(name, form).name

    def home(self, edition: str) -> Path:
        """The folder of an edition. Raises Unavailable when it is not here."""
        home = self._folder / edition
        if not home.is_dir():
            raise Unavailable(f"image {edition!r} is not ready here yet; try again in a minute")
        return home

    def rootfs(self, edition: str) -> Path:
        """The files of a container's edition. Raises Unavailable when it is not here."""
        return self.home(edition) / "rootfs"

    def is_ready(self, name: str, form: Form) -> bool:
        """Whether the image has been built."""
        return self._home(name, form).is_dir()

    def build(self, name: str, form: Form) -> Path:
        """Build an image unless it is there; a second builder waits for the first. Returns its edition's folder.

        Raises Unavailable when that fails; the reason is a note of it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._one_builder():
            if not self.is_ready(name, form):
                self._build(self._home(name, form), form)
        return self._home(name, form)

    def _home(self, name: str, form: Form) -> Path:
        return self._folder / f"{name}-{form}-{RECIPES[form].digest()}"

    def _build(self, home: Path, form: Form) -> None:
        fresh = Path(tempfile.mkdtemp(dir=home.parent, prefix=".building-"))
        try:
            fresh.chmod(0o755)
            building.BUILDERS[form](RECIPES[form], fresh)
            fresh.rename(home)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise

    @contextmanager
    def _one_builder(self) -> Iterator[None]:
        lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def disk_files(home: Path) -> DiskFiles:
    """What a virtual machine's edition has in its folder."""
    kernel, initrd = home / "kernel", home / "initrd"
    return DiskFiles(
        disk=home / "disk.qcow2",
        kernel=kernel if kernel.is_file() else None,
        initrd=initrd if initrd.is_file() else None,
    )
