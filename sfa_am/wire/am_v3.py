"""GENI AM API version 3 over XML-RPC: arguments to typed calls, outcomes to the API's triple. Translation only.

https://groups.geni.net/geni/wiki/GAPI_AM_API_V3 is the specification; where it leaves room, what clients do decides
(docs/reference/am-api.md).
"""

import base64
import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import structlog
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from credentials import URN
from rspec import PROTOGENI2
from sfa_am.errors import AMError, BadArgs, ServerError
from sfa_am.slices.desk import Presented
from sfa_am.slices.identity import read_urn
from sfa_am.slices.lease import wire_time
from sfa_am.slices.replies import Described, SliverState
from sfa_am.slices.service import AggregateService
from sfa_am.wire import arguments
from sfa_am.wire.xmlrpc import Caller, Door, marshal

log = structlog.get_logger()

Triple = dict[str, Any]
Call = Callable[[], object]

AM_TYPE = "sfa_am"
RSPEC = "http://www.geni.net/resources/rspec/3"


class AggregateV3(Door):
    """The ten methods. Each reads its arguments, runs one call of the service off the reactor, and answers."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        pool: ThreadPool,
        service: AggregateService,
        *,
        now: Callable[[], datetime],
        version: dict[str, object],
    ) -> None:
        """version: the value of GetVersion, made once: it depends on nothing that a call could change."""
        super().__init__(reactor, pool)
        self._service = service
        self._now = now
        self._version = marshal(({"geni_api": 3, "code": _code(0), "value": version, "output": ""},))

    async def xmlrpc_GetVersion(self, caller: Caller, *sent: object) -> bytes:  # noqa: N802
        """What we are and speak. Needs no credential."""
        return self._version

    async def xmlrpc_ListResources(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """The advertisement."""

        def read() -> Call:
            creds, opts = arguments.expect("ListResources", sent, ("credentials", "options"), optional=1)
            who, given = _who(caller, creds, opts)
            arguments.rspec_version(given)
            available, packed = arguments.flag(given, "geni_available"), arguments.flag(given, "geni_compressed")
            now = self._now()

            def call() -> str:
                advertised = self._service.list_resources(who, available_only=available, now=now)
                return advertised.packed if packed else advertised.text

            return call

        return await self._call("ListResources", caller, read)

    async def xmlrpc_Describe(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """A slice's manifest and the states of its slivers."""

        def read() -> Call:
            urns, creds, opts = arguments.expect("Describe", sent, ("urns", "credentials", "options"), optional=1)
            (who, given), named = _who(caller, creds, opts), arguments.texts(urns, "urns")
            arguments.rspec_version(given)
            packed, now = arguments.flag(given, "geni_compressed"), self._now()
            return lambda: _described(self._service.describe(who, named, now=now), packed)

        return await self._call("Describe", caller, read)

    async def xmlrpc_Allocate(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Reserve what a request describes."""

        def read() -> Call:
            names = ("slice_urn", "credentials", "rspec", "options")
            urn, creds, rspec, opts = arguments.expect("Allocate", sent, names, optional=1)
            (who, given), slice_urn = _who(caller, creds, opts), _slice_urn(urn)
            document, end_at, now = arguments.text(rspec, "rspec"), arguments.end_time(given), self._now()
            return lambda: _described(
                self._service.allocate(who, slice_urn, document, end_at=end_at, now=now), operational=False
            )

        return await self._call("Allocate", caller, read)

    async def xmlrpc_Renew(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Move the end of leases."""

        def read() -> Call:
            names = ("urns", "credentials", "expiration_time", "options")
            urns, creds, end, opts = arguments.expect("Renew", sent, names, optional=1)
            (who, given), named = _who(caller, creds, opts), arguments.texts(urns, "urns")
            end_at, now = arguments.moment(end, "expiration_time"), self._now()
            alap, best_effort = arguments.flag(given, "geni_extend_alap"), arguments.flag(given, "geni_best_effort")
            return lambda: _slivers(
                self._service.renew(who, named, end_at, as_long_as_possible=alap, best_effort=best_effort, now=now)
            )

        return await self._call("Renew", caller, read)

    async def xmlrpc_Provision(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Have allocated slivers made."""

        def read() -> Call:
            urns, creds, opts = arguments.expect("Provision", sent, ("urns", "credentials", "options"), optional=1)
            (who, given), named = _who(caller, creds, opts), arguments.texts(urns, "urns")
            arguments.rspec_version(given)
            users, end_at, now = arguments.users(given) or [], arguments.end_time(given), self._now()
            best_effort = arguments.flag(given, "geni_best_effort")
            return lambda: _described(
                self._service.provision(who, named, users=users, end_at=end_at, best_effort=best_effort, now=now)
            )

        return await self._call("Provision", caller, read)

    async def xmlrpc_Status(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """The states of slivers."""

        def read() -> Call:
            urns, creds, opts = arguments.expect("Status", sent, ("urns", "credentials", "options"), optional=1)
            (who, _), named, now = _who(caller, creds, opts), arguments.texts(urns, "urns"), self._now()

            def call() -> object:
                slice_urn, states = self._service.status(who, named, now=now)
                return {"geni_urn": str(slice_urn), "geni_slivers": _slivers(states)}

            return call

        return await self._call("Status", caller, read)

    async def xmlrpc_PerformOperationalAction(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Start, stop, restart, reload, update users."""

        def read() -> Call:
            names = ("urns", "credentials", "action", "options")
            urns, creds, what, opts = arguments.expect("PerformOperationalAction", sent, names, optional=1)
            (who, given), named = _who(caller, creds, opts), arguments.texts(urns, "urns")
            action, users, now = arguments.text(what, "action"), arguments.users(given), self._now()
            best_effort = arguments.flag(given, "geni_best_effort")
            return lambda: _slivers(
                self._service.act(who, named, action, users=users, best_effort=best_effort, now=now)
            )

        return await self._call("PerformOperationalAction", caller, read)

    async def xmlrpc_Delete(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """End slivers."""

        def read() -> Call:
            urns, creds, opts = arguments.expect("Delete", sent, ("urns", "credentials", "options"), optional=1)
            (who, given), named = _who(caller, creds, opts), arguments.texts(urns, "urns")
            best_effort, now = arguments.flag(given, "geni_best_effort"), self._now()
            return lambda: _slivers(
                self._service.delete(who, named, best_effort=best_effort, now=now), operational=False
            )

        return await self._call("Delete", caller, read)

    async def xmlrpc_Shutdown(self, caller: Caller, *sent: object) -> Triple:  # noqa: N802
        """Stop a slice for an operator to look at."""

        def read() -> Call:
            urn, creds, opts = arguments.expect("Shutdown", sent, ("slice_urn", "credentials", "options"), optional=1)
            (who, _), slice_urn, now = _who(caller, creds, opts), _slice_urn(urn), self._now()

            def call() -> object:
                self._service.shutdown(who, slice_urn, now=now)
                return True

            return call

        return await self._call("Shutdown", caller, read)

    async def _call(self, name: str, caller: Caller, read: Callable[[], Call]) -> Triple:
        """Read the arguments and do the call, both in one thread, and put the outcome in the triple."""
        try:
            value = await self.off_reactor(lambda: read()())
        except AMError as refusal:
            log.info("refused", call=name, code=refusal.geni_code, reason=str(refusal))
            return _refusal(refusal.geni_code, str(refusal), caller, refusal.value)
        except Exception:  # the last boundary: nobody outside is to see a traceback
            log.exception("a call failed", call=name)
            return _refusal(ServerError.geni_code, "internal error: please report it to the operator", caller, "")
        log.info("done", call=name)
        return {"geni_api": 3, "code": _code(0), "value": value, "output": ""}


def get_version(url: str, *, urn: URN, title: str, other_versions: dict[str, str]) -> dict[str, object]:
    """The value of GetVersion. `url`: of this API; `other_versions`: API version -> URL."""
    rspec = {"type": "GENI", "version": "3", "namespace": RSPEC}
    return {
        "geni_api": 3,
        "geni_api_versions": {**other_versions, "3": url},
        "geni_request_rspec_versions": [
            {**rspec, "schema": f"{RSPEC}/request.xsd", "extensions": []},
            {
                "type": "ProtoGENI",
                "version": "2",
                "namespace": PROTOGENI2,
                "schema": f"{PROTOGENI2}/request.xsd",
                "extensions": [],
            },
        ],
        "geni_ad_rspec_versions": [
            {
                **rspec,
                "schema": f"{RSPEC}/ad.xsd",
                "extensions": ["http://www.geni.net/resources/rspec/ext/opstate/1"],
            }
        ],
        "geni_credential_types": [
            {"geni_type": kind, "geni_version": version} for kind, version in arguments.CREDENTIAL_TYPES
        ],
        "geni_handles_speaksfor": True,
        "geni_single_allocation": 0,  # a number, not a boolean: old tools insist
        "geni_allocate": "geni_many",
        "geni_am_type": AM_TYPE,
        "urn": str(urn),
        "hrn": urn.hrn,
        "interface": "aggregate",
        "title": title,
    }


# Into the call


def _who(caller: Caller, credentials: object, options: object) -> tuple[Presented, Mapping[str, Any]]:
    """Who calls, and the options: those say for whom."""
    given = arguments.options(options)
    who = Presented(
        caller=caller.gid,
        documents=arguments.credentials(credentials),
        request_id=caller.request_id,
        speaking_for=arguments.speaking_for(given),
    )
    return who, given


def _slice_urn(value: object) -> URN:
    urn = read_urn(arguments.text(value, "slice_urn"), "slice_urn")
    if urn.type != "slice":
        raise BadArgs(f"slice_urn {urn} names a {urn.type}, not a slice")
    return urn


# Out of the call


def _described(described: Described, packed: bool = False, operational: bool = True) -> dict[str, object]:
    return {
        "geni_rspec": _packed(described.manifest, packed),
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


def _packed(rspec: str, wanted: bool) -> str:
    """zlib and base64, as the option geni_compressed asks."""
    return base64.b64encode(zlib.compress(rspec.encode(), 6)).decode() if wanted else rspec


def _code(geni_code: int) -> dict[str, object]:
    return {"geni_code": geni_code, "am_type": AM_TYPE, "am_code": geni_code}


def _refusal(geni_code: int, sentence: str, caller: Caller, value: object) -> Triple:
    """An error: its code, its sentence, and the number under which the log has the rest."""
    ascii_only = sentence.encode("ascii", "backslashreplace").decode()
    return {
        "geni_api": 3,
        "code": _code(geni_code),
        "value": value,
        "output": f"{ascii_only} [request {caller.request_id}]",
    }
