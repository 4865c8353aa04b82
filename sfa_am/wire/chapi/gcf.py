"""The calls of the old reference clearinghouse (gcf), which omni's `gcf` framework makes. Errors are faults there.

They are answered from the same slice authority. GetVersion says that this is version 1 of that API; a slice is made by
asking for its credential; deleting one lets it end.
"""

from collections.abc import Callable
from datetime import datetime
from xmlrpc.client import Fault

from credentials import GID, BadGID
from sfa_am.authority.callers import Shown
from sfa_am.authority.member_authority import MemberAuthority
from sfa_am.authority.services import AGGREGATE_MANAGER, ServiceRegistry
from sfa_am.authority.slice_authority import SliceAuthority
from sfa_am.errors import AMError, BadArgs, Forbidden
from sfa_am.wire import arguments
from sfa_am.wire.chapi.answers import code_of, urn
from sfa_am.wire.chapi.fields import moment
from sfa_am.wire.xmlrpc import Caller


class GcfCalls:
    """What each call does, in values."""

    def __init__(
        self,
        slices: SliceAuthority,
        members: MemberAuthority,
        services: ServiceRegistry,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._slices = slices
        self._members = members
        self._services = services
        self._now = now

    def create_slice(self, caller: Caller, *sent: object) -> str:
        """(slice) -> a credential about it. One that is there already is given out again; one that ended is renewed."""
        (name,) = arguments.expect("CreateSlice", sent, ("urn",))
        target, shown, now = urn(name, "urn"), _shown(caller), self._now()
        if target.type != "slice":
            raise BadArgs(f"{target} is not the name of a slice")
        known = self._slices.find(shown, named=[target], now=now)
        if not known:
            self._slices.create(shown, target.name, project=self._slices.project_of(target), now=now)
        elif known[0].expires_at <= now:
            self._slices.change(shown, target, expires_at=self._slices.usual_end(target, now), now=now)
        return self._slices.credential(shown, target, now=now)

    def renew_slice(self, caller: Caller, *sent: object) -> bool:
        """(slice, time) -> whether it ends then."""
        name, ends_at = arguments.expect("RenewSlice", sent, ("urn", "expiration"))
        self._slices.change(_shown(caller), urn(name, "urn"), expires_at=moment(ends_at, "expiration"), now=self._now())
        return True

    def delete_slice(self, caller: Caller, *sent: object) -> bool:
        """(slice) -> whether it has ended."""
        (name,) = arguments.expect("DeleteSlice", sent, ("urn",))
        self._slices.end(_shown(caller), urn(name, "urn"), now=self._now())
        return True

    def list_aggregates(self, caller: Caller, *sent: object) -> list[list[str]]:
        """() -> name and URL of each."""
        return [[str(one.urn), one.url] for one in self._services.everything() if one.type == AGGREGATE_MANAGER]

    def list_my_slices(self, caller: Caller, *sent: object) -> list[str]:
        """(user) -> the names of their slices that have not ended."""
        (name,) = arguments.expect("ListMySlices", sent, ("urn",))
        found = self._slices.slices_of(_shown(caller), urn(name, "urn"), now=self._now())
        return [str(one.urn) for one in found if not one.is_expired]

    def create_user_credential(self, caller: Caller, *sent: object) -> str:
        """(certificate) -> a credential about the user whom it names, who must be the caller."""
        (certificate,) = arguments.expect("CreateUserCredential", sent, ("cert",))
        try:
            gid = GID.parse(arguments.text(certificate, "cert"))
        except BadGID as e:
            raise BadArgs(f"cert: {e}") from e
        if gid.urn is None or not gid.same_key(caller.gid):
            raise Forbidden("cert is not the certificate that this connection was made with")
        return self._members.credential(_shown(caller), gid.urn, now=self._now())


def as_fault(refusal: AMError, request_id: str) -> Fault:
    """A refusal as these clients expect it."""
    ascii_only = str(refusal).encode("ascii", "backslashreplace").decode()
    return Fault(int(code_of(refusal)), f"{ascii_only} [request {request_id}]")


def _shown(caller: Caller) -> Shown:
    return Shown(certificate=caller.gid, request_id=caller.request_id)
