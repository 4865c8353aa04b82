"""Images made from slivers, as ProtoGENI's aggregates have them and omni calls them, at both versions of the AM API."""

from credentials import URN
from sfa_am.slices.imaging import OwnImage
from sfa_am.slices.lease import wire_time
from sfa_am.wire import arguments
from sfa_am.wire.am_answers import AggregateDoor, Call, Triple, slice_urn, who
from sfa_am.wire.xmlrpc import Caller


class ImageDoor(AggregateDoor):
    """An aggregate's calls about images."""

    async def xmlrpc_CreateImage(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Have an image made from a sliver; answers its URN at once."""

        def read() -> Call:
            names = ("slice_urn", "image_name", "sliver_urn", "credentials", "options")
            urn, name, sliver, creds, opts = arguments.expect("CreateImage", sent, names, optional=1)
            (presented, given), target = who(caller, creds, opts), slice_urn(urn)
            called, made_from = arguments.text(name, "image_name"), arguments.text(sliver, "sliver_urn")
            shared, now = arguments.flag(given, "global"), self._now()

            def call() -> object:
                made, _ = self._service.create_image(presented, target, called, made_from, shared=shared, now=now)
                return str(made)

            return call

        return await self._call("CreateImage", caller, read)

    async def xmlrpc_ListImages(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """The images of a user, and how far each is."""

        def read() -> Call:
            urn, creds, opts = arguments.expect("ListImages", sent, ("user_urn", "credentials", "options"), optional=1)
            (presented, _), creator, now = who(caller, creds, opts), arguments.text(urn, "user_urn"), self._now()
            return lambda: [_struct(*found) for found in self._service.list_images(presented, creator, now=now)]

        return await self._call("ListImages", caller, read)

    async def xmlrpc_ShareImage(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Share an image, or not any more. Our own: ProtoGENI decides that when an image is made."""

        def read() -> Call:
            names = ("image_urn", "credentials", "options")
            urn, creds, opts = arguments.expect("ShareImage", sent, names, optional=1)
            (presented, given), image, now = who(caller, creds, opts), arguments.text(urn, "image_urn"), self._now()
            shared = arguments.flag(given, "global")

            def call() -> object:
                self._service.share_image(presented, image, shared=shared, now=now)
                return True

            return call

        return await self._call("ShareImage", caller, read)

    async def xmlrpc_DeleteImage(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Offer an image no more."""

        def read() -> Call:
            names = ("image_urn", "credentials", "options")
            urn, creds, opts = arguments.expect("DeleteImage", sent, names, optional=1)
            (presented, _), image, now = who(caller, creds, opts), arguments.text(urn, "image_urn"), self._now()

            def call() -> object:
                self._service.delete_image(presented, image, now=now)
                return True

            return call

        return await self._call("DeleteImage", caller, read)


def _struct(urn: URN, image: OwnImage) -> dict[str, object]:
    """Sizes as text: XML-RPC has no numbers so large."""
    return {
        "urn": str(urn),
        "creator_urn": image.creator,
        "global": image.shared,
        "state": image.state.value,
        "error": image.fault,
        "size": str(image.size),
        "sha256": image.sha256,
        "created": wire_time(image.created_at),
    }
