"""What is written down of an edition: a small file in its folder, made with it.

image.json      it is offered      withdrawn.json  it is not: deleted, or followed by a newer one
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from backends.protocol import Form

_OFFERED, _WITHDRAWN = "image.json", "withdrawn.json"

DEFAULT_INIT = "/bin/busybox init"
"""How our own images of containers begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """See `backends.image_library.Edition`.

    init: command that a container of it begins with
    made_from: identifier of a wish for an image of a sliver; such images are never offered to all
    carried: a copy of what another host holds; it is not offered, and used when that host's is meant
    """

    name: str
    form: Form
    os: str = ""
    version: str = ""
    description: str = ""
    source: str = ""
    sha256: str = ""
    size: int = 0
    made_at: datetime
    init: str = DEFAULT_INIT
    made_from: str = ""
    carried: bool = False


_AS_JSON: TypeAdapter[ImageRecord] = TypeAdapter(ImageRecord)


def now() -> datetime:
    """When something is made."""
    return datetime.now(UTC)


def write(home: Path, record: ImageRecord) -> None:
    """Write it as that of an edition that is offered, in place of what there was."""
    descriptor, temporary = tempfile.mkstemp(dir=home, prefix=".record-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(_AS_JSON.dump_json(record, indent=1) + b"\n")
        os.fsync(file.fileno())
    Path(temporary).rename(home / _OFFERED)
    (home / _WITHDRAWN).unlink(missing_ok=True)


def withdraw(home: Path) -> None:
    """It is offered no more."""
    (home / _OFFERED).rename(home / _WITHDRAWN)


def touch(home: Path) -> None:
    """Somebody counts on it being there; nothing happens without a record."""
    path = home / _OFFERED
    if path.is_file():
        os.utime(path)


def touched_at(home: Path) -> float:
    """When somebody last counted on it, in seconds since 1970; now, without a record."""
    path = home / _OFFERED
    return path.stat().st_mtime if path.is_file() else now().timestamp()


def of(home: Path) -> tuple[ImageRecord, bool] | None:
    """An edition's record, and whether it is offered; None without a readable one."""
    for name in (_OFFERED, _WITHDRAWN):
        try:
            return _AS_JSON.validate_json((home / name).read_bytes()), name == _OFFERED
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            continue
    return None


def everything(folder: Path) -> Iterator[tuple[str, ImageRecord, bool]]:
    """All editions of a folder that have a record, by their names."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    for name in sorted(names):
        if not name.startswith(".") and (found := of(folder / name)) is not None:
            yield name, *found
