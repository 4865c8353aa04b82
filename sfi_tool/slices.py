"""A slice by name, and what calls about it need."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import click

from sfi_tool.errors import Refusal
from sfi_tool.identity import Session, as_struct
from sfi_tool.slivers import RSPEC_VERSION, State, names_by_urn

NOT_HERE = 12
"""The code (SEARCHFAILED) for a slice that an aggregate has nothing of."""


_IN_ONE_CALL = 100
"""Names to resolve at once; registries have a limit."""


class Slice:
    """A slice, as a session's user sees it."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name
        self.hrn = session.folder.hrn_of(name)

    @property
    def urn(self) -> str:
        """Its URN."""
        from credentials import URN, BadName

        try:
            return self.hrn if self.hrn.startswith("urn:") else str(URN.from_hrn(self.hrn, "slice"))
        except BadName as e:
            raise click.ClickException(str(e)) from e

    @property
    def credential(self) -> str:
        """What allows calls about it."""
        return self.session.credential(self.hrn, "slice")

    @property
    def credentials(self) -> list[dict[str, str]]:
        """The same, as version 3 of the AM API wants it."""
        return [as_struct(self.credential)]

    def call(self, method: str, *arguments: object, urns: Sequence[str] = ()) -> Any:
        """A call of version 3 whose first argument is a list of URNs: those given, or the slice's."""
        return self.session.aggregate.call_am(method, list(urns) or [self.urn], self.credentials, *arguments)

    def describe(self) -> Any:
        """Manifest and states, by version 3."""
        return self.call("Describe", {"geni_rspec_version": RSPEC_VERSION})

    def manifest(self) -> str:
        """Its manifest, from whichever version is spoken."""
        return self.session.am.describe(self.urn, [self.credential], {}).manifest

    def states(self) -> list[State]:
        """The states of its slivers."""
        return self.session.am.status(self.urn, [self.credential])

    def states_if_any(self) -> list[State]:
        """The states of its slivers; none when the aggregate has nothing of it."""
        try:
            return self.states()
        except Refusal as e:
            if e.code != NOT_HERE:
                raise
            return []

    def urns_of(self, nodes: Sequence[str]) -> list[str]:
        """Sliver URNs by client_id; what is a URN stays."""
        if all(node.startswith("urn:") for node in nodes):
            return list(nodes)
        by_name = {name: urn for urn, name in names_by_urn(self.manifest()).items()}
        if unknown := [node for node in nodes if node not in by_name and not node.startswith("urn:")]:
            have = ", ".join(sorted(by_name)) or "nothing"
            raise click.ClickException(f"{self.name} has no {', '.join(unknown)} here; it has {have}")
        return [by_name.get(node, node) for node in nodes]

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """What the registry knows of it."""
        found = next((r for r in self.session.resolve(self.hrn) if r["type"] == "slice"), None)
        if found is None:
            raise click.ClickException(f"the registry has no slice {self.hrn}")
        return found

    @cached_property
    def members(self) -> list[dict[str, Any]]:
        """The records of its members, and of the user, who may be none. Members of other registries have none here."""
        people = list(dict.fromkeys([*(self.record.get("reg-researchers") or []), self.session.folder.user]))
        records: list[dict[str, Any]] = []
        for at in range(0, len(people), _IN_ONE_CALL):
            records += self.session.resolve(*people[at : at + _IN_ONE_CALL])
        return [record for record in records if record["type"] == "user" and record["hrn"] in people]

    def users(self) -> list[dict[str, Any]]:
        """The members with their keys, as the aggregate wants them."""
        from credentials import URN

        return [
            {"urn": str(URN.from_hrn(one["hrn"], "user")), "keys": one.get("reg-keys") or []} for one in self.members
        ]

    def sfa_options(self) -> dict[str, Any]:
        """What SFAWrap's aggregates want with Allocate: they make the accounts then."""
        users = self.users()
        more = ("email", "person_id", "first_name", "last_name", "key_ids")
        record = {key: value for key, value in self.record.items() if key in ("hrn", "type", "reg-researchers")}
        sfa_users = [
            {**user, **{key: one[key] for key in more if one.get(key)}, "slice_record": record}
            for user, one in zip(users, self.members, strict=True)
        ]
        return {"geni_users": users, "sfa_users": sfa_users, "geni_rspec_version": RSPEC_VERSION}
