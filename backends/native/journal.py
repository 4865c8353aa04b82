"""The node's own notes: one folder and one small file for each sliver.

They say what was asked last, what has been done, and which slot the sliver has: with them a node manager that was
killed adopts what runs, and slivers need no controller to go on. They are written by rename, so they are always whole;
what they say of the world is checked against the world before anything is done.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from backends.native.names import Names
from backends.native.trees import delete_tree
from backends.protocol import Machine, Opening, Port, SliverId, SliverSpec, Unavailable

_FILE = "record.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A port of this host by which an opening of a machine is reached."""

    opening: Opening
    public_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of one sliver.

    spec:     the newest wish seen
    slot:     number that its address, port and user numbers follow from; -1 for a link
    made:     generation that is done; 0 while the first is not
    image:    edition of the image that its disk began from; empty while it has no disk
    former:   edition that the disk before began from, while a fresh one is due
    restarts, reloads: how many of those asked for have been done
    started_with: digest of the container's settings at its last start; empty when it has not been started
    built_with: digest of those of them that can't be changed while it runs
    plugged: the ports that it has had since its last start, or has been given while it ran
    accounts_applied: names of the accounts last written into it
    hosts_applied: what was last written into it about the others of its slice
    doors:  ports of this host by which its openings are reached
    former_doors: those of openings that it had, until nobody is let in by them
    """

    spec: SliverSpec
    slot: int = -1
    made: int = 0
    image: str = ""
    former: str = ""
    restarts: int = 0
    reloads: int = 0
    started_with: str = ""
    built_with: str = ""
    plugged: tuple[Port, ...] = ()
    accounts_applied: tuple[str, ...] = ()
    hosts_applied: tuple[str, ...] = ()
    doors: tuple[Door, ...] = ()
    former_doors: tuple[Door, ...] = ()

    @property
    def has_begun(self) -> bool:
        """Whether it has, or had, a disk: its image need not be offered any more."""
        return bool(self.image or self.former)


_AS_JSON: TypeAdapter[Record] = TypeAdapter(Record)


class Journal:
    """All records of a node, on disk and in memory. Safe to use from many threads."""

    def __init__(self, folder: Path, names: Names) -> None:
        self._folder = folder
        self._names = names
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._records: dict[SliverId, Record] = {}
        for sliver, record in self._on_disk():
            self._records[sliver] = record

    @property
    def folder(self) -> Path:
        """Where the folders of the slivers are."""
        return self._folder

    def folder_of(self, sliver: SliverId) -> Path:
        """A sliver's own folder, whether or not it is there."""
        return self._folder / self._names.container(sliver)

    def get(self, sliver: SliverId) -> Record | None:
        """What is known of a sliver."""
        return self._records.get(sliver)

    def everything(self) -> dict[SliverId, Record]:
        """A copy of all records."""
        with self._lock:
            return dict(self._records)

    def editions(self) -> set[str]:
        """Those of images that slivers need."""
        records = self.everything().values()
        return {edition for record in records for edition in (record.image, record.former) if edition}

    def open(self, spec: SliverSpec, slots: range | None, usable: Callable[[int], bool]) -> Record:
        """Begin a record for a new sliver; with the lowest free slot that is usable when `slots` are given.

        Raises Unavailable when no slot is left.
        """
        with self._lock:
            slot = -1
            if slots is not None:
                taken = {record.slot for record in self._records.values()}
                slot = next((n for n in slots if n not in taken and usable(n)), -1)
                if slot < 0:
                    raise Unavailable("no more machines can be made here now; delete some or try again later")
            record = Record(spec=spec, slot=slot)
            self.folder_of(spec.sliver).mkdir(exist_ok=True, mode=0o700)
            self._store(record)
            return record

    def note(self, record: Record, **changes: object) -> Record:
        """Store changes of a record; returns the new one."""
        changed = replace(record, **changes)  # type: ignore[arg-type]  # checked by the dataclass' own fields
        with self._lock:
            self._store(changed)
        return changed

    def give_doors(self, record: Record, ports: range) -> Record:
        """Have each opening of a machine reached by a port of its own, of these; openings that stay keep theirs.

        Raises Unavailable when no port is left.
        """
        shape = record.spec.shape
        openings = shape.openings if isinstance(shape, Machine) else ()
        if tuple(door.opening for door in record.doors) == openings:
            return record
        with self._lock:
            known = {door.opening: door.public_port for door in record.doors}
            taken = {d.public_port for r in self._records.values() for d in (*r.doors, *r.former_doors)}
            free = (port for port in ports if port not in taken)
            doors = []
            for opening in openings:
                port = known.get(opening) or next(free, 0)
                if not port:
                    raise Unavailable("no more ports can be published here now; publish fewer or try again later")
                doors.append(Door(opening=opening, public_port=port))
            gone = tuple(door for door in record.doors if door not in doors)
            changed = replace(record, doors=tuple(doors), former_doors=(*record.former_doors, *gone))
            self._store(changed)
        return changed

    def close(self, sliver: SliverId) -> None:
        """Forget a sliver and delete its folder; the record goes last, so that a cut-short removal is found again."""
        folder = self.folder_of(sliver)
        if folder.is_dir():
            for entry in folder.iterdir():
                if entry.name != _FILE:
                    _delete(entry)
            (folder / _FILE).unlink(missing_ok=True)
            folder.rmdir()
        with self._lock:
            self._records.pop(sliver, None)

    def strays(self) -> list[SliverId]:
        """Folders of ours without a readable record: what a crash left between two steps."""
        found = [self._names.sliver(entry.name) for entry in self._folder.iterdir()]
        return [sliver for sliver in found if sliver is not None and sliver not in self._records]

    def _store(self, record: Record) -> None:
        folder = self.folder_of(record.spec.sliver)
        temporary = folder / f".{_FILE}"
        temporary.write_bytes(_AS_JSON.dump_json(record))
        temporary.replace(folder / _FILE)
        self._records[record.spec.sliver] = record

    def _on_disk(self) -> Iterator[tuple[SliverId, Record]]:
        for entry in self._folder.iterdir():
            sliver = self._names.sliver(entry.name)
            if sliver is None:
                continue
            try:
                yield sliver, _AS_JSON.validate_json((entry / _FILE).read_bytes())
            except (FileNotFoundError, json.JSONDecodeError, ValidationError):
                continue  # a stray: the sweep removes it


def _delete(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        delete_tree(entry)
    else:
        entry.unlink()
