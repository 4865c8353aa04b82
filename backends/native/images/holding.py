"""What a node's slivers need of an image folder: editions stay as long as anybody's slivers have begun from them.

Whoever shares the folder has a folder of its own in it, with an empty file for each edition held. It is written before
a disk begins from the edition and taken away when no record names it any more, so a crash between two steps leaves too
much there, never too little; the next start puts that right.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from backends.native.images.folder import HELD, ImageFolder
from backends.native.trees import delete_tree
from backends.protocol import Form, Impossible

_LINK = "held-images"
"""In the state folder: leads to our folder among those who hold."""


class Holder:
    """One node. Safe to use from many threads."""

    def __init__(self, images: ImageFolder, state: Path) -> None:
        """state: folder of the node, kept over restarts."""
        self._images = images
        self._state = state
        self._lock = threading.Lock()
        self._beginning: Counter[str] = Counter()

    @contextmanager
    def begin(self, name: str, form: Form, former: str) -> Iterator[str]:
        """The edition that a disk begins from, held until a record names it, which the caller sees to within this.

        former: what the disk before began from, for an image that is not offered any more; empty when there was none.
        Raises Impossible: it is not offered.
        """
        with self._lock, self._images.changing():
            edition = self._edition(name, form, former)
            (self._own() / edition).touch()
            self._beginning[edition] += 1
        try:
            yield edition
        finally:
            with self._lock:
                self._beginning -= Counter((edition,))

    def settle(self, named: Callable[[], Collection[str]]) -> None:
        """Hold just what records name, and remove what nobody needs then.

        named: the editions; asked once no disk can have begun without being told of here
        """
        with self._lock:
            wanted = {edition for edition in named() if edition} | set(self._beginning)
            own = self._own()
            held = {path.name for path in own.iterdir()}
            for edition in wanted - held:
                (own / edition).touch()
            for edition in held - wanted:
                (own / edition).unlink()
        if any(not self._images.is_offered(edition) for edition in held - wanted):
            self._images.collect()

    def _edition(self, name: str, form: Form, former: str) -> str:
        try:
            return self._images.edition(name, form)
        except Impossible:
            if former and (self._images.path / former).is_dir():
                return former
            raise

    def _own(self) -> Path:
        """Our folder, in the image folder that is used now."""
        link = self._state / _LINK
        holders = self._images.path.absolute() / HELD
        if not link.is_symlink() or link.readlink().parent != holders:
            fresh = self._state / f".{_LINK}"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(holders / uuid.uuid4().hex[:16])
            fresh.rename(link)
        own = link.readlink()
        own.mkdir(parents=True, exist_ok=True)
        return own


def let_go(state: Path) -> None:
    """Hold nothing any more: the node of this state folder is about to be no more."""
    link = state / _LINK
    if link.is_symlink():
        delete_tree(link.readlink())
        link.unlink()
