"""The service registry: where everything is. All of it is public. Translation only."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from credentials import URN
from sfa_am.authority.services import (
    AGGREGATE_MANAGER,
    MEMBER_AUTHORITY,
    SLICE_AUTHORITY,
    TYPES,
    ServiceRegistry,
    ServiceRow,
)
from sfa_am.errors import BadArgs
from sfa_am.wire import arguments
from sfa_am.wire.chapi.answers import FederationDoor, take, urn
from sfa_am.wire.chapi.fields import SERVICE
from sfa_am.wire.chapi.lookup import Query, Row
from sfa_am.wire.xmlrpc import Caller


class ServiceRegistryDoor(FederationDoor):
    """The service registry's methods."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        pool: ThreadPool,
        services: ServiceRegistry,
        *,
        now: Callable[[], datetime],
        version: dict[str, object],
    ) -> None:
        super().__init__(reactor, pool, now=now)
        self._services = services
        self._version = version

    async def xmlrpc_get_version(self, caller: Caller, *sent: object) -> object:
        """What is spoken here."""
        return await self.answer("get_version", caller, lambda: self._version)

    async def xmlrpc_get_trust_roots(self, caller: Caller, *sent: object) -> object:
        """The certificates of all roots trusted here."""
        return await self.answer("get_trust_roots", caller, self._services.trusted_roots)

    async def xmlrpc_lookup(self, caller: Caller, *sent: object) -> object:
        """(type, credentials, options); services are the one type."""

        def call() -> object:
            kind, *rest = take("lookup", sent, "type")
            if arguments.text(kind, "type").upper() != SERVICE.kind:
                raise BadArgs(f"type {arguments.shown(kind)} is not kept here; {SERVICE.kind} is")
            return self._lookup(None, rest)

        return await self.answer("lookup", caller, call)

    async def xmlrpc_lookup_aggregates(self, caller: Caller, *sent: object) -> object:
        """([credentials,] options)."""
        return await self.answer("lookup_aggregates", caller, lambda: self._lookup(AGGREGATE_MANAGER, sent))

    async def xmlrpc_lookup_slice_authorities(self, caller: Caller, *sent: object) -> object:
        """([credentials,] options)."""
        return await self.answer("lookup_slice_authorities", caller, lambda: self._lookup(SLICE_AUTHORITY, sent))

    async def xmlrpc_lookup_member_authorities(self, caller: Caller, *sent: object) -> object:
        """([credentials,] options)."""
        return await self.answer("lookup_member_authorities", caller, lambda: self._lookup(MEMBER_AUTHORITY, sent))

    async def xmlrpc_get_services(self, caller: Caller, *sent: object) -> object:
        """All of them."""
        return await self.answer("get_services", caller, lambda: self._lookup(None, sent))

    async def xmlrpc_lookup_authorities_for_urns(self, caller: Caller, *sent: object) -> object:
        """(URNs) or (options with `urns`) -> the URL of the service that knows each."""

        def call() -> object:
            given, *_ = arguments.expect("lookup_authorities_for_urns", sent, ("urns", "options"), optional=1)
            named = arguments.texts(given.get("urns", []) if isinstance(given, dict) else given, "urns")
            asked = {name: urn(name, "urns") for name in named}
            found = self._services.answering_for(list(asked.values()))
            return {name: found[one] for name, one in asked.items() if one in found}

        return await self.answer("lookup_authorities_for_urns", caller, call)

    def _lookup(self, kind: str | None, sent: Sequence[Any]) -> list[dict[str, object]]:
        """sent: options last, whatever comes before them."""
        query = Query.read(SERVICE, arguments.options(sent[-1] if sent and sent[-1] else {}))
        rows = [_row(one) for one in self._services.everything() if kind in (None, one.type)]
        return [query.shape(row) for row in query.select(rows)]


def version(url: str, name: URN) -> dict[str, object]:
    """The answer to get_version."""
    return {
        "VERSION": "2",
        "URN": str(name),
        "SERVICES": [SERVICE.kind],
        "SERVICE_TYPES": list(TYPES),
        "TYPES": list(TYPES),  # its name in drafts, which some clients read
        "API_VERSIONS": {"2": url},
        "FIELDS": SERVICE.supplementary(),
    }


def _row(one: ServiceRow) -> Row:
    return {
        "SERVICE_URN": one.urn,
        "SERVICE_URL": one.url,
        "SERVICE_TYPE": one.type,
        "SERVICE_CERT": one.certificate,
        "SERVICE_NAME": one.name,
        "SERVICE_DESCRIPTION": one.description,
    }
