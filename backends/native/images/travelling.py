"""Images on their way from one host to another, in parts that a message carries.

Where an image is held it is packed once, into a folder of its own beside the editions; where it is wanted the parts are
put together in another, and are then a stranger's files: they pass the examination that an operator's import passes.
Both folders say by what is in them how far it is, so that whoever was killed goes on from there.
"""

import contextlib
import hashlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog
from pydantic import Base64Bytes, TypeAdapter, ValidationError

from backends.image_library import ImageRefused
from backends.native.images import records
from backends.native.images.folder import ImageFolder, disk_files
from backends.native.images.records import ImageRecord
from backends.native.trees import delete_tree
from backends.protocol import BackendError, Form, Impossible, Unavailable

log = structlog.get_logger()

PART = 4 * 1024 * 1024
"""Octets of a part: with what they become in a message, less than the bus carries."""

_PACKED, _COMING = ".packed-", ".coming-"
_KEPT_FOR = 3600.0
"""Seconds that either folder stays when nothing happens in it."""

_CARGO = "cargo.json"
_EDITION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_TAR_SECONDS = 3600

PieceName = Literal["rootfs.tar", "disk.qcow2", "kernel", "initrd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A file of an image. size: octets. sha256: hexadecimal"""

    name: PieceName
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """An edition that can travel."""

    edition: str
    record: ImageRecord
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Octets of all its pieces."""
        return sum(piece.size for piece in self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartWish:
    """Which part of a piece is wanted: up to `PART` octets from an offset on."""

    edition: str
    piece: PieceName
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a piece. content: its octets; Base64 in a message"""

    edition: str
    piece: PieceName
    offset: int
    content: Base64Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How far an edition is where it is wanted.

    is_here:   disks may begin from it
    is_whole:  everything of it has come, and is being examined and unpacked
    sizes:     octets that have come, by piece
    """

    is_here: bool = False
    is_whole: bool = False
    sizes: dict[PieceName, int]


_AS_JSON: TypeAdapter[Cargo] = TypeAdapter(Cargo)


class Dispatch:
    """Where images are held: packs them and gives their parts away. Safe to use from many threads."""

    def __init__(self, images: ImageFolder) -> None:
        self._images = images
        self._lock = threading.Lock()
        self._packing: dict[str, BackendError | None] = {}

    def cargo(self, edition: str) -> Cargo | None:
        """What it consists of; None while it is being packed: ask again. Raises Unavailable: it can't be packed now."""
        home = self._images.path / f"{_PACKED}{_checked(edition)}"
        if (packed := _read(home)) is not None:
            _touch(home)
            return packed
        with self._lock:
            if edition not in self._packing:
                self._packing[edition] = None
                threading.Thread(target=self._pack, args=(edition, home), name=f"pack-{edition}", daemon=True).start()
            elif (problem := self._packing[edition]) is not None:
                del self._packing[edition]  # it is told once; who asks again wants it tried again
                raise problem
        return None

    def part(self, wish: PartWish) -> Part:
        """Some of it. Raises Unavailable: it is not packed (any more)."""
        home = self._images.path / f"{_PACKED}{_checked(wish.edition)}"
        try:
            with (home / wish.piece).open("rb") as file:
                file.seek(wish.offset)
                content = file.read(PART)
        except FileNotFoundError as e:
            raise Unavailable("the image is not packed any more; it will be tried again") from e
        _touch(home)
        return Part(edition=wish.edition, piece=wish.piece, offset=wish.offset, content=content)

    def _pack(self, edition: str, home: Path) -> None:
        problem: BackendError | None = None
        try:
            found = records.of(self._images.home(edition))
            if found is None:
                raise Unavailable(f"image {edition!r} has no record, and can't travel")
            with _begun(self._images.path, _PACKED) as fresh:
                _collect_pieces(self._images.path / edition, found[0].form, fresh)
                pieces = tuple(
                    Piece(name=path.name, size=path.stat().st_size, sha256=_sha256(path))  # type: ignore[arg-type]  # ours
                    for path in sorted(fresh.iterdir())
                )
                cargo = Cargo(edition=edition, record=found[0], pieces=pieces)
                (fresh / _CARGO).write_bytes(_AS_JSON.dump_json(cargo))
                with contextlib.suppress(OSError):  # another node of this folder was quicker
                    fresh.rename(home)
        except BackendError as e:
            problem = e
        except (OSError, subprocess.SubprocessError) as e:  # a full disk
            log.warning("an image could not be packed", edition=edition, reason=str(e))
            problem = Unavailable("the image can't be packed now; it will be tried again")
        with self._lock:
            if problem is None:
                del self._packing[edition]
            else:
                self._packing[edition] = problem


class Arrivals:
    """Where images are wanted: puts the parts together. Safe to use from many threads."""

    def __init__(self, images: ImageFolder) -> None:
        self._images = images
        self._lock = threading.Lock()
        self._unpacking: dict[str, BackendError | None] = {}

    def expect(self, cargo: Cargo) -> Arrival:
        """Begin to take an edition in, or say how far it is; what has come whole is unpacked, without waiting for that.

        Raises Unavailable: no room for it, or it can't be unpacked now; Impossible: it is no image.
        """
        home = self._images.path / f"{_COMING}{_checked(cargo.edition)}"
        with self._lock:
            if self._images.carried(cargo.edition) is not None:
                return Arrival(is_here=True, sizes={})
            if cargo.edition in self._unpacking:
                if (problem := self._unpacking[cargo.edition]) is None:
                    return Arrival(is_whole=True, sizes={})
                del self._unpacking[cargo.edition]
                raise problem
            if not home.is_dir():
                self._require_room(cargo)
                home.mkdir(parents=True, mode=0o700)
            sizes = {piece.name: _size(home / piece.name) for piece in cargo.pieces}
            if any(sizes[piece.name] < piece.size for piece in cargo.pieces):
                return Arrival(sizes=sizes)
            self._unpacking[cargo.edition] = None
        threading.Thread(target=self._unpack, args=(cargo, home), name=f"unpack-{cargo.edition}", daemon=True).start()
        return Arrival(is_whole=True, sizes=sizes)

    def put(self, part: Part) -> int:
        """Add a part that follows what is there; any other is left out. Returns the octets of its piece that are there.

        Raises Unavailable: it is not expected.
        """
        path = self._images.path / f"{_COMING}{_checked(part.edition)}" / part.piece
        with self._lock:
            if not path.parent.is_dir() or part.edition in self._unpacking:
                raise Unavailable("no image is expected there; it will be tried again")
            if _size(path) == part.offset:
                with path.open("ab") as file:
                    file.write(part.content)
                _touch(path.parent)
            return _size(path)

    def _require_room(self, cargo: Cargo) -> None:
        """Twice, since the parts stay until the edition is made of them."""
        self._images.path.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._images.path).free < 2 * cargo.size:
            raise Unavailable("there is no room for the image there now; it will be tried again")

    def _unpack(self, cargo: Cargo, home: Path) -> None:
        problem: BackendError | None = None
        try:
            self._refuse_others(cargo, home)
            self._images.take_carried(cargo.edition, cargo.record, home)
        except BackendError as e:
            problem = e
        except ImageRefused as e:
            log.warning("an image that came is none", edition=cargo.edition, reason=str(e))
            problem = Impossible("the image can't be used there; the operator's log says why")
        except Exception:  # a full disk: whoever waits for it must hear something
            log.exception("an image that came could not be unpacked", edition=cargo.edition)
            problem = Unavailable("the image can't be unpacked there now; it will be tried again")
        with contextlib.suppress(Unavailable):  # the next turn comes
            delete_tree(home)
        with self._lock:
            if problem is None:
                del self._unpacking[cargo.edition]
            else:
                self._unpacking[cargo.edition] = problem

    def _refuse_others(self, cargo: Cargo, home: Path) -> None:
        """Raises Unavailable when what has come is not what was meant."""
        for piece in cargo.pieces:
            if _sha256(home / piece.name) != piece.sha256:
                raise Unavailable("the image was damaged on its way; it will be tried again")


def tidy(images: ImageFolder) -> None:
    """Remove what has been packed and not fetched, or fetched in part and not again, for long."""
    for kind in (_PACKED, _COMING):
        for home in images.path.glob(f"{kind}*"):
            with contextlib.suppress(FileNotFoundError, Unavailable):
                if time.time() - home.stat().st_mtime > _KEPT_FOR:
                    delete_tree(home)


def _collect_pieces(home: Path, form: Form, target: Path) -> None:
    """The files of an edition, as pieces; second names of theirs where they are files already, which cost nothing."""
    if form is Form.VM:
        files = disk_files(home)
        for file in filter(None, (files.disk, files.kernel, files.initrd)):
            (target / file.name).hardlink_to(file)
        return
    command = ["tar", f"--directory={home / 'rootfs'}", "--create", f"--file={target / 'rootfs.tar'}", "--format=posix"]
    command += ["--numeric-owner", "--one-file-system", "--sparse"]
    command += ["--xattrs", "--xattrs-include=security.capability", "."]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TAR_SECONDS, check=False)
    if done.returncode != 0:
        problem = Unavailable("the image can't be packed now; it will be tried again")
        problem.add_note(done.stderr.strip()[-2000:])
        raise problem


@contextlib.contextmanager
def _begun(folder: Path, kind: str) -> Iterator[Path]:
    """A folder to pack in; gone afterwards, unless it was renamed."""
    fresh = Path(tempfile.mkdtemp(dir=folder, prefix=f"{kind}.begun-"))
    try:
        yield fresh
    finally:
        delete_tree(fresh)


def _read(home: Path) -> Cargo | None:
    try:
        return _AS_JSON.validate_json((home / _CARGO).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _touch(home: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        home.touch()


def _checked(edition: str) -> str:
    """It becomes part of a path. Raises Impossible."""
    if not _EDITION.fullmatch(edition):
        raise Impossible("this is no name of an edition")
    return edition
