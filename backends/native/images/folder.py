"""Where images are on a host, by name, form and edition.

An edition is a folder named after image, form and the digest of what it was made of: a recipe, or a file that an
operator imported. So a changed recipe is a new edition, and an old one stays as long as slivers use it. Made in a
folder beside it and renamed: it is whole or not there. Several installations may share the folder.

container: rootfs/, the files as they are      vm: disk.qcow2, and beside it the kernel and initrd that it starts with
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from backends.image_library import Format, ImageRefused, Source
from backends.native.images import building, importing, records
from backends.native.images.recipes import RECIPES
from backends.native.images.records import ImageRecord
from backends.native.trees import delete_tree
from backends.protocol import Form, Image, Impossible, Unavailable

log = structlog.get_logger()

DEBIAN_12 = Image(
    name="debian-12",
    os="Linux",
    version="12",
    description="Debian 12, small, with SSH and sudo",
    forms=(Form.CONTAINER, Form.VM),
)

HELD = ".held"
"""Folder of those who hold editions, see `holding`."""

_BEGUN, _DELETED = ".building-", ".deleted-"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_KEPT_FOR = 7 * 24 * 3600
"""Seconds that a built edition stays which is none of this release's, since another release may share the folder; and
a copy of another host's that no machine stands on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFiles:
    """An edition of a virtual machine's image. Without a kernel, the disk starts by itself."""

    disk: Path
    kernel: Path | None
    initrd: Path | None


class ImageFolder:
    """The images of a host."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    # What there is

    def offered(self, forms: Collection[Form]) -> tuple[Image, ...]:
        """What can be asked for on a host that makes machines of these forms: our own, then the newest imported."""
        own = tuple(form for form in DEBIAN_12.forms if form in forms)
        imported: dict[str, Image] = {}
        for _, record in self._imported():
            if record.form not in forms or record.made_from:
                continue
            known = imported.get(record.name)
            imported[record.name] = Image(
                name=record.name,
                os=known.os if known else record.os,
                version=known.version if known else record.version,
                description=known.description if known else record.description,
                forms=tuple(sorted({record.form, *(known.forms if known else ())})),
            )
        return (_with_forms(DEBIAN_12, own), *imported.values())

    def edition(self, name: str, form: Form) -> str:
        """The newest edition of an image: what a disk that begins now begins from, and must stay with.

        Raises Impossible when the image is not offered.
        """
        if name == DEBIAN_12.name:
            return self._built(name, form).name
        for edition, record in self._imported():
            if (record.name, record.form) == (name, form):
                return edition
        copies = [
            (records.touched_at(self.path / edition), edition)
            for edition, record, _ in records.everything(self.path)
            if record.carried and (record.name, record.form) == (name, form)
        ]
        if copies:  # whichever was asked for last is what its holder offers
            return max(copies)[1]
        raise Impossible(f"image {name!r} is not offered here any more")

    def is_offered(self, edition: str) -> bool:
        """Whether new disks may begin from it."""
        return edition in self._own_editions() or edition in dict(self._imported())

    def home(self, edition: str) -> Path:
        """The folder of an edition. Raises Unavailable when it is not here."""
        home = self.path / edition
        if not home.is_dir():
            raise Unavailable(f"image {edition!r} is not ready here yet; try again in a minute")
        return home

    def rootfs(self, edition: str) -> Path:
        """The files of a container's edition. Raises Unavailable when it is not here."""
        return self.home(edition) / "rootfs"

    def init(self, edition: str) -> str:
        """The command that a container of it begins with."""
        found = records.of(self.path / edition)
        return records.DEFAULT_INIT if found is None else found[0].init

    def is_ready(self, name: str, form: Form) -> bool:
        """Whether the built-in image has been built."""
        return self._built(name, form).is_dir()

    # What makes them

    def build(self, name: str, form: Form) -> Path:
        """Build a built-in image unless it is there; a second builder waits for the first. Returns its folder.

        Raises Unavailable when that fails; the reason is a note of it.
        """
        home = self._built(name, form)
        if not home.is_dir():  # whoever has it need not wait for somebody's import
            with self._one_builder():
                if not home.is_dir():
                    self._build(home, form)
        records.touch(home)
        return home

    def take(self, source: Source) -> Path:
        """Make an image of a file, or a newer edition of one. Returns its folder. Raises ImageRefused, Unavailable."""
        self._refuse_name(source)
        return self._take(source)

    def take_from_sliver(self, source: Source, wish: str, former: str) -> Path:
        """Make an image of what was packed of a sliver; the wish has one image, whose name no other has or gets.

        former: edition that the sliver began from; a virtual machine's kernel is that of it

        Returns its folder. Raises ImageRefused, Unavailable.
        """
        return self._take(source, made_from=wish, kernel_of=former)

    def of_wish(self, wish: str) -> ImageRecord | None:
        """The image that was made for a wish; None when it is not there, or not offered any more."""
        return next((record for _, record in self._imported() if record.made_from == wish), None)

    def of_slivers(self, forms: Collection[Form]) -> tuple[Image, ...]:
        """Images made from slivers, which those may begin from who know of them."""
        found = [record for _, record in self._imported() if record.made_from and record.form in forms]
        return tuple(Image(name=record.name, forms=(record.form,)) for record in found)

    def carried(self, edition: str) -> ImageRecord | None:
        """The record of a copy of another host's edition, which is counted on from now; None when it is not here."""
        found = records.of(self.path / edition)
        if found is None:
            return None
        records.touch(self.path / edition)
        return found[0]

    def take_carried(self, edition: str, record: ImageRecord, pieces: Path) -> Path:
        """Make a copy of another host's edition of the files that came. Returns its folder.

        pieces: a folder with rootfs.tar, or with disk.qcow2 and perhaps kernel and initrd

        Raises ImageRefused, Unavailable.
        """
        form = Format.QCOW2 if record.form is Form.VM else Format.ROOTFS_TAR
        file = pieces / ("disk.qcow2" if record.form is Form.VM else "rootfs.tar")
        with self._one_builder(), self._fresh() as fresh:
            made = importing.take(Source(name=record.name, file=file, format=form), fresh)
            for name in ("kernel", "initrd"):
                if (pieces / name).is_file():
                    shutil.copyfile(pieces / name, fresh / name)
                    (fresh / name).chmod(0o644)
            copy = replace(record, carried=True, init=made.init, size=_size(fresh))
            _finish(fresh, copy)
            with self.changing():
                if not (self.path / edition).is_dir():
                    fresh.rename(self.path / edition)
        return self.path / edition

    def withdraw_wish(self, wish: str) -> None:
        """Offer the image of a wish no more; it need not be there."""
        with self.changing():
            for edition, record, offered in self._all_imported():
                if offered and record.made_from == wish:
                    records.withdraw(self.path / edition)

    def _refuse_name(self, source: Source) -> None:
        if not _NAME.fullmatch(source.name):
            raise ImageRefused(
                f"{source.name!r} can't be the name of an image: lower-case letters, digits, dots, hyphens and "
                "underscores, at most 63, a letter or digit first"
            )
        if source.name == DEBIAN_12.name:
            raise ImageRefused(f"{source.name!r} is built in; choose another name")

    def _take(self, source: Source, made_from: str = "", kernel_of: str = "") -> Path:
        with self._one_builder(), self._fresh() as fresh:
            form = importing.FORMS[source.format]
            made = importing.take(source, fresh)
            if form is Form.VM and kernel_of:
                known = disk_files(self.home(kernel_of))
                for file in filter(None, (known.kernel, known.initrd)):
                    shutil.copy(file, fresh / file.name)
            record = ImageRecord(
                name=source.name,
                form=form,
                os=source.os,
                version=source.version,
                description=source.description,
                source=source.file.name,
                sha256=made.sha256,
                size=_size(fresh),
                made_at=records.now(),
                init=made.init,
                made_from=made_from,
            )
            home = self.path / f"{f'of-sliver-{made_from}' if made_from else source.name}-{form}-{made.digest}"
            self._offer(fresh, home, record)
        return home

    def withdraw(self, name: str) -> None:
        """Offer an imported image no more. Raises ImageRefused: it is not there, or built in."""
        if name == DEBIAN_12.name:
            raise ImageRefused(f"{name!r} is built in, and is always offered")
        with self.changing():
            found = [edition for edition, record, offered in self._all_imported() if offered and record.name == name]
            if not found:
                known = ", ".join(sorted({record.name for _, record in self._imported()})) or "none"
                raise ImageRefused(f"there is no imported image {name!r} here; imported are: {known}")
            for edition in found:
                records.withdraw(self.path / edition)

    def collect(self) -> None:
        """Remove editions that are not offered and that nobody holds, and what a crash left of others.

        What somebody is making just now stays. So do editions without a record, which an older release has built.
        """
        if not self.path.is_dir():
            return
        doomed: list[Path] = []
        with self.changing():
            for edition in self._own_editions():
                records.touch(self.path / edition)
            held = {path.name for path in self.path.glob(f"{HELD}/*/*")}
            for edition, record, _ in list(records.everything(self.path)):
                if edition not in held and not self.is_offered(edition) and self._is_done_with(edition, record):
                    grave = Path(tempfile.mkdtemp(dir=self.path, prefix=_DELETED))
                    (self.path / edition).rename(grave / edition)
                    doomed.append(grave)
        with self._no_builder() as is_free:
            if is_free:
                doomed += [entry for kind in (_BEGUN, _DELETED) for entry in self.path.glob(f"{kind}*")]
            for grave in dict.fromkeys(doomed):
                try:
                    delete_tree(grave)
                except Unavailable as e:  # what a killed import had begun may still write there; the next turn comes
                    log.warning("an image could not be removed", why=str(e), notes=getattr(e, "__notes__", []))

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold still what is offered and what is held; never for long."""
        self.path.mkdir(parents=True, exist_ok=True)
        with _locked(self.path / ".changes", fcntl.LOCK_EX):
            yield

    # Inside

    def _built(self, name: str, form: Form) -> Path:
        return self.path / f"{name}-{form}-{RECIPES[form].digest()}"

    def _own_editions(self) -> set[str]:
        return {self._built(DEBIAN_12.name, form).name for form in DEBIAN_12.forms}

    def _imported(self) -> list[tuple[str, ImageRecord]]:
        """Imported editions that are offered, the newest first; of each name and form one."""
        newest: dict[tuple[str, Form], tuple[str, ImageRecord]] = {}
        for edition, record, offered in self._all_imported():
            if offered:
                newest.setdefault((record.name, record.form), (edition, record))
        return list(newest.values())

    def _all_imported(self) -> list[tuple[str, ImageRecord, bool]]:
        """Imported editions and whether they were left offered, the newest first."""
        found = [one for one in records.everything(self.path) if one[1].source and not one[1].carried]
        return sorted(found, key=lambda one: one[1].made_at, reverse=True)

    def _is_done_with(self, edition: str, record: ImageRecord) -> bool:
        age = records.now().timestamp() - records.touched_at(self.path / edition)
        return (bool(record.source) and not record.carried) or age > _KEPT_FOR

    def _build(self, home: Path, form: Form) -> None:
        with self._fresh() as fresh:
            fresh.chmod(0o755)  # those who fetch packages are not root, and walk here
            building.BUILDERS[form](RECIPES[form], fresh)
            record = ImageRecord(
                name=DEBIAN_12.name,
                form=form,
                os=DEBIAN_12.os,
                version=DEBIAN_12.version,
                description=DEBIAN_12.description,
                size=_size(fresh),
                made_at=records.now(),
            )
            self._offer(fresh, home, record)

    def _offer(self, fresh: Path, home: Path, record: ImageRecord) -> None:
        """Have what was made in `fresh` as an edition, in place of an older one of its name and form."""
        _finish(fresh, record)
        with self.changing():
            if home.is_dir():  # the very same content, perhaps with other words about it
                records.write(home, record)
            else:
                fresh.rename(home)
            for edition, other, offered in self._all_imported():
                if offered and (other.name, other.form) == (record.name, record.form) and edition != home.name:
                    records.withdraw(self.path / edition)

    @contextmanager
    def _fresh(self) -> Iterator[Path]:
        """A folder to make an edition in; gone afterwards, unless it was renamed. The caller is the one builder."""
        fresh = Path(tempfile.mkdtemp(dir=self.path, prefix=_BEGUN))
        try:
            yield fresh
        finally:
            delete_tree(fresh)

    @contextmanager
    def _one_builder(self) -> Iterator[None]:
        self.path.mkdir(parents=True, exist_ok=True)
        with _locked(self.path / ".lock", fcntl.LOCK_EX):
            yield

    @contextmanager
    def _no_builder(self) -> Iterator[bool]:
        """Whether nobody is making an edition, and nobody begins before this ends."""
        try:
            with _locked(self.path / ".lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield True
        except BlockingIOError:
            yield False


def disk_files(home: Path) -> DiskFiles:
    """What a virtual machine's edition has in its folder."""
    kernel, initrd = home / "kernel", home / "initrd"
    return DiskFiles(
        disk=home / "disk.qcow2",
        kernel=kernel if kernel.is_file() else None,
        initrd=initrd if initrd.is_file() else None,
    )


def _finish(fresh: Path, record: ImageRecord) -> None:
    """Have an edition as it will be, before it gets its name."""
    # Emulators open disks as nobody in particular. A container's files are mounted by us, and no other user of this
    # host shall reach them: there are programs among them that would run as root here.
    fresh.chmod(0o755 if record.form is Form.VM else 0o700)
    records.write(fresh, record)
    _settle(fresh)


def _with_forms(image: Image, forms: tuple[Form, ...]) -> Image:
    return Image(name=image.name, os=image.os, version=image.version, description=image.description, forms=forms)


def _size(folder: Path) -> int:
    """Octets that it takes."""
    done = subprocess.run(["du", "-sk", str(folder)], capture_output=True, text=True, check=False)
    return int((done.stdout.split() or ["0"])[0]) * 1024


def _settle(folder: Path) -> None:
    """Have it on the disk: it is about to be counted on."""
    subprocess.run(["sync", "-f", str(folder)], capture_output=True, check=False)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Raises BlockingIOError when it should not wait."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)
