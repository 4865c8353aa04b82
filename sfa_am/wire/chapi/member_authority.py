"""The member authority's door: members and their SSH keys. Translation only.

Both the API's generic calls (`lookup`, `create`, `update`, `delete` with a type) and those of its first version
(`lookup_public_member_info`, `create_key`, ...) end in the same methods.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from credentials import URN
from sfa_am.authority.member_authority import Key, MemberAuthority, MemberInfo
from sfa_am.errors import BadArgs, Unsupported
from sfa_am.wire import arguments
from sfa_am.wire.chapi.answers import CREDENTIAL_TYPES, FederationDoor, fields_of, sfa_credential, shown, take, urn
from sfa_am.wire.chapi.fields import KEY, MEMBER, OF_MEMBER_AUTHORITY, Protect, Value
from sfa_am.wire.chapi.lookup import Query, Row, indexed, whole
from sfa_am.wire.xmlrpc import Caller

_IDENTIFYING = frozenset(field.name for field in MEMBER.fields if field.protect is Protect.IDENTIFYING)
_PUBLIC = frozenset(field.name for field in MEMBER.fields if field.protect is Protect.PUBLIC)


class MemberAuthorityDoor(FederationDoor):
    """The member authority's methods."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        pool: ThreadPool,
        members: MemberAuthority,
        *,
        now: Callable[[], datetime],
        version: dict[str, object],
    ) -> None:
        super().__init__(reactor, pool, now=now)
        self._members = members
        self._version = version

    async def xmlrpc_get_version(self, caller: Caller, *sent: object) -> object:
        """What is spoken here."""
        return await self.answer("get_version", caller, lambda: self._version)

    async def xmlrpc_get_credentials(self, caller: Caller, *sent: object) -> object:
        """(member, credentials, options) -> the credential of the caller about themselves."""

        def call() -> object:
            name, given, opts = take("get_credentials", sent, "member_urn")
            member = urn(name, "member_urn")
            return sfa_credential(self._members.credential(shown(caller, given, opts), member, now=self._now()))

        return await self.answer("get_credentials", caller, call)

    # The generic calls

    async def xmlrpc_lookup(self, caller: Caller, *sent: object) -> object:
        """(type, credentials, options)."""

        def call() -> object:
            kind, given, opts = take("lookup", sent, "type")
            if _kind(kind) == MEMBER.kind:
                return self._lookup_members(caller, given, opts, _PUBLIC | _IDENTIFYING)
            query, rows = self._keys(caller, given, opts)
            return indexed(KEY, query, rows)

        return await self.answer("lookup", caller, call)

    async def xmlrpc_create(self, caller: Caller, *sent: object) -> object:
        """(type, credentials, options): keys are made here, members by the registry."""

        def call() -> object:
            kind, given, opts = take("create", sent, "type")
            if _kind(kind) == MEMBER.kind:
                raise Unsupported("members are registered by an operator here, or through the SFA registry")
            return self._create_key(caller, given, opts)

        return await self.answer("create", caller, call)

    async def xmlrpc_update(self, caller: Caller, *sent: object) -> object:
        """(type, name, credentials, options). Names are a member's URN and a key's KEY_ID."""

        def call() -> None:
            kind, name, given, opts = take("update", sent, "type", "urn")
            if _kind(kind) == MEMBER.kind:
                self._update_member(caller, name, given, opts)
            else:
                self._update_key(caller, None, name, given, opts)

        return await self.answer("update", caller, call)

    async def xmlrpc_delete(self, caller: Caller, *sent: object) -> object:
        """(type, name, credentials, options)."""

        def call() -> None:
            kind, name, given, opts = take("delete", sent, "type", "urn")
            if _kind(kind) == MEMBER.kind:
                raise Unsupported("members are removed by an operator here, or through the SFA registry")
            self._delete_key(caller, None, name, given, opts)

        return await self.answer("delete", caller, call)

    # Those of the first version

    async def xmlrpc_lookup_public_member_info(self, caller: Caller, *sent: object) -> object:
        """(credentials, options): what every member may know."""
        return await self._lookup_some("lookup_public_member_info", caller, sent, _PUBLIC)

    async def xmlrpc_lookup_identifying_member_info(self, caller: Caller, *sent: object) -> object:
        """(credentials, options): of those whom the caller may see more of than the name, and nobody else."""
        return await self._lookup_some("lookup_identifying_member_info", caller, sent, _IDENTIFYING)

    async def xmlrpc_lookup_public_identifying_member_info(self, caller: Caller, *sent: object) -> object:
        """(credentials, options): both."""
        return await self._lookup_some("lookup_public_identifying_member_info", caller, sent, _PUBLIC | _IDENTIFYING)

    async def xmlrpc_lookup_private_member_info(self, caller: Caller, *sent: object) -> object:
        """(credentials, options): nothing private is kept, so there are names without fields."""

        def call() -> object:
            given, opts = take("lookup_private_member_info", sent)
            query = Query.read(MEMBER, opts)
            self._members.insist_on_private(shown(caller, given, opts), named=query.urns("MEMBER_URN"), now=self._now())
            return self._lookup_members(caller, given, opts, frozenset())

        return await self.answer("lookup_private_member_info", caller, call)

    async def xmlrpc_lookup_login_info(self, caller: Caller, *sent: object) -> object:
        """(credentials, options): all there is, for portals of who leads the authority."""

        def call() -> object:
            given, opts = take("lookup_login_info", sent)
            self._members.insist_on_leading(shown(caller, given, opts), now=self._now())
            return self._lookup_members(caller, given, opts, _PUBLIC | _IDENTIFYING)

        return await self.answer("lookup_login_info", caller, call)

    async def xmlrpc_update_member_info(self, caller: Caller, *sent: object) -> object:
        """(member, credentials, options)."""

        def call() -> None:
            name, given, opts = take("update_member_info", sent, "member_urn")
            self._update_member(caller, name, given, opts)

        return await self.answer("update_member_info", caller, call)

    async def xmlrpc_create_key(self, caller: Caller, *sent: object) -> object:
        """(credentials, options)."""

        def call() -> object:
            given, opts = take("create_key", sent)
            return self._create_key(caller, given, opts)

        return await self.answer("create_key", caller, call)

    async def xmlrpc_update_key(self, caller: Caller, *sent: object) -> object:
        """(member, key id, credentials, options)."""

        def call() -> None:
            member, key_id, given, opts = take("update_key", sent, "member_urn", "key_id")
            self._update_key(caller, member, key_id, given, opts)

        return await self.answer("update_key", caller, call)

    async def xmlrpc_delete_key(self, caller: Caller, *sent: object) -> object:
        """(member, key id, credentials, options)."""

        def call() -> None:
            member, key_id, given, opts = take("delete_key", sent, "member_urn", "key_id")
            self._delete_key(caller, member, key_id, given, opts)

        return await self.answer("delete_key", caller, call)

    async def xmlrpc_lookup_keys(self, caller: Caller, *sent: object) -> object:
        """(credentials, options) -> the keys of each member. (`lookup` has each key under its id.)"""

        def call() -> object:
            query, rows = self._keys(caller, *take("lookup_keys", sent))
            found: dict[str, list[dict[str, object]]] = {}
            for row in query.select(rows):
                found.setdefault(str(row["KEY_MEMBER"]), []).append(query.shape(row))
            return found

        return await self.answer("lookup_keys", caller, call)

    # Inside

    async def _lookup_some(self, name: str, caller: Caller, sent: Sequence[object], fields: frozenset[str]) -> object:
        def call() -> object:
            given, opts = take(name, sent)
            return self._lookup_members(caller, given, opts, fields)

        return await self.answer(name, caller, call)

    def _lookup_members(
        self, caller: Caller, given: object, opts: Mapping[str, Any], fields: frozenset[str]
    ) -> dict[str, dict[str, object]]:
        query = Query.read(MEMBER, opts)
        found = self._members.find(shown(caller, given, opts), named=query.urns("MEMBER_URN"), now=self._now())
        if fields == _IDENTIFYING:
            found = [one for one in found if one.identity is not None]
        told = indexed(MEMBER, query, map(_member_row, found))
        return {urn: {name: value for name, value in row.items() if name in fields} for urn, row in told.items()}

    def _update_member(self, caller: Caller, name: object, given: object, opts: Mapping[str, Any]) -> None:
        values = MEMBER.for_update(fields_of(opts))
        self._members.change(
            shown(caller, given, opts),
            urn(name, "member_urn"),
            email=_text(values, "MEMBER_EMAIL"),
            first_name=_text(values, "MEMBER_FIRSTNAME"),
            last_name=_text(values, "MEMBER_LASTNAME"),
            now=self._now(),
        )

    def _keys(self, caller: Caller, given: object, opts: Mapping[str, Any]) -> tuple[Query, list[Row]]:
        query = Query.read(KEY, opts)
        found = self._members.keys(shown(caller, given, opts), of=query.urns("KEY_MEMBER"), now=self._now())
        return query, [_key_row(one) for one in found]

    def _create_key(self, caller: Caller, given: object, opts: Mapping[str, Any]) -> dict[str, object]:
        values = KEY.for_creation(fields_of(opts))
        if values.get("KEY_PRIVATE"):
            raise BadArgs(
                "KEY_PRIVATE: private keys are not kept here; keep yours where it was made, and send no other"
            )
        line = str(values["KEY_PUBLIC"]).strip()
        if comment := (_text(values, "KEY_DESCRIPTION") or "").strip():
            line = " ".join([*line.split()[:2], comment])
        if (kind := values.get("KEY_TYPE")) not in (None, "", "openssh", line.split()[0]):
            raise BadArgs(f"KEY_TYPE {kind!a:.40} is not that of the key, which begins with {line.split()[0]!a:.40}")
        member = urn(fields_of(opts)["KEY_MEMBER"], "KEY_MEMBER")
        return whole(KEY, _key_row(self._members.add_key(shown(caller, given, opts), member, line, now=self._now())))

    def _update_key(
        self, caller: Caller, member: object, key_id: object, given: object, opts: Mapping[str, Any]
    ) -> None:
        values = KEY.for_update(fields_of(opts))
        self._members.describe_key(
            shown(caller, given, opts),
            arguments.text(key_id, "key_id"),
            _text(values, "KEY_DESCRIPTION"),
            member=_owner(member),
            now=self._now(),
        )

    def _delete_key(
        self, caller: Caller, member: object, key_id: object, given: object, opts: Mapping[str, Any]
    ) -> None:
        key = arguments.text(key_id, "key_id")
        self._members.remove_key(shown(caller, given, opts), key, member=_owner(member), now=self._now())


def version(url: str, name: URN) -> dict[str, object]:
    """The answer to get_version."""
    return {
        "VERSION": "2",
        "URN": str(name),
        "SERVICES": [one.kind for one in OF_MEMBER_AUTHORITY],
        "CREDENTIAL_TYPES": CREDENTIAL_TYPES,
        "API_VERSIONS": {"2": url},
        "FIELDS": {name: told for one in OF_MEMBER_AUTHORITY for name, told in one.supplementary().items()},
    }


def _kind(value: object) -> str:
    kinds = [one.kind for one in OF_MEMBER_AUTHORITY]
    kind = arguments.text(value, "type").upper()
    if kind not in kinds:
        raise BadArgs(f"type {arguments.shown(kind)} is not kept here; {' and '.join(kinds)} are")
    return kind


def _owner(value: object) -> URN | None:
    return None if value is None else urn(value, "member_urn")


def _text(values: Mapping[str, Value], name: str) -> str | None:
    value = values.get(name)
    return None if value is None else str(value)


def _member_row(one: MemberInfo) -> Row:
    row: dict[str, Value] = {
        "MEMBER_URN": one.urn,
        "MEMBER_UID": one.uuid,
        "MEMBER_USERNAME": one.urn.name,
        "_GENI_MEMBER_SSL_CERTIFICATE": one.gid,
    }
    if one.identity is not None:
        row |= {
            "MEMBER_FIRSTNAME": one.identity.first_name,
            "MEMBER_LASTNAME": one.identity.last_name,
            "MEMBER_EMAIL": one.identity.email,
        }
    return row


def _key_row(one: Key) -> Row:
    return {
        "KEY_MEMBER": one.member,
        "KEY_ID": one.id,
        "KEY_TYPE": one.type,
        "KEY_PUBLIC": f"{one.public} {one.comment}".rstrip(),
        "KEY_PRIVATE": None,
        "KEY_DESCRIPTION": one.comment,
    }
