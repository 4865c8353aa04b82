"""The SFA registry over XML-RPC, as `sfi` and SFAWrap peers speak it. Translation only.

Errors are faults here, with the numbers of the GENI list: that is what the peers expect of a registry. Argument orders
are those of SFAWrap since release 1.0 (note: the name comes before the credentials in Resolve, List and Remove).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from xmlrpc.client import DateTime, Fault

import structlog
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from credentials import GID, URN, BadGID, BadName
from sfa_am.authority import Record, Registry, Wanted
from sfa_am.errors import AMError, BadArgs, Forbidden
from sfa_am.wire import arguments
from sfa_am.wire.xmlrpc import Caller, Door

log = structlog.get_logger()

T = TypeVar("T")

MOST_NAMES = 200
"""Resolved in one call; who wants more lists the authority."""


class RegistryDoor(Door):
    """The registry's methods."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        pool: ThreadPool,
        registry: Registry,
        *,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(reactor, pool)
        self._registry = registry
        self._now = now

    async def xmlrpc_GetVersion(self, caller: Caller, *sent: object) -> dict[str, object]:  # noqa: N802
        """Who we are."""
        urn = self._registry.urn
        return {"interface": "registry", "sfa": 3, "geni_api": 3, "hrn": urn.hrn, "urn": str(urn), "peers": {}}

    async def xmlrpc_get_trusted_certs(self, caller: Caller, *sent: object) -> list[str]:
        """The roots trusted here."""
        return await self._call("get_trusted_certs", caller, lambda: list(self._registry.trusted_roots()))

    async def xmlrpc_GetSelfCredential(self, caller: Caller, *sent: object) -> str:  # noqa: N802
        """The first credential of a user: (certificate, name[, type])."""

        def call() -> str:
            certificate, name, *_ = arguments.expect("GetSelfCredential", sent, ("cert", "xrn", "type"), optional=1)
            try:
                shown = GID.parse(arguments.text(certificate, "cert"))
            except BadGID as e:
                raise BadArgs(f"cert: {e}") from e
            if not shown.same_key(caller.gid):
                raise Forbidden("cert is not the certificate that this connection was made with")
            return self._registry.self_credential(caller.gid, _urn(name, "user"), now=self._now())

        return await self._call("GetSelfCredential", caller, call)

    async def xmlrpc_GetCredential(self, caller: Caller, *sent: object) -> str:  # noqa: N802
        """(credentials, name[, type])."""

        def call() -> str:
            creds, name, kind = arguments.expect("GetCredential", sent, ("creds", "xrn", "type"), optional=1)
            urn = _urn(name, kind if isinstance(kind, str) and kind else "slice")
            return self._registry.credential(caller.gid, _documents(creds), urn, now=self._now())

        return await self._call("GetCredential", caller, call)

    async def xmlrpc_Resolve(self, caller: Caller, *sent: object) -> list[dict[str, Any]]:  # noqa: N802
        """(names, credentials[, options]). An HRN may be a user, a slice or an authority: all are looked for."""

        def call() -> list[dict[str, Any]]:
            names, creds, _ = arguments.expect("Resolve", sent, ("xrns", "creds", "options"), optional=1)
            wanted = arguments.texts(names, "xrns")
            if len(wanted) > MOST_NAMES:
                raise BadArgs(f"{len(wanted)} names in one call; at most {MOST_NAMES} are resolved")
            urns = [urn for name in wanted for urn in _possible(name)]
            records = self._registry.resolve(caller.gid, _documents(creds), urns, now=self._now())
            return [_record(record) for record in records]

        return await self._call("Resolve", caller, call)

    async def xmlrpc_List(self, caller: Caller, *sent: object) -> list[dict[str, Any]]:  # noqa: N802
        """(authority, credentials[, options])."""

        def call() -> list[dict[str, Any]]:
            name, creds, _ = arguments.expect("List", sent, ("xrn", "creds", "options"), optional=1)
            urn = _urn(name, "authority")
            records = self._registry.list_records(caller.gid, _documents(creds), urn, now=self._now())
            return [_record(record) for record in records]

        return await self._call("List", caller, call)

    async def xmlrpc_Register(self, caller: Caller, *sent: object) -> str:  # noqa: N802
        """(record, credentials) -> GID."""

        def call() -> str:
            record, creds = arguments.expect("Register", sent, ("record", "creds"))
            return self._registry.register(caller.gid, _documents(creds), _wanted(record), now=self._now())

        return await self._call("Register", caller, call)

    async def xmlrpc_Update(self, caller: Caller, *sent: object) -> int:  # noqa: N802
        """(record, credentials) -> 1."""

        def call() -> int:
            record, creds = arguments.expect("Update", sent, ("record", "creds"))
            self._registry.update(caller.gid, _documents(creds), _wanted(record), now=self._now())
            return 1

        return await self._call("Update", caller, call)

    async def xmlrpc_Remove(self, caller: Caller, *sent: object) -> int:  # noqa: N802
        """(name, credentials, type) -> 1."""

        def call() -> int:
            name, creds, kind = arguments.expect("Remove", sent, ("xrn", "creds", "type"))
            urn = _urn_of_type(name, arguments.text(kind, "type"))
            self._registry.remove(caller.gid, _documents(creds), urn, now=self._now())
            return 1

        return await self._call("Remove", caller, call)

    async def _call(self, name: str, caller: Caller, call: Callable[[], T]) -> T:
        try:
            value = await self.off_reactor(call)
        except AMError as refusal:
            log.info("refused", call=name, code=refusal.geni_code, reason=str(refusal))
            ascii_only = str(refusal).encode("ascii", "backslashreplace").decode()
            raise Fault(refusal.geni_code, f"{ascii_only} [request {caller.request_id}]") from refusal
        log.info("done", call=name)
        return value


def _documents(value: object) -> tuple[str, ...]:
    return arguments.credentials(value if isinstance(value, list) else [value])


def _urn(value: object, kind: str) -> URN:
    name = arguments.text(value, "name")
    try:
        return URN.parse(name) if name.lower().startswith("urn:") else URN.from_hrn(name, kind)
    except BadName as e:
        raise BadArgs(f"{name!r:.100}: {e}") from e


def _urn_of_type(value: object, kind: str) -> URN:
    """As `_urn`, where a wrong guess would change or delete something else than was meant."""
    urn = _urn(value, kind)
    if urn.type != kind.partition("+")[0]:
        raise BadArgs(f"{urn} is not of type {kind!r:.40}")
    return urn


def _possible(name: str) -> list[URN]:
    authority = _urn(name, "authority")
    if name.lower().startswith("urn:") or len(authority.labels) < 2:
        return [authority]
    return [_urn(name, "user"), _urn(name, "slice"), authority]


def _wanted(value: object) -> Wanted:
    """A record as SFA clients send it. Lists under either of their two names; both mean the same."""
    if not isinstance(value, dict):
        raise BadArgs("record must be a struct")
    kind = arguments.text(value.get("type"), "record.type")
    name = value.get("urn") or value.get("hrn")
    keys = _either(value, "reg-keys", "keys")
    people = _either(value, "reg-researchers", "researcher")
    expires = value.get("expires")
    return Wanted(
        urn=_urn_of_type(name, kind),
        email=_text(value, "email"),
        keys=None if keys is None else tuple(key.strip() for key in arguments.texts(keys, "record.keys")),
        role=_text(value, "role"),
        description=_text(value, "description"),
        members=None
        if people is None
        else tuple(_urn(p, "user") for p in arguments.texts(people, "record.researcher")),
        expires_at=None if expires in (None, "") else arguments.moment(expires, "record.expires"),
    )


def _either(record: Mapping[str, Any], first: str, second: str) -> object:
    return record[first] if first in record else record.get(second)


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    return None if value is None else arguments.text(value, f"record.{name}")


def _record(record: Record) -> dict[str, Any]:
    """A record in the field's words."""
    struct: dict[str, Any] = {
        "hrn": record.urn.hrn,
        "type": record.urn.type,
        "reg-urn": str(record.urn),
        "geni_urn": str(record.urn),
        "authority": record.urn.authority.replace(":", "."),
        "gid": record.gid,
        "peer_authority": None,
    }
    if record.created_at is not None:
        struct["date_created"] = DateTime(record.created_at.astimezone(UTC))
    if record.urn.type == "user":
        slices = [urn.hrn for urn in record.slices]
        struct |= {"email": record.email, "reg-keys": list(record.keys), "role": record.role, "reg-slices": slices}
    if record.urn.type == "slice":
        struct |= {"reg-researchers": [urn.hrn for urn in record.members], "description": record.description}
        if record.expires_at is not None:
            struct["expires"] = record.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return struct
