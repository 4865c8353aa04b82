"""The loop that has images made from slivers, and let go: it asks backends again until a row's wish is true.

Nothing is kept here: whoever is killed, the row says what is still to be done, and asking twice changes nothing.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime

import structlog

from backends.own_images import ImageMaker, ImageSeen, Progress
from backends.protocol import Backend, BackendError, Unavailable
from sfa_am.store import Store, events, offers, own_images
from sfa_am.store.events import Event
from sfa_am.store.own_images import OwnImage, State

log = structlog.get_logger()


def see_to_images(store: Store, backends: Mapping[str, Backend], largest: int, now: datetime) -> None:
    """One turn. largest: octets that an image may be made of."""
    with store.reading() as tx:
        open_ = own_images.unfinished(tx)
    for image in open_:
        backend = backends.get(image.backend)
        if image.state is State.DROPPING:
            _drop(store, backend, image, now)
        else:
            _make(store, backend, image, largest, now)


def _make(store: Store, backend: Backend | None, image: OwnImage, largest: int, now: datetime) -> None:
    if not isinstance(backend, ImageMaker):
        seen = ImageSeen(progress=Progress.FAILED, fault="no images are made from slivers here")
    else:
        try:
            seen = backend.make_image(image.wish(largest))
        except Unavailable as e:
            if not _has_lost_its_host(store, image):
                log.info("will try again", image=image.id, reason=str(e))
                return
            seen = ImageSeen(progress=Progress.FAILED, fault="the component where the node was is not here any more")
        except BackendError as e:
            seen = ImageSeen(progress=Progress.FAILED, fault=str(e))
        except Exception:  # a backend may be anybody's
            number = uuid.uuid4().hex[:12]
            log.exception("a backend failed", doing="make_image", image=image.id, fault=number)
            fault = f"internal error {number}: please report it to the operator"
            seen = ImageSeen(progress=Progress.FAILED, fault=fault)
    if seen.progress is Progress.MAKING:
        return
    with store.transaction() as tx:
        if own_images.record(tx, image.id, seen):
            detail = f"image {image.name}{f': {seen.fault}' if seen.fault else ''}"
            event = Event(
                at=now, actor="worker", what=f"image {seen.progress}", sliver_id=image.sliver_id, detail=detail
            )
            events.add(tx, [event])


def _drop(store: Store, backend: Backend | None, image: OwnImage, now: datetime) -> None:
    if isinstance(backend, ImageMaker):
        try:
            backend.drop_image(image.id, image.offer)
        except Unavailable as e:
            if not _has_lost_its_host(store, image):
                log.info("will try again", image=image.id, reason=str(e))
                return
        except Exception:  # never given up: it takes room until it is gone
            log.exception("an image could not be removed; will try again", image=image.id)
            return
    with store.transaction() as tx:
        own_images.forget(tx, image.id)
        event = Event(at=now, actor="worker", what="image removed", sliver_id=image.sliver_id, detail=image.name)
        events.add(tx, [event])


def _has_lost_its_host(store: Store, image: OwnImage) -> bool:
    """Whether the operator has removed the host: then nobody will ever answer for it."""
    with store.reading() as tx:
        return offers.is_removed(tx, image.backend, image.offer)
