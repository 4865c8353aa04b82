"""Images made from this host's machines: each in a thread of its own, since it takes as long as the disk is large.

What is kept is the image alone: a node manager that is killed while it packs begins again when it is asked again, and
first lets go on what it had made stand still.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import structlog

from backends.image_library import ImageRefused, Source
from backends.native.images import ImageFolder
from backends.native.journal import Journal, Record
from backends.native.node.body import Body
from backends.own_images import ImageSeen, ImageWish, Progress
from backends.protocol import BackendError, Machine, SliverId, Unavailable

log = structlog.get_logger()

_BEGUN = ImageSeen(progress=Progress.MAKING)


class Snapshots:
    """Those of one node. Safe to use from many threads."""

    def __init__(
        self,
        folder: Path,
        images: ImageFolder,
        journal: Journal,
        body: Callable[[Record], Body],
        hold: Callable[[SliverId], AbstractContextManager[None]],
    ) -> None:
        """folder: of its own, kept over restarts. hold: nothing else changes a sliver meanwhile"""
        self._folder = folder
        self._still = folder / "still"
        self._images = images
        self._journal = journal
        self._body = body
        self._hold = hold
        self._lock = threading.Lock()
        self._under_way: dict[str, ImageSeen] = {}

    def recover(self) -> None:
        """Let go on what a former life had made stand still, and remove what it had begun."""
        if self._still.is_dir():
            for mark in list(self._still.iterdir()):
                record = self._journal.get(SliverId(mark.name))
                if record is not None:
                    self._body(record).go_on()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._still.mkdir(parents=True, mode=0o700)

    def make(self, wish: ImageWish) -> ImageSeen:
        """Begin to make an image, or say how far it is."""
        with self._lock:
            if (known := self._under_way.get(wish.image)) is not None:
                if known.progress is not Progress.MAKING:
                    del self._under_way[wish.image]  # it is told once; who asks again after that wants it tried again
                return known
            if (made := self._images.of_wish(wish.image)) is not None:
                return ImageSeen(progress=Progress.READY, size=made.size, sha256=made.sha256)
            self._under_way[wish.image] = _BEGUN
        threading.Thread(target=self._make, args=(wish,), name=f"image-{wish.image}", daemon=True).start()
        return _BEGUN

    def drop(self, image: str) -> None:
        """Offer it no more, and remove it unless machines stand on it. Raises Unavailable while it is being made."""
        with self._lock:
            if self._under_way.get(image) is _BEGUN:
                raise Unavailable("the image is still being made; it can be dropped after that")
            self._under_way.pop(image, None)
        self._images.withdraw_wish(image)
        self._images.collect()

    def _make(self, wish: ImageWish) -> None:
        fault = ""
        try:
            self._pack_and_take(wish)
        except BackendError as e:
            log.warning("no image was made", image=wish.image, reason=str(e), notes=getattr(e, "__notes__", []))
            fault = str(e)
        except ImageRefused as e:  # told to operators: it may quote a program that is none of the researcher's business
            log.warning("no image was made", image=wish.image, reason=str(e))
            fault = "what is on the machine can't be an image; the operator's log says why"
        except Exception:  # a full disk: whoever waits for it must hear something
            log.exception("no image was made", image=wish.image)
            fault = "the image could not be made; the operator's log says why"
        with self._lock:
            if fault:
                self._under_way[wish.image] = ImageSeen(progress=Progress.FAILED, fault=fault)
            else:
                del self._under_way[wish.image]

    def _pack_and_take(self, wish: ImageWish) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="packing-") as folder:
            packed = Path(folder) / "packed"
            with self._hold(wish.sliver):
                body, edition = self._pack(wish, packed)
            source = Source(name=wish.name, file=packed, format=body.clean(packed), description="made from a sliver")
            self._images.take_from_sliver(source, wish.image, edition)

    def _pack(self, wish: ImageWish, target: Path) -> tuple[Body, str]:
        record = self._journal.get(wish.sliver)
        if record is None or not isinstance(record.spec.shape, Machine) or not record.has_begun:
            raise BackendError("the machine is not there any more, or has never been started")
        body, mark = self._body(record), self._still / wish.sliver
        mark.touch()
        try:
            body.stand_still()
            body.pack(record.image, target, wish.largest)
        finally:
            body.go_on()
            mark.unlink(missing_ok=True)
        return body, record.image
