"""Images that are brought from the host that holds them to one where a machine is to begin from them.

The controller carries them, a part at a time: hosts hear and obey the controller alone, and one that was broken into
can ask no other for anything.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import structlog

from backends.native.images import DEBIAN_12
from backends.native.images.travelling import Arrival, Cargo, Part, PartWish, Piece
from backends.native.messages import Inventory
from backends.protocol import BackendError, Form, Image, Machine, Offer, Unavailable

log = structlog.get_logger()

T = TypeVar("T")

_PATIENCE = 30.0
"""Seconds for the answer to each step; none of them waits for a disk for long."""
_LOOK_EVERY = 0.3
"""Seconds between looks how far packing and unpacking are."""


class Ask(Protocol):
    """How a node is asked something."""

    def __call__(self, name: str, verb: str, message: object, kind: type[T], patience: float) -> T:
        """Its answer. Raises what it refuses with; Unavailable when it gives none."""


@dataclass(frozen=True, slots=True)
class Trip:
    """An edition on its way from one node to another."""

    edition: str
    holder: str
    target: str


class Carrier:
    """Carries images, each in a thread of its own. Safe to use from many threads."""

    def __init__(self, ask: Ask, is_stopping: threading.Event) -> None:
        self._ask = ask
        self._is_stopping = is_stopping
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, str], BackendError | None] = {}
        """By edition and target: why it failed, once it has."""

    def carry(self, trip: Trip) -> None:
        """Have an edition brought to a node, without waiting for that. Raises what the last try failed with, once."""
        key = (trip.edition, trip.target)
        with self._lock:
            if key in self._under_way:
                if (problem := self._under_way[key]) is not None:
                    del self._under_way[key]
                    raise problem
                return
            self._under_way[key] = None
        threading.Thread(target=self._go, args=(trip, key), name=f"carry-{trip.edition}", daemon=True).start()

    def _go(self, trip: Trip, key: tuple[str, str]) -> None:
        problem: BackendError | None = None
        try:
            log.info("an image is being carried", edition=trip.edition, holder=trip.holder, node=trip.target)
            self._bring(trip)
            log.info("an image was carried", edition=trip.edition, node=trip.target)
        except BackendError as e:
            log.warning("an image was not carried", edition=trip.edition, node=trip.target, reason=str(e))
            problem = e
        except Exception:
            log.exception("an image was not carried", edition=trip.edition, node=trip.target)
            problem = Unavailable("the image could not be brought to its place; it will be tried again")
        with self._lock:
            if problem is None:
                del self._under_way[key]
            else:
                self._under_way[key] = problem

    def _bring(self, trip: Trip) -> None:
        """Level-triggered, as all is: what is there already is not sent again."""
        while (cargo := self._ask(trip.holder, "cargo", trip.edition, Cargo | None, _PATIENCE)) is None:  # type: ignore[arg-type]
            self._wait()
        while True:
            arrival = self._ask(trip.target, "expect-image", cargo, Arrival, _PATIENCE)
            if arrival.is_here:
                return
            if arrival.is_whole:
                self._wait()
                continue
            for piece in cargo.pieces:
                self._send(trip, piece, arrival.sizes.get(piece.name, 0))

    def _send(self, trip: Trip, piece: Piece, offset: int) -> None:
        while offset < piece.size:
            wish = PartWish(edition=trip.edition, piece=piece.name, offset=offset)
            part = self._ask(trip.holder, "image-part", wish, Part, _PATIENCE)
            there = self._ask(trip.target, "put-image-part", part, int, _PATIENCE)
            if there <= offset:
                raise Unavailable("the image could not be brought to its place; it will be tried again")
            offset = there
            if self._is_stopping.is_set():
                raise Unavailable("the server is stopping; it will be tried again")

    def _wait(self) -> None:
        if self._is_stopping.wait(_LOOK_EVERY):
            raise Unavailable("the server is stopping; it will be tried again")


def with_each_others_images(offers: Sequence[Offer]) -> Sequence[Offer]:
    """The same offers, each with the images of all others too, for machines of the forms that it makes."""
    everything: dict[str, Image] = {}
    for image in (image for offer in offers for image in offer.images if image.name != DEBIAN_12.name):
        known = everything.setdefault(image.name, image)
        everything[image.name] = replace(known, forms=tuple(sorted({*known.forms, *image.forms})))
    result = []
    for offer in offers:
        forms = {kind.form for kind in offer.sliver_types}
        own = tuple(image for image in offer.images if image.name == DEBIAN_12.name)
        had = {image.name for image in offer.images}
        # What it has itself stays in its own order: the first is what a node gets that names none.
        order = [*(image.name for image in offer.images), *sorted(everything.keys() - had)]
        images = [
            replace(everything[name], forms=_both(everything[name].forms, forms))
            for name in order
            if name in everything
        ]
        result.append(replace(offer, images=(*own, *(image for image in images if image.forms))))
    return result


def _both(forms: Sequence[Form], others: Collection[Form]) -> tuple[Form, ...]:
    return tuple(form for form in forms if form in others)


def holds(inventory: Inventory, machine: Machine) -> bool:
    """Whether a node can give an image away from which a machine can begin."""
    return any(
        image.name == machine.image and machine.form in image.forms
        for image in (*inventory.offer.images, *inventory.private)
    )
