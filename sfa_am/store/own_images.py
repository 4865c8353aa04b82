"""Images that researchers make from their slivers: rows in, frozen values out.

A row lives from the wish for the image until its backend has confirmed that it is offered no more.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, delete, func, insert, or_, select, update

from backends.own_images import ImageSeen, ImageWish, Progress
from backends.protocol import Form, SliverId
from sfa_am.store.schema import own_image


class State(StrEnum):
    """Of an image. DROPPING: nobody sees it any more, and its name is not free yet."""

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"
    DROPPING = "dropping"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnImage:
    """Columns as in `schema.own_image`."""

    id: str
    name: str
    creator: str
    sliver_id: SliverId
    backend: str
    offer: str
    form: Form
    shared: bool
    state: State
    fault: str = ""
    size: int = 0
    sha256: str = ""
    created_at: datetime

    def wish(self, largest: int) -> ImageWish:
        """What its backend is asked to make."""
        return ImageWish(image=self.id, name=self.name, sliver=self.sliver_id, offer=self.offer, largest=largest)

    def may_be_used_by(self, user: str) -> bool:
        """user: folded URN."""
        return self.state is not State.DROPPING and (self.shared or self.creator == user)


def add(tx: Connection, image: OwnImage) -> None:
    """A new one. Raises IntegrityError when the name is taken."""
    tx.execute(insert(own_image).values(**asdict(image)))


def by_name(tx: Connection, name: str) -> OwnImage | None:
    """The one of this name."""
    row = tx.execute(select(own_image).where(own_image.c.name == name)).mappings().first()
    return None if row is None else _image(row)


def of_creator(tx: Connection, creator: str) -> tuple[OwnImage, ...]:
    """Those a user has made, the oldest first; without those that are about to go."""
    mine = select(own_image).where(own_image.c.creator == creator, own_image.c.state != State.DROPPING)
    return tuple(map(_image, tx.execute(mine.order_by(own_image.c.created_at, own_image.c.id)).mappings()))


def count_of(tx: Connection, creator: str) -> int:
    """How many a user holds; those that are about to go count until they are gone."""
    mine = select(func.count()).select_from(own_image).where(own_image.c.creator == creator)
    count: int = tx.execute(mine).scalar_one()
    return count


def unfinished(tx: Connection) -> tuple[OwnImage, ...]:
    """Those that somebody has to see to."""
    open_ = select(own_image).where(or_(own_image.c.state == State.MAKING, own_image.c.state == State.DROPPING))
    return tuple(map(_image, tx.execute(open_.order_by(own_image.c.created_at)).mappings()))


def record(tx: Connection, image: str, seen: ImageSeen) -> bool:
    """Store what became of a wish, unless it was taken back meanwhile; says whether it was stored."""
    if seen.progress is Progress.MAKING:
        return False
    still = update(own_image).where(own_image.c.id == image, own_image.c.state == State.MAKING)
    values = {"state": seen.progress.value, "fault": seen.fault, "size": seen.size, "sha256": seen.sha256}
    return tx.execute(still.values(values)).rowcount > 0


def share(tx: Connection, image: str, *, shared: bool) -> None:
    """Have everybody see it, or its creator alone."""
    tx.execute(update(own_image).where(own_image.c.id == image).values(shared=shared))


def drop(tx: Connection, image: str) -> None:
    """Nobody shall see it any more, and its backend shall let it go."""
    tx.execute(update(own_image).where(own_image.c.id == image).values(state=State.DROPPING.value))


def forget(tx: Connection, image: str) -> None:
    """It is gone."""
    tx.execute(delete(own_image).where(own_image.c.id == image, own_image.c.state == State.DROPPING))


def _image(row: RowMapping) -> OwnImage:
    values = {**row, "form": Form(row["form"]), "state": State(row["state"]), "sliver_id": SliverId(row["sliver_id"])}
    return OwnImage(**values)
