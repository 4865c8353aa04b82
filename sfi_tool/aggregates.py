"""Aggregate managers behind one interface, whichever version of the GENI AM API they speak."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import click

from sfi_tool.am_v2 import AggregateV2
from sfi_tool.am_v3 import AggregateV3
from sfi_tool.errors import Unreachable
from sfi_tool.servers import Server, over_tls
from sfi_tool.slivers import Described, State


class Aggregate(Protocol):
    """An aggregate manager. `urns`: slivers; none means all of the slice. Raises Refusal, Unreachable."""

    version: int
    server: Server
    is_sfawrap: bool

    def list_resources(self, credential: str, options: Mapping[str, object]) -> str:
        """The advertisement."""

    def describe(self, slice_urn: str, credentials: Sequence[str], options: Mapping[str, object]) -> Described:
        """Manifest and states."""

    def allocate(
        self, slice_urn: str, credentials: Sequence[str], request: str, options: Mapping[str, object]
    ) -> Described:
        """Reserve what a request describes."""

    def provision(
        self, urns: Sequence[str], credentials: Sequence[str], users: Sequence[Mapping[str, object]]
    ) -> Described:
        """Have what is reserved made. `urns`: the slice or slivers."""

    def update(
        self, slice_urn: str, credentials: Sequence[str], request: str, options: Mapping[str, object]
    ) -> Described:
        """Change what a slice holds into what a request describes; provision carries it out."""

    def cancel(self, slice_urn: str, credentials: Sequence[str]) -> list[State]:
        """Take back what is not provisioned yet."""

    def status(self, slice_urn: str, credentials: Sequence[str]) -> list[State]:
        """The states of a slice's slivers."""

    def renew(
        self, slice_urn: str, urns: Sequence[str], credentials: Sequence[str], end: str, *, as_long_as_possible: bool
    ) -> list[State]:
        """Move the end of slivers. `end`: RFC 3339."""

    def act(
        self,
        slice_urn: str,
        urns: Sequence[str],
        credentials: Sequence[str],
        action: str,
        options: Mapping[str, object],
    ) -> list[State]:
        """Do an operational action."""

    def delete(self, slice_urn: str, urns: Sequence[str], credentials: Sequence[str]) -> list[State]:
        """End slivers; returns those that were ended."""

    def shutdown(self, slice_urn: str, credentials: Sequence[str]) -> None:
        """Stop a slice for an operator to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What an aggregate speaks, and where. `version`: 3 or 2."""

    url: str
    version: int
    is_sfawrap: bool

    @classmethod
    def from_struct(cls, struct: Mapping[str, Any] | None) -> "Spoken | None":
        """As `struct` wrote it; None for anything else."""
        if struct is None or struct.get("version") not in (2, 3) or not isinstance(struct.get("url"), str):
            return None
        return cls(url=struct["url"], version=struct["version"], is_sfawrap=bool(struct.get("is_sfawrap")))

    @property
    def struct(self) -> dict[str, Any]:
        """To be kept in a file."""
        return asdict(self)


def ask_version(server: Server) -> Spoken:
    """Version 3 where it is spoken, version 2 where only that is. Raises ClickException for neither."""
    answer = server.call("GetVersion")
    if not isinstance(answer, dict):
        raise Unreachable(f"{server.url} doesn't answer as an aggregate does")
    said = server.value_of(answer) if "code" in answer else answer
    if said.get("interface") == "registry":
        raise click.ClickException(f"{server.url} is a registry, not an aggregate; see -s URL and your settings")
    here = _number(said.get("geni_api", answer.get("geni_api")))
    announced = said.get("geni_api_versions")
    elsewhere = announced if isinstance(announced, dict) else {}
    places = {_number(version): over_tls(str(url)) for version, url in elsewhere.items()} | {here: server.url}
    is_sfawrap = "sfa" in said
    for version in (3, 2):
        if version in places:
            return Spoken(url=places[version], version=version, is_sfawrap=is_sfawrap)
    spoken = ", ".join(str(version) for version in sorted(places)) or "none"
    raise click.ClickException(f"{server.url} speaks version {spoken} of the AM API; 3 and 2 are spoken here")


def aggregate_for(server: Server, spoken: Spoken) -> Aggregate:
    """The aggregate behind a server."""
    if spoken.version == 2:
        return AggregateV2(server)
    return AggregateV3(server, is_sfawrap=spoken.is_sfawrap)


def _number(version: object) -> int:
    """0 for what is no number."""
    return int(version) if isinstance(version, int) or (isinstance(version, str) and version.isdigit()) else 0
