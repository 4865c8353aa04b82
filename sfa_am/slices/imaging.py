"""The calls about images made from slivers: CreateImage, ListImages, DeleteImage, as ProtoGENI has
them, and ShareImage.

An image is named USER//NAME, so that users need not agree on names; AUTHORITY:USER//NAME where the user is of another
authority than this aggregate, since a federation has many an alice. Who may see one may begin machines from it: its
creator, and everybody when it is shared.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from backends.protocol import Machine
from credentials import URN, Authorization, BadName
from sfa_am.errors import AlreadyExists, BadArgs, NotFound, Reason, Refused, Unsupported
from sfa_am.slices.desk import Desk, Presented
from sfa_am.slices.identity import read_urn
from sfa_am.slices.selection import Named
from sfa_am.slices.states import Allocation
from sfa_am.store import events, own_images
from sfa_am.store.events import Event
from sfa_am.store.own_images import OwnImage, State
from sfa_am.store.slivers import SliverRow, new_id

__all__ = ["Imaging", "OwnImage"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


class Imaging(Desk):
    """None of them waits for an image to be made: ListImages says how far it is."""

    def create_image(
        self, who: Presented, slice_urn: URN, name: str, sliver_urn: str, *, shared: bool, now: datetime
    ) -> tuple[URN, OwnImage]:
        """Have an image made from a node of the slice.

        Raises BadArgs (the name), NotFound, Unsupported (not a node that was made), AlreadyExists, Refused (too many).
        """
        if not _NAME.fullmatch(name):
            raise BadArgs(
                f"image name {name!a:.80}: a letter or digit, then up to 31 letters, digits, dots, hyphens and "
                "underscores are allowed"
            )
        auth = self._authorise(who, slice_urn, "createsliver", now)
        urn = read_urn(sliver_urn, "sliver_urn")
        if urn.type != "sliver":
            raise BadArgs(f"sliver_urn {urn} names a {urn.type}, not a sliver; Describe tells them")
        called = self._called(auth.actor, name)
        with self._store.transaction() as tx:
            (row,) = self._changeable(tx, Named(slice=None, slivers=(urn,)), auth).slivers
            image = _image_of(row, called.name, str(auth.actor).lower(), shared=shared, now=now)
            if own_images.by_name(tx, image.name) is not None:
                raise AlreadyExists(
                    f"there is an image {image.name!r} here, or it is just being removed; DeleteImage it and ask "
                    "again, or choose another name"
                )
            held, most = own_images.count_of(tx, image.creator), self._limits.images_per_user
            if held >= most:
                reason = Reason(constraint="images per user", where=str(auth.actor), wanted=held + 1, available=most)
                raise Refused(
                    f"you hold {held} images here, and {most} are allowed to one user; DeleteImage one first",
                    reasons=[reason],
                )
            own_images.add(tx, image)
            self._write_down(tx, who, auth, None, [row], now, detail="CreateImage")
        return called, image

    def list_images(self, who: Presented, user_urn: str, *, now: datetime) -> Sequence[tuple[URN, OwnImage]]:
        """The images that a user has made: all of one's own, and those of another that are shared."""
        auth = self._authorise(who, None, "listnodes", now)
        creator = str(_user(user_urn, "user_urn")).lower() if user_urn else str(auth.actor).lower()
        caller = str(auth.actor).lower()
        with self._store.reading() as tx:
            found = own_images.of_creator(tx, creator)
        return [(self._identity.image(one.name), one) for one in found if one.may_be_used_by(caller)]

    def delete_image(self, who: Presented, image_urn: str, *, now: datetime) -> None:
        """Offer an image no more; machines that began from it keep it. Only its creator may.

        Raises NotFound, also for an image of somebody else that is not shared; Refused for one that is.
        """
        auth = self._authorise(who, None, "listnodes", now)
        with self._store.transaction() as tx:
            image = self._own(tx, auth, image_urn)
            own_images.drop(tx, image.id)
            self._write_down_image(tx, who, auth, image, "DeleteImage", now)

    def share_image(self, who: Presented, image_urn: str, *, shared: bool, now: datetime) -> None:
        """Share an image with everybody, or not any more; nodes that began from it keep it. As `delete_image`."""
        auth = self._authorise(who, None, "listnodes", now)
        with self._store.transaction() as tx:
            image = self._own(tx, auth, image_urn)
            own_images.share(tx, image.id, shared=shared)
            self._write_down_image(tx, who, auth, image, "ShareImage", now)

    def _called(self, creator: URN, name: str) -> URN:
        is_ours = creator.authority.lower() == self._identity.authority.lower()
        user = creator.name if is_ours else f"{creator.authority}:{creator.name}"
        try:
            return self._identity.image(f"{user.lower()}//{name}")
        except BadName as e:
            raise BadArgs(f"image name {name!a:.80} is too long together with your own; choose a shorter one") from e

    def _own(self, tx: Connection, auth: Authorization, image_urn: str) -> OwnImage:
        """An image of the caller's. Raises NotFound, Refused."""
        caller = str(auth.actor).lower()
        urn = read_urn(image_urn, "image_urn")
        image = own_images.by_name(tx, urn.name) if urn == self._identity.image(urn.name) else None
        if image is None or not image.may_be_used_by(caller):
            raise NotFound(f"there is no image {urn} here that you have made; ListImages tells yours")
        if image.creator != caller:
            raise Refused(f"image {urn} was made by {image.creator}; only they can change or delete it")
        return image

    def _write_down_image(
        self, tx: Connection, who: Presented, auth: Authorization, image: OwnImage, what: str, now: datetime
    ) -> None:
        event = Event(
            at=now,
            actor=str(auth.actor),
            spoken_by=auth.spoken_by,
            what=what,
            sliver_id=image.sliver_id,
            request_id=who.request_id,
            detail=image.name,
        )
        events.add(tx, [event])


def _image_of(row: SliverRow, name: str, creator: str, *, shared: bool, now: datetime) -> OwnImage:
    if not isinstance(row.shape, Machine):
        raise Unsupported(f"{row.client_id!r} is a link; images are made from nodes")
    if not Allocation(row.allocation).is_made:
        raise Unsupported(f"{row.client_id!r} is {row.allocation}; Provision it, and ask for an image of it then")
    return OwnImage(
        id=new_id(),
        name=name,
        creator=creator,
        sliver_id=row.id,
        backend=row.backend,
        offer=row.offer,
        form=row.shape.form,
        shared=shared,
        state=State.MAKING,
        created_at=now,
    )


def _user(text: str, what: str) -> URN:
    urn = read_urn(text, what)
    if urn.type != "user":
        raise BadArgs(f"{what} {urn} names a {urn.type}, not a user")
    return urn
