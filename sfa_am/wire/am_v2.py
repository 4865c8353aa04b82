"""GENI AM API version 2 over XML-RPC: one reservation per slice, made and ended whole. Translation only.

https://groups.geni.net/geni/wiki/GAPI_AM_API_V2_DETAILS is the specification. It is the same aggregate as version 3
shows: what one version makes the other one sees.
"""

from collections.abc import Sequence

from credentials import URN
from sfa_am.slices.desk import Presented
from sfa_am.slices.lease import wire_time
from sfa_am.slices.replies import SliverState, packed
from sfa_am.slices.states import Operational
from sfa_am.wire import arguments
from sfa_am.wire.am_answers import Call, Triple, slice_urn, who
from sfa_am.wire.am_images import ImageDoor
from sfa_am.wire.xmlrpc import Caller

_STATUS = {
    Operational.CONFIGURING: "configuring",
    Operational.READY: "ready",
    Operational.READY_BUSY: "ready",
    Operational.FAILED: "failed",
}
"""Version 2 knows these and "unknown"."""


class AggregateV2(ImageDoor):
    """The methods of version 2."""

    version = 2

    async def xmlrpc_ListResources(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """The advertisement; with the option geni_slice_urn the manifest of that slice, empty if it has nothing."""

        def read() -> Call:
            creds, opts = arguments.expect("ListResources", sent, ("credentials", "options"), optional=1)
            presented, given = who(caller, creds, opts)
            arguments.rspec_version(given)
            available, compressed = arguments.flag(given, "geni_available"), arguments.flag(given, "geni_compressed")
            named, now = given.get("geni_slice_urn"), self._now()
            target = None if named in (None, "") else slice_urn(named)

            def call() -> str:
                if target is None:
                    advertised = self._service.list_resources(presented, available_only=available, now=now)
                    return advertised.compressed if compressed else advertised.text
                manifest = self._service.describe(presented, [str(target)], now=now).manifest
                return packed(manifest) if compressed else manifest

            return call

        return await self._call("ListResources", caller, read)

    async def xmlrpc_CreateSliver(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Reserve what a request describes and have it made."""

        def read() -> Call:
            names = ("slice_urn", "credentials", "rspec", "users", "options")
            urn, creds, rspec, users, opts = arguments.expect("CreateSliver", sent, names, optional=1)
            (presented, given), target = who(caller, creds, opts), slice_urn(urn)
            document, end_at, now = arguments.text(rspec, "rspec"), arguments.end_time(given), self._now()
            people = arguments.people(users or [], "users")
            return lambda: (
                self._service.create(presented, target, document, users=people, end_at=end_at, now=now).manifest
            )

        return await self._call("CreateSliver", caller, read)

    async def xmlrpc_SliverStatus(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """How a slice's resources are, one by one and all together."""

        def read() -> Call:
            presented, target = self._about_slice("SliverStatus", caller, sent)
            now = self._now()

            def call() -> object:
                slice_name, states = self._service.status(presented, [str(target)], now=now)
                return _status(slice_name, states)

            return call

        return await self._call("SliverStatus", caller, read)

    async def xmlrpc_RenewSliver(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Move the end of all that a slice has here."""

        def read() -> Call:
            names = ("slice_urn", "credentials", "expiration_time", "options")
            urn, creds, end, opts = arguments.expect("RenewSliver", sent, names, optional=1)
            (presented, given), target = who(caller, creds, opts), slice_urn(urn)
            end_at, now = arguments.moment(end, "expiration_time"), self._now()
            alap = arguments.flag(given, "geni_extend_alap")

            def call() -> bool:
                self._service.renew(
                    presented, [str(target)], end_at, as_long_as_possible=alap, best_effort=False, now=now
                )
                return True

            return call

        return await self._call("RenewSliver", caller, read)

    async def xmlrpc_DeleteSliver(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """End all that a slice has here."""

        def read() -> Call:
            presented, target = self._about_slice("DeleteSliver", caller, sent)
            now = self._now()

            def call() -> bool:
                self._service.delete(presented, [str(target)], best_effort=False, now=now)
                return True

            return call

        return await self._call("DeleteSliver", caller, read)

    async def xmlrpc_Shutdown(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Stop a slice for an operator to look at."""

        def read() -> Call:
            presented, target = self._about_slice("Shutdown", caller, sent)
            now = self._now()

            def call() -> bool:
                self._service.shutdown(presented, target, now=now)
                return True

            return call

        return await self._call("Shutdown", caller, read)

    @staticmethod
    def _about_slice(call: str, caller: Caller, sent: Sequence[object]) -> tuple[Presented, URN]:
        """Arguments of the calls that take a slice, credentials and options, none of which matter to them."""
        urn, creds, opts = arguments.expect(call, sent, ("slice_urn", "credentials", "options"), optional=1)
        presented, _ = who(caller, creds, opts)
        return presented, slice_urn(urn)


def _status(target: URN, states: Sequence[SliverState]) -> dict[str, object]:
    each = [_STATUS.get(state.operational, "unknown") for state in states]
    return {
        "geni_urn": str(target),
        "geni_status": _together(each),
        "geni_expires": wire_time(min(state.expires_at for state in states)),
        "geni_resources": [_resource(state, status) for state, status in zip(states, each, strict=True)],
    }


def _together(each: Sequence[str]) -> str:
    """One word for all: the worst; ready only when every one is."""
    return next((word for word in ("failed", "unknown", "configuring") if word in each), "ready")


def _resource(state: SliverState, status: str) -> dict[str, object]:
    logins = {login.username: login for login in state.logins}
    return {
        "geni_urn": str(state.urn),
        "geni_client_id": state.client_id,
        "geni_status": status,
        "geni_error": state.error,
        "geni_expires": wire_time(state.expires_at),
        "users": [
            {
                "urn": user.urn,
                "login": user.login,
                "protocol": "ssh",
                "hostname": logins[user.login].hostname,
                "port": logins[user.login].port,
                "keys": list(user.keys),
            }
            for user in state.users
            if user.login in logins
        ],
    }
