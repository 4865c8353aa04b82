"""Both versions of the AM API at one address, for tools that know a host and a port only."""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool
from twisted.web.xmlrpc import NoSuchFunction

from sfa_am.wire.am_answers import AggregateDoor
from sfa_am.wire.xmlrpc import Caller, Door

Method = Callable[..., Coroutine[Any, Any, object]]


class EitherVersion(Door):
    """Chooses by the shape of the call: most methods are of one version only.

    Those of both are told apart by what only version 2 sends: credentials as bare text, or a slice in ListResources.
    """

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool, v2: AggregateDoor, v3: AggregateDoor) -> None:
        super().__init__(reactor, pool)
        self._v2 = v2
        self._v3 = v3

    def lookupProcedure(self, procedurePath: str) -> Method:  # noqa: N802, N803 - Twisted's names
        """The method of this name. Raises NoSuchFunction: neither version has it."""
        in_v2 = procedurePath in self._v2.listProcedures()
        in_v3 = procedurePath in self._v3.listProcedures()
        if not (in_v2 or in_v3):
            raise NoSuchFunction(0, procedurePath)

        async def call(caller: Caller, *sent: object) -> object:
            is_older = in_v2 and (not in_v3 or _is_version_2(procedurePath, sent))
            method: Method = (self._v2 if is_older else self._v3).lookupProcedure(procedurePath)
            return await method(caller, *sent)

        return call

    def listProcedures(self) -> list[str]:  # noqa: N802 - Twisted's name
        """The methods of both."""
        return sorted({*self._v2.listProcedures(), *self._v3.listProcedures()})


def _is_version_2(method: str, sent: tuple[object, ...]) -> bool:
    match method, sent:
        case "ListResources", (_, {"geni_slice_urn": _}):
            return True
        case ("ListResources", ([first, *_], *_)) | ("Shutdown", (_, [first, *_], *_)):
            return not isinstance(first, dict)
    return False
