"""The triple in which both versions of the AM API answer: code, value, output. Outcomes in, structs out."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from credentials import URN
from sfa_am.errors import AMError, BadArgs, Reason, ServerError
from sfa_am.slices.desk import Presented
from sfa_am.slices.identity import read_urn
from sfa_am.slices.service import AggregateService
from sfa_am.wire import arguments
from sfa_am.wire.am_version import AM_TYPE, About, get_version
from sfa_am.wire.xmlrpc import Caller, Door, marshal

log = structlog.get_logger()

Triple = dict[str, Any]
Call = Callable[[], object]


class AggregateDoor(Door):
    """What the versions share. A method reads its arguments, runs one call of the service off the reactor, answers."""

    version: int

    def __init__(
        self,
        reactor: IReactorFromThreads,
        pool: ThreadPool,
        service: AggregateService,
        about: About,
        *,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(reactor, pool)
        self._service = service
        self._now = now
        # Made once: it depends on nothing that a call could change.
        self._get_version = marshal((self._triple(0, get_version(about, self.version), ""),))

    async def xmlrpc_GetVersion(self, caller: Caller, *sent: object) -> bytes:  # noqa: N802
        """What we are and speak. Needs no credential; clients of version 1 find their `geni_api` beside the value."""
        return self._get_version

    async def _call(self, name: str, caller: Caller, read: Callable[[], Call]) -> Triple:
        """Read the arguments and do the call, both in one thread, and put the outcome in the triple."""
        try:
            value = await self.off_reactor(lambda: read()())
        except AMError as refusal:
            log.info("refused", call=name, code=refusal.geni_code, reason=str(refusal))
            return self._refusal(refusal.geni_code, str(refusal), caller, _hint(refusal))
        except Exception:  # the last boundary: nobody outside is to see a traceback
            log.exception("a call failed", call=name)
            return self._refusal(ServerError.geni_code, "internal error: please report it to the operator", caller, "")
        log.info("done", call=name)
        return self._triple(0, value, "")

    def _refusal(self, geni_code: int, sentence: str, caller: Caller, value: object) -> Triple:
        """An error: its code, its sentence, and the number under which the log has the rest."""
        ascii_only = sentence.encode("ascii", "backslashreplace").decode()
        return self._triple(geni_code, value, f"{ascii_only} [request {caller.request_id}]")

    def _triple(self, geni_code: int, value: object, output: str) -> Triple:
        code = {"geni_code": geni_code, "am_type": AM_TYPE, "am_code": geni_code}
        return {"geni_api": self.version, "code": code, "value": value, "output": output}


def who(caller: Caller, credentials: object, options: object) -> tuple[Presented, Mapping[str, Any]]:
    """Who calls, and the options: those say for whom."""
    given = arguments.options(options)
    presented = Presented(
        caller=caller.gid,
        documents=arguments.credentials(credentials),
        request_id=caller.request_id,
        speaking_for=arguments.speaking_for(given),
    )
    return presented, given


def slice_urn(value: object) -> URN:
    """The argument that names a slice. Raises BadArgs."""
    urn = read_urn(arguments.text(value, "slice_urn"), "slice_urn")
    if urn.type != "slice":
        raise BadArgs(f"slice_urn {urn} names a {urn.type}, not a slice")
    return urn


def _hint(refusal: AMError) -> object:
    """What stands in `value` beside a refusal: what would have been granted, or else the reasons for programs."""
    if refusal.value != "" or not refusal.reasons:
        return refusal.value
    return {"sfa_reasons": _reasons(refusal.reasons)}


def _reasons(reasons: Sequence[Reason]) -> list[dict[str, object]]:
    return [
        {
            "constraint": one.constraint,
            "where": _ascii(one.where),
            "wanted": _ascii(one.wanted),
            "available": _ascii(one.available),
            "nearest": _ascii(one.nearest),
            "reasons": _reasons(one.reasons),
        }
        for one in reasons
    ]


def _ascii(value: int | str) -> int | str:
    """Numbers beyond 32 bits as text: XML-RPC has none."""
    if isinstance(value, int):
        return value if -(2**31) <= value < 2**31 else str(value)
    return value.encode("ascii", "backslashreplace").decode()
