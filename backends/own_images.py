"""Images that researchers make from their slivers: the contract between the aggregate manager and a backend.

A backend need not have it. One that does implements `ImageMaker` beside `backends.protocol.Backend`. An image is held
where it was made; machines that begin from it are asked for there first, and at any other of its offers otherwise.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from backends.protocol import SliverId


class Progress(StrEnum):
    """How far an image is."""

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWish:
    """An image that should exist.

    image:   opaque and unique over time, 1 to 32 characters of [a-z0-9]
    name:    by which machines ask for it (`Machine.image`); has two slashes in it, which no other image's has
    sliver:  the machine that it is made from
    offer:   where that is
    largest: octets that it may take, before it is compressed or shared with others
    """

    image: str
    name: str
    sliver: SliverId
    offer: str
    largest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSeen:
    """What there is of an image.

    fault:  a sentence for the researcher when FAILED, which is final; it names nothing underneath
    size:   octets that it takes where it is held
    sha256: of what it was made of, hexadecimal
    """

    progress: Progress
    fault: str = ""
    size: int = 0
    sha256: str = ""


@runtime_checkable
class ImageMaker(Protocol):
    """A backend that makes images of its machines. Blocking, thread-safe, level-triggered as all of a backend."""

    def make_image(self, wish: ImageWish) -> ImageSeen:
        """Have it made, without waiting for that: MAKING asks for another call. Raises Unavailable, Impossible."""

    def drop_image(self, image: str, offer: str) -> None:
        """Have it offered no more; machines that began from it keep it. Absent already is success.

        image: as in `ImageWish`. Raises Unavailable: ask again, also while it is still being made.
        """
