"""Version 2 of the GENI AM API, as a client calls it: slivers are made and ended for a slice as a whole."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from sfi_tool.servers import Server
from sfi_tool.slivers import RSPEC_VERSION, Described, State, unpacked

_OPERATIONAL = {
    "ready": "geni_ready",
    "failed": "geni_failed",
    "configuring": "geni_configuring",
    "changing": "geni_configuring",
    "notready": "geni_notready",
}


class AggregateV2:
    """Implements `aggregates.Aggregate`; what the older API can't do is refused in a sentence."""

    version = 2
    is_sfawrap = False

    def __init__(self, server: Server) -> None:
        self.server = server

    def list_resources(self, credential: str, options: Mapping[str, object]) -> str:
        """The advertisement."""
        wanted = {"geni_compressed": True, "geni_rspec_version": RSPEC_VERSION, **options}
        return unpacked(self.server.call_am("ListResources", [credential], wanted))

    def describe(self, slice_urn: str, credentials: Sequence[str], options: Mapping[str, object]) -> Described:
        """Manifest and states, in two calls."""
        wanted = {
            "geni_compressed": True,
            "geni_rspec_version": RSPEC_VERSION,
            **options,
            "geni_slice_urn": slice_urn,
        }
        manifest = unpacked(self.server.call_am("ListResources", list(credentials), wanted))
        return Described(manifest, self.status(slice_urn, credentials))

    def create(
        self, slice_urn: str, credentials: Sequence[str], request: str, users: Sequence[Mapping[str, object]]
    ) -> str:
        """Reserve and make at once. Returns the manifest."""
        return unpacked(self.server.call_am("CreateSliver", slice_urn, list(credentials), request, list(users), {}))

    def allocate(
        self, slice_urn: str, credentials: Sequence[str], request: str, options: Mapping[str, object]
    ) -> Described:
        """Not by itself."""
        raise self._can_not("reserve and make in two steps; `sfi create SLICE REQUEST` does both at once")

    def provision(
        self, urns: Sequence[str], credentials: Sequence[str], users: Sequence[Mapping[str, object]]
    ) -> Described:
        """Not by itself."""
        raise self._can_not("reserve and make in two steps; `sfi create SLICE REQUEST` does both at once")

    def update(
        self, slice_urn: str, credentials: Sequence[str], request: str, options: Mapping[str, object]
    ) -> Described:
        """Not in this version."""
        raise self._can_not("change a slice that holds something; delete it and `sfi create SLICE REQUEST` again")

    def cancel(self, slice_urn: str, credentials: Sequence[str]) -> list[State]:
        """Not in this version."""
        raise self._can_not("change a slice that holds something, so there is nothing to take back")

    def status(self, slice_urn: str, credentials: Sequence[str]) -> list[State]:
        """The states of what is there."""
        answer = self.server.call_am("SliverStatus", slice_urn, list(credentials), {})
        resources = answer.get("geni_resources") if isinstance(answer, dict) else None
        return [_state(one, answer) for one in resources or [] if isinstance(one, dict)]

    def renew(
        self, slice_urn: str, urns: Sequence[str], credentials: Sequence[str], end: str, *, as_long_as_possible: bool
    ) -> list[State]:
        """Move the end of all of a slice."""
        self._whole(urns, "renewed")
        options = {"geni_extend_alap": True} if as_long_as_possible else {}
        self.server.call_am("RenewSliver", slice_urn, list(credentials), end, options)
        return self.status(slice_urn, credentials)

    def act(
        self,
        slice_urn: str,
        urns: Sequence[str],
        credentials: Sequence[str],
        action: str,
        options: Mapping[str, object],
    ) -> list[State]:
        """Not known yet in this version."""
        raise self._can_not("start, stop or otherwise change slivers that are there")

    def delete(self, slice_urn: str, urns: Sequence[str], credentials: Sequence[str]) -> list[State]:
        """End all of a slice. Returns what was there."""
        self._whole(urns, "deleted")
        ended = self.status(slice_urn, credentials)
        self.server.call_am("DeleteSliver", slice_urn, list(credentials), {})
        return [{**state, "geni_allocation_status": "geni_unallocated"} for state in ended]

    def shutdown(self, slice_urn: str, credentials: Sequence[str]) -> None:
        """Stop a slice."""
        self.server.call_am("Shutdown", slice_urn, list(credentials), {})

    def _whole(self, urns: Sequence[str], what: str) -> None:
        if urns:
            raise self._can_not(f"have single slivers {what}; name the slice alone")

    def _can_not(self, what: str) -> click.ClickException:
        return click.ClickException(f"{self.server.url} speaks version 2 of the AM API, in which one can't {what}")


def _state(resource: Mapping[str, Any], answer: Mapping[str, Any]) -> State:
    said = str(resource.get("geni_status") or "unknown").lower()
    expires = resource.get("geni_expires") or answer.get("geni_expires") or answer.get("pl_expires") or ""
    return {
        "geni_sliver_urn": str(resource.get("geni_urn", "")),
        "geni_allocation_status": "geni_provisioned",
        "geni_operational_status": _OPERATIONAL.get(said, "geni_unknown"),
        "geni_expires": str(expires),
        "geni_error": str(resource.get("geni_error") or ""),
    }
