"""Version 3 of the GENI AM API, as a client calls it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sfi_tool.servers import Server
from sfi_tool.slivers import RSPEC_VERSION, Described, State, unpacked

_EMPTY = {"geni_sliver_urn": "", "geni_allocation_status": "", "geni_expires": "", "geni_error": ""}
_CREDENTIAL = {"geni_type": "geni_sfa", "geni_version": "3"}


class AggregateV3:
    """Implements `aggregates.Aggregate`."""

    version = 3

    def __init__(self, server: Server, *, is_sfawrap: bool) -> None:
        """is_sfawrap: whether it wants the arguments as SFAWrap does, where that differs from the specification."""
        self.server = server
        self.is_sfawrap = is_sfawrap

    def list_resources(self, credential: str, options: Mapping[str, object]) -> str:
        """The advertisement."""
        wanted = {"geni_compressed": True, "geni_rspec_version": RSPEC_VERSION, **options}
        return unpacked(self.server.call_am("ListResources", _structs([credential]), wanted))

    def describe(self, slice_urn: str, credentials: Sequence[str], options: Mapping[str, object]) -> Described:
        """Manifest and states."""
        wanted = {"geni_rspec_version": RSPEC_VERSION, **options}
        return _described(self.server.call_am("Describe", [slice_urn], _structs(credentials), wanted))

    def allocate(
        self, slice_urn: str, credentials: Sequence[str], request: str, options: Mapping[str, object]
    ) -> Described:
        """Reserve."""
        return _described(self.server.call_am("Allocate", slice_urn, _structs(credentials), request, dict(options)))

    def provision(
        self, urns: Sequence[str], credentials: Sequence[str], users: Sequence[Mapping[str, object]]
    ) -> Described:
        """Have what is reserved made."""
        options = {"geni_rspec_version": RSPEC_VERSION, "geni_users": list(users)}
        return _described(self.server.call_am("Provision", list(urns), _structs(credentials), options))

    def update(
        self, slice_urn: str, credentials: Sequence[str], request: str, options: Mapping[str, object]
    ) -> Described:
        """Change what a slice holds into what a request describes."""
        return _described(self.server.call_am("Update", [slice_urn], _structs(credentials), request, dict(options)))

    def cancel(self, slice_urn: str, credentials: Sequence[str]) -> list[State]:
        """Take back what is not provisioned yet."""
        return _states(self.server.call_am("Cancel", [slice_urn], _structs(credentials), {}))

    def status(self, slice_urn: str, credentials: Sequence[str]) -> list[State]:
        """The states of slivers."""
        answer = self.server.call_am("Status", [slice_urn], _structs(credentials), {})
        return _states(answer)

    def renew(
        self, slice_urn: str, urns: Sequence[str], credentials: Sequence[str], end: str, *, as_long_as_possible: bool
    ) -> list[State]:
        """Move the end."""
        options = {"geni_extend_alap": True} if as_long_as_possible else {}
        named = list(urns) or [slice_urn]
        return _states(self.server.call_am("Renew", named, _structs(credentials), end, options))

    def act(
        self,
        slice_urn: str,
        urns: Sequence[str],
        credentials: Sequence[str],
        action: str,
        options: Mapping[str, object],
    ) -> list[State]:
        """An operational action."""
        named = list(urns) or [slice_urn]
        method = "PerformOperationalAction"
        return _states(self.server.call_am(method, named, _structs(credentials), action, dict(options)))

    def delete(self, slice_urn: str, urns: Sequence[str], credentials: Sequence[str]) -> list[State]:
        """End slivers."""
        return _states(self.server.call_am("Delete", list(urns) or [slice_urn], _structs(credentials), {}))

    def shutdown(self, slice_urn: str, credentials: Sequence[str]) -> None:
        """Stop a slice."""
        options: list[object] = [] if self.is_sfawrap else [{}]  # SFAWrap's takes two arguments and no third
        self.server.call_am("Shutdown", slice_urn, _structs(credentials), *options)


def _structs(credentials: Sequence[str]) -> list[dict[str, str]]:
    return [{**_CREDENTIAL, "geni_value": credential} for credential in credentials]


def _described(answer: Any) -> Described:
    if not isinstance(answer, dict):
        return Described("", [])
    return Described(unpacked(answer.get("geni_rspec", "")), _states(answer))


def _states(answer: Any) -> list[State]:
    """The slivers of an answer: a struct that has them, or the bare list."""
    found = answer.get("geni_slivers", []) if isinstance(answer, dict) else answer
    if not isinstance(found, list):
        return []
    return [
        {**_EMPTY, **{str(key): "" if value is None else str(value) for key, value in one.items()}}
        for one in found
        if isinstance(one, dict)
    ]
