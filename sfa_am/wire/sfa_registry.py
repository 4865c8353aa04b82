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
from sfa_am.authority.records import PI, USER
from sfa_am.errors import AlreadyExists, AMError, BadArgs, Forbidden, NotFound
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
        hostname: str,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(reactor, pool)
        self._registry = registry
        self._hostname = hostname
        self._now = now

    async def xmlrpc_GetVersion(self, caller: Caller, *sent: object) -> dict[str, object]:  # noqa: N802
        """Who we are."""
        urn = self._registry.urn
        return {
            "interface": "registry",
            "sfa": 3,
            "geni_api": 3,
            "hrn": urn.hrn,
            "urn": str(urn),
            "peers": {},
            "hostname": self._hostname,
        }

    async def xmlrpc_get_trusted_certs(self, caller: Caller, *sent: object) -> list[str]:
        """([credential]) -> the roots trusted here. They are public, so the credential is not looked at."""

        def call() -> list[str]:
            arguments.expect("get_trusted_certs", sent, ("cred",), optional=1)
            return list(self._registry.trusted_roots())

        return await self._call("get_trusted_certs", caller, call)

    async def xmlrpc_GetSelfCredential(self, caller: Caller, *sent: object) -> str:  # noqa: N802
        """The first credential of a user: (certificate, name[, type])."""

        def call() -> str:
            certificate, name, *_ = arguments.expect("GetSelfCredential", sent, ("cert", "xrn", "type"), optional=1)
            shown = _certificate(certificate)
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

    async def xmlrpc_GetGids(self, caller: Caller, *sent: object) -> list[dict[str, Any]]:  # noqa: N802
        """(names, credentials) -> certificates alone."""

        def call() -> list[dict[str, Any]]:
            names, creds = arguments.expect("GetGids", sent, ("xrns", "creds"))
            records = self._registry.gids(caller.gid, _documents(creds), _names(names), now=self._now())
            return [{"hrn": one.urn.hrn, "type": one.urn.type, "gid": one.gid} for one in records]

        return await self._call("GetGids", caller, call)

    async def xmlrpc_CreateGid(self, caller: Caller, *sent: object) -> str:  # noqa: N802
        """(credentials, name[, certificate]) -> a certificate of the name that binds the other one's key."""

        def call() -> str:
            creds, name, shown = arguments.expect("CreateGid", sent, ("creds", "xrn", "cert"), optional=1)
            written = arguments.text(name, "xrn")
            urn = _urn(written, "authority") if written.lower().startswith("urn:") else _possible(written)[0]
            certificate = None if shown in (None, "", {}) else _certificate(shown)
            return self._registry.certify(caller.gid, _documents(creds), urn, certificate, now=self._now())

        return await self._call("CreateGid", caller, call)

    async def xmlrpc_Resolve(self, caller: Caller, *sent: object) -> list[dict[str, Any]]:  # noqa: N802
        """(names, credentials[, options]). An HRN may be anything: a user, a slice, a node, an authority."""

        def call() -> list[dict[str, Any]]:
            names, creds, options = arguments.expect("Resolve", sent, ("xrns", "creds", "options"), optional=1)
            details = arguments.flag(arguments.options({} if options is None else options), "details")
            records = self._registry.resolve(caller.gid, _documents(creds), _names(names), now=self._now())
            return [_record(record, details) for record in records]

        return await self._call("Resolve", caller, call)

    async def xmlrpc_List(self, caller: Caller, *sent: object) -> list[dict[str, Any]]:  # noqa: N802
        """(authority, credentials[, options]). With the option recursive, or a name ending in *, all below it too."""

        def call() -> list[dict[str, Any]]:
            name, creds, options = arguments.expect("List", sent, ("xrn", "creds", "options"), optional=1)
            written = arguments.text(name, "xrn")
            recursive = written.endswith("*") or arguments.flag(
                arguments.options({} if options is None else options), "recursive"
            )
            urn = _urn(written.rstrip("*").rstrip("."), "authority")
            records = self._registry.list_records(
                caller.gid, _documents(creds), urn, recursive=recursive, now=self._now()
            )
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
            number, words = _fault(refusal)
            log.info("refused", call=name, code=number, reason=str(refusal))
            ascii_only = str(refusal).encode("ascii", "backslashreplace").decode()
            raise Fault(number, f": {name}: {words}{ascii_only} [request {caller.request_id}]") from refusal
        log.info("done", call=name)
        return value


def _fault(refusal: AMError) -> tuple[int, str]:
    """Number and first words of a fault, which clients of the field look for."""
    match refusal:
        case NotFound():
            return 2, "Record not found: "
        case AlreadyExists():
            return 7, "Existing record: "
        case Forbidden():
            return refusal.geni_code, "Permission error: "
    return refusal.geni_code, ""


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


def _certificate(value: object) -> GID:
    try:
        return GID.parse(arguments.text(value, "cert"))
    except BadGID as e:
        raise BadArgs(f"cert: {e}") from e


def _names(value: object) -> list[URN]:
    """All that the names in a call may mean."""
    wanted = arguments.texts(value, "xrns")
    if len(wanted) > MOST_NAMES:
        raise BadArgs(f"{len(wanted)} names in one call; at most {MOST_NAMES} are looked for")
    return [urn for name in wanted for urn in _possible(name)]


def _possible(name: str) -> list[URN]:
    authority = _urn(name, "authority")
    if name.lower().startswith("urn:") or len(authority.labels) < 2:
        return [authority]
    return [_urn(name, "user"), _urn(name, "slice"), _urn(name, "node"), authority]


def _wanted(value: object) -> Wanted:
    """A record as SFA clients send it. Lists under either of their two names; both mean the same."""
    if not isinstance(value, dict):
        raise BadArgs("record must be a struct")
    kind = arguments.text(value.get("type"), "record.type")
    name = value.get("urn") or value.get("hrn")
    keys = _either(value, "reg-keys", "keys")
    people = _either(value, "reg-researchers", "researcher")
    pis = _either(value, "reg-pis", "pi")
    expires = value.get("expires")
    return Wanted(
        urn=_urn_of_type(name, kind),
        email=_text(value, "email"),
        keys=None if keys is None else tuple(key.strip() for key in arguments.texts(keys, "record.keys")),
        role=_text(value, "role"),
        description=_text(value, "name" if kind.startswith("authority") and "name" in value else "description"),
        members=_people(people, "record.reg-researchers"),
        pis=_people(pis, "record.reg-pis"),
        hostname=_text(value, "hostname"),
        expires_at=None if expires in (None, "") else arguments.moment(expires, "record.expires"),
    )


def _people(value: object, what: str) -> tuple[URN, ...] | None:
    return None if value is None else tuple(_urn(one, "user") for one in arguments.texts(value, what))


def _either(record: Mapping[str, Any], first: str, second: str) -> object:
    return record[first] if first in record else record.get(second)


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    return None if value is None else arguments.text(value, f"record.{name}")


def _record(record: Record, details: bool = False) -> dict[str, Any]:
    """A record in the field's words. `details`: with the names under which portals look for the same."""
    urn = record.urn
    struct: dict[str, Any] = {
        "hrn": urn.hrn,
        "type": urn.type,
        "classtype": urn.type,
        "reg-urn": str(urn),
        "geni_urn": str(urn),
        "authority": _authority_hrn(urn),
        "gid": record.gid,
        "peer_authority": None,
    }
    if details:
        struct["geni_certificate"] = record.gid
    if record.created_at is not None:
        struct["date_created"] = DateTime(record.created_at.astimezone(UTC))
    match urn.type:
        case "user":
            pi_of = [one.hrn for one in record.pi_of]
            own = _authority_hrn(urn)
            struct |= {
                "email": record.email,
                "reg-keys": list(record.keys),
                "reg-slices": [one.hrn for one in record.slices],
                "reg-pi-authorities": pi_of,
                "role": PI if own in pi_of else USER,
            }
        case "slice":
            struct |= {"reg-researchers": [one.hrn for one in record.members], "description": record.description}
        case "authority":
            struct |= {"reg-pis": [one.hrn for one in record.pis], "name": record.description}
        case "node":
            struct |= {"hostname": record.hostname}
    if record.expires_at is not None:
        struct["expires"] = record.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return struct


def _authority_hrn(urn: URN) -> str:
    """The authority that a record is in; an authority is in the one above it."""
    name = urn.authority.rpartition(":")[0] if urn.type == "authority" else urn.authority
    return URN(name, "authority", "sa").hrn if name else ""
