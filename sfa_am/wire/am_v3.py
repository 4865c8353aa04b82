"""GENI AM API version 3 over XML-RPC: arguments to typed calls, outcomes to the API's words. Translation only.

https://groups.geni.net/geni/wiki/GAPI_AM_API_V3 is the specification; where it leaves room, what clients do decides
(docs/reference/am-api.md). Update and Cancel are the agreed additions for its successor.
"""

from collections.abc import Iterable

from sfa_am.errors import BadArgs
from sfa_am.slices.lease import wire_time
from sfa_am.slices.replies import Described, SliverState, packed
from sfa_am.slices.states import CONSOLE_LOG
from sfa_am.wire import arguments
from sfa_am.wire.am_answers import Call, Triple, slice_urn, who
from sfa_am.wire.am_images import ImageDoor
from sfa_am.wire.xmlrpc import Caller


class AggregateV3(ImageDoor):
    """The methods of version 3."""

    version = 3

    async def xmlrpc_ListResources(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """The advertisement."""

        def read() -> Call:
            creds, opts = arguments.expect("ListResources", sent, ("credentials", "options"), optional=1)
            presented, given = who(caller, creds, opts)
            arguments.rspec_version(given)
            available, compressed = arguments.flag(given, "geni_available"), arguments.flag(given, "geni_compressed")
            now = self._now()

            def call() -> str:
                advertised = self._service.list_resources(presented, available_only=available, now=now)
                return advertised.compressed if compressed else advertised.text

            return call

        return await self._call("ListResources", caller, read)

    async def xmlrpc_Describe(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """A slice's manifest and the states of its slivers."""

        def read() -> Call:
            urns, creds, opts = arguments.expect("Describe", sent, ("urns", "credentials", "options"), optional=1)
            (presented, given), named = who(caller, creds, opts), arguments.texts(urns, "urns")
            arguments.rspec_version(given)
            compressed, now = arguments.flag(given, "geni_compressed"), self._now()
            cancelled = arguments.flag(given, "geni_cancelled")
            return lambda: _described(
                self._service.describe(presented, named, without_update=cancelled, now=now), compressed
            )

        return await self._call("Describe", caller, read)

    async def xmlrpc_Allocate(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Reserve what a request describes."""

        def read() -> Call:
            names = ("slice_urn", "credentials", "rspec", "options")
            urn, creds, rspec, opts = arguments.expect("Allocate", sent, names, optional=1)
            (presented, given), target = who(caller, creds, opts), slice_urn(urn)
            document, end_at, now = arguments.text(rspec, "rspec"), arguments.end_time(given), self._now()
            arguments.start_time(given, now)
            dry_run = arguments.flag(given, "sfa_dry_run")
            return lambda: _described(
                self._service.allocate(presented, target, document, end_at=end_at, dry_run=dry_run, now=now),
                operational=False,
            )

        return await self._call("Allocate", caller, read)

    async def xmlrpc_Update(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Change what a slice holds into what a request describes; Provision carries it out."""

        def read() -> Call:
            names = ("urns", "credentials", "rspec", "options")
            urns, creds, rspec, opts = arguments.expect("Update", sent, names, optional=1)
            (presented, given), named = who(caller, creds, opts), arguments.texts(urns, "urns")
            if len(named) != 1:
                raise BadArgs("urns: name the slice alone: the request describes all of it")
            target = slice_urn(named[0])
            document, end_at, now = arguments.text(rspec, "rspec"), arguments.end_time(given), self._now()
            dry_run = arguments.flag(given, "sfa_dry_run")
            return lambda: _described(
                self._service.update(presented, target, document, end_at=end_at, dry_run=dry_run, now=now)
            )

        return await self._call("Update", caller, read)

    async def xmlrpc_Cancel(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Take back an update, or an allocation, that is not provisioned yet."""

        def read() -> Call:
            urns, creds, opts = arguments.expect("Cancel", sent, ("urns", "credentials", "options"), optional=1)
            (presented, given), named = who(caller, creds, opts), arguments.texts(urns, "urns")
            best_effort, now = arguments.flag(given, "geni_best_effort"), self._now()
            return lambda: _slivers(self._service.cancel(presented, named, best_effort=best_effort, now=now))

        return await self._call("Cancel", caller, read)

    async def xmlrpc_Renew(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Move the end of leases."""

        def read() -> Call:
            names = ("urns", "credentials", "expiration_time", "options")
            urns, creds, end, opts = arguments.expect("Renew", sent, names, optional=1)
            (presented, given), named = who(caller, creds, opts), arguments.texts(urns, "urns")
            end_at, now = arguments.moment(end, "expiration_time"), self._now()
            alap, best_effort = arguments.flag(given, "geni_extend_alap"), arguments.flag(given, "geni_best_effort")
            return lambda: _slivers(
                self._service.renew(
                    presented, named, end_at, as_long_as_possible=alap, best_effort=best_effort, now=now
                )
            )

        return await self._call("Renew", caller, read)

    async def xmlrpc_Provision(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Have allocated slivers made."""

        def read() -> Call:
            urns, creds, opts = arguments.expect("Provision", sent, ("urns", "credentials", "options"), optional=1)
            (presented, given), named = who(caller, creds, opts), arguments.texts(urns, "urns")
            arguments.rspec_version(given)
            users, end_at, now = arguments.users(given) or [], arguments.end_time(given), self._now()
            best_effort = arguments.flag(given, "geni_best_effort")
            return lambda: _described(
                self._service.provision(presented, named, users=users, end_at=end_at, best_effort=best_effort, now=now)
            )

        return await self._call("Provision", caller, read)

    async def xmlrpc_Status(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """The states of slivers."""

        def read() -> Call:
            urns, creds, opts = arguments.expect("Status", sent, ("urns", "credentials", "options"), optional=1)
            (presented, _), named, now = who(caller, creds, opts), arguments.texts(urns, "urns"), self._now()

            def call() -> object:
                slice_urn, states = self._service.status(presented, named, now=now)
                return {"geni_urn": str(slice_urn), "geni_slivers": _slivers(states)}

            return call

        return await self._call("Status", caller, read)

    async def xmlrpc_PerformOperationalAction(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Start, stop, restart, reload, update users or rules."""

        def read() -> Call:
            names = ("urns", "credentials", "action", "options")
            urns, creds, what, opts = arguments.expect("PerformOperationalAction", sent, names, optional=1)
            (presented, given), named = who(caller, creds, opts), arguments.texts(urns, "urns")
            action, users, now = arguments.text(what, "action"), arguments.users(given), self._now()
            group, best_effort = arguments.security_group(given), arguments.flag(given, "geni_best_effort")
            if action == CONSOLE_LOG:
                return lambda: [
                    {**_sliver(state, True), CONSOLE_LOG: arguments.printable(written)}
                    for state, written in self._service.console(presented, named, best_effort=best_effort, now=now)
                ]
            return lambda: _slivers(
                self._service.act(presented, named, action, users=users, group=group, best_effort=best_effort, now=now)
            )

        return await self._call("PerformOperationalAction", caller, read)

    async def xmlrpc_Delete(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """End slivers."""

        def read() -> Call:
            urns, creds, opts = arguments.expect("Delete", sent, ("urns", "credentials", "options"), optional=1)
            (presented, given), named = who(caller, creds, opts), arguments.texts(urns, "urns")
            best_effort, now = arguments.flag(given, "geni_best_effort"), self._now()
            return lambda: _slivers(
                self._service.delete(presented, named, best_effort=best_effort, now=now), operational=False
            )

        return await self._call("Delete", caller, read)

    async def xmlrpc_Shutdown(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Stop a slice for an operator to look at."""

        def read() -> Call:
            urn, creds, opts = arguments.expect("Shutdown", sent, ("slice_urn", "credentials", "options"), optional=1)
            (presented, _), target, now = who(caller, creds, opts), slice_urn(urn), self._now()

            def call() -> object:
                self._service.shutdown(presented, target, now=now)
                return True

            return call

        return await self._call("Shutdown", caller, read)


# Out of the call


def _described(described: Described, compressed: bool = False, operational: bool = True) -> dict[str, object]:
    return {
        "geni_rspec": packed(described.manifest) if compressed else described.manifest,
        "geni_urn": str(described.slice),
        "geni_slivers": _slivers(described.slivers, operational=operational),
    }


def _slivers(states: Iterable[SliverState], *, operational: bool = True) -> list[dict[str, str]]:
    return [_sliver(state, operational) for state in states]


def _sliver(state: SliverState, operational: bool) -> dict[str, str]:
    struct = {
        "geni_sliver_urn": str(state.urn),
        "geni_allocation_status": state.allocation.value,
        "geni_expires": wire_time(state.expires_at),
        "geni_error": state.error,  # always there: tools read it without asking
    }
    if operational:
        struct["geni_operational_status"] = state.operational.value
    return struct
