"""The slice authority's door: slices, projects, who belongs to them, and what slivers were told of. Translation only.

The API's generic calls take the type of object first; those of its first version have it in their name
(`create("SLICE", ...)` is `create_slice(...)`), and are made from the generic ones.
"""

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

import structlog
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from credentials import URN
from sfa_am.authority.slice_authority import SliceAuthority
from sfa_am.errors import AMError, BadArgs
from sfa_am.wire import arguments
from sfa_am.wire.chapi.answers import CREDENTIAL_TYPES, FederationDoor, fields_of, sfa_credential, shown, take, urn
from sfa_am.wire.chapi.fields import OF_SLICE_AUTHORITY
from sfa_am.wire.chapi.gcf import GcfCalls, as_fault
from sfa_am.wire.chapi.objects import ROLES, Objects, read_changes
from sfa_am.wire.xmlrpc import Caller

log = structlog.get_logger()

Method = Callable[..., Coroutine[Any, Any, object]]


def _first_version(generic: str, kind: str) -> Method:
    """A generic method with its type given."""

    async def call(self: FederationDoor, caller: Caller, *sent: object) -> object:
        method: Method = getattr(self, f"xmlrpc_{generic}")
        return await method(caller, kind, *sent)

    call.__doc__ = f"`{generic}` of a {kind}."
    return call


class SliceAuthorityDoor(FederationDoor):
    """The slice authority's methods."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        pool: ThreadPool,
        slices: SliceAuthority,
        objects: Mapping[str, Objects],
        gcf: GcfCalls,
        *,
        now: Callable[[], datetime],
        version: dict[str, object],
    ) -> None:
        """objects: what is done with each type, by its name."""
        super().__init__(reactor, pool, now=now)
        self._slices = slices
        self._objects = objects
        self._gcf = gcf
        self._version = version

    async def xmlrpc_get_version(self, caller: Caller, *sent: object) -> object:
        """What is spoken here."""
        return await self.answer("get_version", caller, lambda: self._version)

    async def xmlrpc_get_credentials(self, caller: Caller, *sent: object) -> object:
        """(slice, credentials, options) -> the caller's credential about it."""

        def call() -> object:
            name, given, options = take("get_credentials", sent, "slice_urn")
            target = urn(name, "slice_urn")
            return sfa_credential(self._slices.credential(shown(caller, given, options), target, now=self._now()))

        return await self.answer("get_credentials", caller, call)

    async def xmlrpc_lookup(self, caller: Caller, *sent: object) -> object:
        """(type, credentials, options) -> objects under their names."""

        def call() -> object:
            kind, given, options = take("lookup", sent, "type")
            return self._of(kind).lookup(shown(caller, given, options), options, now=self._now())

        return await self.answer("lookup", caller, call)

    async def xmlrpc_create(self, caller: Caller, *sent: object) -> object:
        """(type, credentials, options) -> the object."""

        def call() -> object:
            kind, given, options = take("create", sent, "type")
            return self._of(kind).create(shown(caller, given, options), fields_of(options), now=self._now())

        return await self.answer("create", caller, call)

    async def xmlrpc_update(self, caller: Caller, *sent: object) -> object:
        """(type, name, credentials, options)."""

        def call() -> None:
            kind, name, given, options = take("update", sent, "type", "urn")
            objects, target = self._of(kind), urn(name, "urn")
            objects.update(shown(caller, given, options), target, fields_of(options), now=self._now())

        return await self.answer("update", caller, call)

    async def xmlrpc_delete(self, caller: Caller, *sent: object) -> object:
        """(type, name, credentials, options)."""

        def call() -> None:
            kind, name, given, options = take("delete", sent, "type", "urn")
            self._of(kind).delete(shown(caller, given, options), urn(name, "urn"), now=self._now())

        return await self.answer("delete", caller, call)

    async def xmlrpc_modify_membership(self, caller: Caller, *sent: object) -> object:
        """(type, name, credentials, options with members_to_add, members_to_change, members_to_remove)."""

        def call() -> None:
            kind, name, given, options = take("modify_membership", sent, "type", "urn")
            objects, target = self._of(kind), urn(name, "urn")
            changes = read_changes(objects.kind, options)
            objects.modify_membership(shown(caller, given, options), target, changes, now=self._now())

        return await self.answer("modify_membership", caller, call)

    async def xmlrpc_lookup_members(self, caller: Caller, *sent: object) -> object:
        """(type, name, credentials, options) -> who belongs to it. The option match is not looked at: omni sends one
        that is about the slice."""

        def call() -> object:
            kind, name, given, options = take("lookup_members", sent, "type", "urn")
            objects, target = self._of(kind), urn(name, "urn")
            return objects.lookup_members(shown(caller, given, options), target, now=self._now())

        return await self.answer("lookup_members", caller, call)

    async def xmlrpc_lookup_for_member(self, caller: Caller, *sent: object) -> object:
        """(type, member, credentials, options) -> what they belong to."""

        def call() -> object:
            kind, name, given, options = take("lookup_for_member", sent, "type", "member_urn")
            objects, member = self._of(kind), urn(name, "member_urn")
            return objects.lookup_for_member(shown(caller, given, options), member, options, now=self._now())

        return await self.answer("lookup_for_member", caller, call)

    xmlrpc_create_slice = _first_version("create", "SLICE")
    xmlrpc_lookup_slices = _first_version("lookup", "SLICE")
    xmlrpc_update_slice = _first_version("update", "SLICE")
    xmlrpc_modify_slice_membership = _first_version("modify_membership", "SLICE")
    xmlrpc_lookup_slice_members = _first_version("lookup_members", "SLICE")
    xmlrpc_lookup_slices_for_member = _first_version("lookup_for_member", "SLICE")
    xmlrpc_create_project = _first_version("create", "PROJECT")
    xmlrpc_lookup_projects = _first_version("lookup", "PROJECT")
    xmlrpc_update_project = _first_version("update", "PROJECT")
    xmlrpc_delete_project = _first_version("delete", "PROJECT")
    xmlrpc_modify_project_membership = _first_version("modify_membership", "PROJECT")
    xmlrpc_lookup_project_members = _first_version("lookup_members", "PROJECT")
    xmlrpc_lookup_projects_for_member = _first_version("lookup_for_member", "PROJECT")
    xmlrpc_create_sliver_info = _first_version("create", "SLIVER_INFO")
    xmlrpc_lookup_sliver_info = _first_version("lookup", "SLIVER_INFO")
    xmlrpc_update_sliver_info = _first_version("update", "SLIVER_INFO")
    xmlrpc_delete_sliver_info = _first_version("delete", "SLIVER_INFO")

    # Those of the old reference clearinghouse, with faults for errors

    async def xmlrpc_GetVersion(self, caller: Caller, *sent: object) -> object:  # noqa: N802 - the API's name
        """What gcf-ch says of itself."""
        return {"gcf-ch_api": 1}

    async def xmlrpc_CreateSlice(self, caller: Caller, *sent: object) -> object:  # noqa: N802
        """(slice) -> a credential."""
        return await self._old("CreateSlice", caller, lambda: self._gcf.create_slice(caller, *sent))

    async def xmlrpc_RenewSlice(self, caller: Caller, *sent: object) -> object:  # noqa: N802
        """(slice, time) -> True."""
        return await self._old("RenewSlice", caller, lambda: self._gcf.renew_slice(caller, *sent))

    async def xmlrpc_DeleteSlice(self, caller: Caller, *sent: object) -> object:  # noqa: N802
        """(slice) -> True."""
        return await self._old("DeleteSlice", caller, lambda: self._gcf.delete_slice(caller, *sent))

    async def xmlrpc_ListAggregates(self, caller: Caller, *sent: object) -> object:  # noqa: N802
        """() -> names and URLs."""
        return await self._old("ListAggregates", caller, lambda: self._gcf.list_aggregates(caller, *sent))

    async def xmlrpc_ListMySlices(self, caller: Caller, *sent: object) -> object:  # noqa: N802
        """(user) -> names."""
        return await self._old("ListMySlices", caller, lambda: self._gcf.list_my_slices(caller, *sent))

    async def xmlrpc_CreateUserCredential(self, caller: Caller, *sent: object) -> object:  # noqa: N802
        """(certificate) -> a credential."""
        return await self._old("CreateUserCredential", caller, lambda: self._gcf.create_user_credential(caller, *sent))

    async def _old(self, name: str, caller: Caller, call: Callable[[], object]) -> object:
        try:
            value = await self.off_reactor(call)
        except AMError as refusal:
            log.info("refused", call=name, reason=str(refusal))
            raise as_fault(refusal, caller.request_id) from refusal
        log.info("done", call=name)
        return value

    def _of(self, kind: object) -> Objects:
        named = arguments.text(kind, "type").upper()
        if named not in self._objects:
            raise BadArgs(f"type {arguments.shown(named)} is not kept here; {', '.join(self._objects)} are")
        return self._objects[named]


def version(url: str, name: URN) -> dict[str, object]:
    """The answer to get_version."""
    return {
        "VERSION": "2",
        "URN": str(name),
        "SERVICES": ["SLICE", "SLICE_MEMBER", "SLIVER_INFO", "PROJECT", "PROJECT_MEMBER"],
        "ROLES": list(ROLES),
        "CREDENTIAL_TYPES": CREDENTIAL_TYPES,
        "API_VERSIONS": {"2": url},
        "FIELDS": {name: told for one in OF_SLICE_AUTHORITY for name, told in one.supplementary().items()},
    }
