"""What the slice authority's door does with each type of object: slices, projects, slivers told of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from credentials import URN
from sfa_am.authority.callers import Shown
from sfa_am.authority.memberships import Belonging, Changes, Membership
from sfa_am.authority.projects import Project, Projects
from sfa_am.authority.roles import Role
from sfa_am.authority.slice_authority import Slice, SliceAuthority
from sfa_am.authority.slivers_told import SliverInfo, SliversTold
from sfa_am.errors import BadArgs, Unsupported
from sfa_am.wire import arguments
from sfa_am.wire.chapi.answers import urn
from sfa_am.wire.chapi.fields import PROJECT, SLICE, SLIVER_INFO, Fields, Value, boolean
from sfa_am.wire.chapi.lookup import Query, Row, indexed, whole

ROLES: Mapping[str, Role] = {role.name: role for role in Role}
"""The API's roles, which it writes in capitals."""


class Objects:
    """One type of object. What is not overridden is not done with it."""

    fields: Fields

    @property
    def kind(self) -> str:
        """The name of the type."""
        return self.fields.kind

    def lookup(self, shown: Shown, options: Mapping[str, Any], *, now: datetime) -> dict[str, dict[str, object]]:
        """Those that the caller may see and that match."""
        raise self._never("looked up")

    def create(self, shown: Shown, fields: Mapping[str, object], *, now: datetime) -> dict[str, object]:
        """Make one, and tell all its fields."""
        raise self._never("made")

    def update(self, shown: Shown, name: URN, fields: Mapping[str, object], *, now: datetime) -> None:
        """Change some fields."""
        raise self._never("changed")

    def delete(self, shown: Shown, name: URN, *, now: datetime) -> None:
        """Forget one."""
        raise self._never("deleted")

    def modify_membership(self, shown: Shown, name: URN, changes: Changes, *, now: datetime) -> None:
        """Change who belongs to one."""
        raise self._never("joined")

    def lookup_members(self, shown: Shown, name: URN, *, now: datetime) -> list[dict[str, object]]:
        """Who belongs to one."""
        raise self._never("joined")

    def lookup_for_member(
        self, shown: Shown, member: URN, options: Mapping[str, Any], *, now: datetime
    ) -> list[dict[str, object]]:
        """Which ones a member belongs to."""
        raise self._never("joined")

    def _never(self, done: str) -> Unsupported:
        return Unsupported(f"objects of type {self.kind} can't be {done} here")


class Slices(Objects):
    """Slices. They are never deleted: at some aggregate slivers may still go by their names."""

    fields = SLICE

    def __init__(self, slices: SliceAuthority) -> None:
        self._slices = slices

    def lookup(self, shown: Shown, options: Mapping[str, Any], *, now: datetime) -> dict[str, dict[str, object]]:
        """The slices that the caller may see."""
        query = Query.read(SLICE, options)
        found = self._slices.find(shown, named=query.urns("SLICE_URN"), now=now)
        return indexed(SLICE, query, (_slice_row(one, now) for one in found))

    def create(self, shown: Shown, fields: Mapping[str, object], *, now: datetime) -> dict[str, object]:
        """Make a slice in a project."""
        values = SLICE.for_creation(fields)
        made = self._slices.create(
            shown,
            str(values["SLICE_NAME"]),
            project=_name(values, "SLICE_PROJECT_URN"),
            description=str(values.get("SLICE_DESCRIPTION") or ""),
            expires_at=_moment(values, "SLICE_EXPIRATION"),
            now=now,
        )
        return whole(SLICE, _slice_row(made, now))

    def update(self, shown: Shown, name: URN, fields: Mapping[str, object], *, now: datetime) -> None:
        """Change what it is for, or renew it."""
        values = SLICE.for_update(fields)
        self._slices.change(
            shown,
            name,
            description=_text(values, "SLICE_DESCRIPTION"),
            expires_at=_moment(values, "SLICE_EXPIRATION"),
            now=now,
        )

    def modify_membership(self, shown: Shown, name: URN, changes: Changes, *, now: datetime) -> None:
        """Change who belongs to it."""
        self._slices.change_members(shown, name, changes, now=now)

    def lookup_members(self, shown: Shown, name: URN, *, now: datetime) -> list[dict[str, object]]:
        """Who belongs to it."""
        return [_member(self.kind, one) for one in self._slices.members(shown, name, now=now)]

    def lookup_for_member(
        self, shown: Shown, member: URN, options: Mapping[str, Any], *, now: datetime
    ) -> list[dict[str, object]]:
        """Which slices a member belongs to."""
        return _belongings(self.kind, self._slices.slices_of(shown, member, now=now), options)


class ProjectObjects(Objects):
    """Projects."""

    fields = PROJECT

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    def lookup(self, shown: Shown, options: Mapping[str, Any], *, now: datetime) -> dict[str, dict[str, object]]:
        """The projects that the caller may see."""
        query = Query.read(PROJECT, options)
        found = self._projects.find(shown, named=query.urns("PROJECT_URN"), now=now)
        return indexed(PROJECT, query, (_project_row(one, now) for one in found))

    def create(self, shown: Shown, fields: Mapping[str, object], *, now: datetime) -> dict[str, object]:
        """Make a project."""
        values = PROJECT.for_creation(fields)
        made = self._projects.create(
            shown,
            str(values["PROJECT_NAME"]),
            description=str(values.get("PROJECT_DESCRIPTION") or ""),
            expires_at=_moment(values, "PROJECT_EXPIRATION"),
            now=now,
        )
        return whole(PROJECT, _project_row(made, now))

    def update(self, shown: Shown, name: URN, fields: Mapping[str, object], *, now: datetime) -> None:
        """Change what it is for, or when it ends."""
        values = PROJECT.for_update(fields)
        self._projects.change(
            shown,
            name,
            description=_text(values, "PROJECT_DESCRIPTION"),
            expires_at=_moment(values, "PROJECT_EXPIRATION"),
            now=now,
        )

    def delete(self, shown: Shown, name: URN, *, now: datetime) -> None:
        """Delete one without slices."""
        self._projects.remove(shown, name, now=now)

    def modify_membership(self, shown: Shown, name: URN, changes: Changes, *, now: datetime) -> None:
        """Change who belongs to it."""
        self._projects.change_members(shown, name, changes, now=now)

    def lookup_members(self, shown: Shown, name: URN, *, now: datetime) -> list[dict[str, object]]:
        """Who belongs to it."""
        return [_member(self.kind, one) for one in self._projects.members(shown, name, now=now)]

    def lookup_for_member(
        self, shown: Shown, member: URN, options: Mapping[str, Any], *, now: datetime
    ) -> list[dict[str, object]]:
        """Which projects a member belongs to."""
        return _belongings(self.kind, self._projects.projects_of(shown, member, now=now), options)


class SliverInfos(Objects):
    """What tools told of slivers."""

    fields = SLIVER_INFO

    def __init__(self, slivers: SliversTold) -> None:
        self._slivers = slivers

    def lookup(self, shown: Shown, options: Mapping[str, Any], *, now: datetime) -> dict[str, dict[str, object]]:
        """What was told of slices whose content the caller may look at."""
        query = Query.read(SLIVER_INFO, options)
        found = self._slivers.find(shown, of=query.urns("SLIVER_INFO_SLICE_URN"), now=now)
        return indexed(SLIVER_INFO, query, map(_sliver_row, found))

    def create(self, shown: Shown, fields: Mapping[str, object], *, now: datetime) -> dict[str, object]:
        """Tell of a sliver."""
        values = SLIVER_INFO.for_creation(fields)
        sliver, of, where, by = (
            urn(fields[f"SLIVER_INFO_{part}"], f"SLIVER_INFO_{part}")
            for part in ("URN", "SLICE_URN", "AGGREGATE_URN", "CREATOR_URN")
        )
        told = self._slivers.create(
            shown,
            sliver,
            slice_urn=of,
            aggregate=where,
            creator=by,
            created_at=_moment(values, "SLIVER_INFO_CREATION"),
            expires_at=_moment(values, "SLIVER_INFO_EXPIRATION"),
            now=now,
        )
        return whole(SLIVER_INFO, _sliver_row(told))

    def update(self, shown: Shown, name: URN, fields: Mapping[str, object], *, now: datetime) -> None:
        """Tell when it ends."""
        values = SLIVER_INFO.for_update(fields)
        self._slivers.change(shown, name, expires_at=_moment(values, "SLIVER_INFO_EXPIRATION"), now=now)

    def delete(self, shown: Shown, name: URN, *, now: datetime) -> None:
        """Tell that it is gone."""
        self._slivers.remove(shown, name, now=now)


def read_changes(kind: str, options: Mapping[str, Any]) -> Changes:
    """The options of modify_membership. Raises BadArgs."""
    return Changes(
        add=tuple(_with_role(kind, one, what) for one, what in _structs(options, "members_to_add")),
        change=tuple(_with_role(kind, one, what) for one, what in _structs(options, "members_to_change")),
        remove=tuple(
            urn(one.get(f"{kind}_MEMBER") if isinstance(one, dict) else one, what)
            for one, what in _structs(options, "members_to_remove")
        ),
    )


def _structs(options: Mapping[str, Any], name: str) -> list[tuple[Any, str]]:
    given = options.get(name) or []
    if not isinstance(given, list):
        raise BadArgs(f"option {name} must be an array")
    return [(one, f"{name}[{number}]") for number, one in enumerate(given)]


def _with_role(kind: str, one: object, what: str) -> tuple[URN, Role]:
    named = (f"{kind}_MEMBER", f"{kind}_ROLE")
    if not isinstance(one, dict) or not set(named) <= one.keys():
        raise BadArgs(f"{what} must be a struct with {' and '.join(named)}")
    role = arguments.text(one[named[1]], f"{what}.{named[1]}").strip().upper()
    if role not in ROLES:
        raise BadArgs(f"{what}: role {arguments.shown(role)} is not known; known are {', '.join(ROLES)}")
    return urn(one[named[0]], f"{what}.{named[0]}"), ROLES[role]


def _member(kind: str, one: Membership) -> dict[str, object]:
    return {f"{kind}_MEMBER": str(one.person), f"{kind}_ROLE": one.role.name, f"{kind}_MEMBER_UID": one.uuid}


def _belongings(kind: str, found: list[Belonging], options: Mapping[str, Any]) -> list[dict[str, object]]:
    """Of the option match, whether it has ended is looked at: what else would be asked is in the call."""
    match = options.get("match") or {}
    wanted = match.get(f"{kind}_EXPIRED") if isinstance(match, dict) else None
    expired = None if wanted is None else boolean(wanted, f"option match: {kind}_EXPIRED")
    return [
        {
            f"{kind}_URN": str(one.urn),
            f"{kind}_UID": one.uuid,
            f"{kind}_ROLE": one.role.name,
            f"{kind}_EXPIRED": one.is_expired,
            "EXPIRED": one.is_expired,  # where omni looks for it
        }
        for one in found
        if expired in (None, one.is_expired)
    ]


def _slice_row(one: Slice, now: datetime) -> Row:
    return {
        "SLICE_URN": one.urn,
        "SLICE_UID": one.uuid,
        "SLICE_NAME": one.urn.name,
        "SLICE_DESCRIPTION": one.description,
        "SLICE_PROJECT_URN": one.project,
        "SLICE_CREATION": one.created_at,
        "SLICE_EXPIRATION": one.expires_at,
        "SLICE_EXPIRED": one.expires_at <= now,
    }


def _project_row(one: Project, now: datetime) -> Row:
    return {
        "PROJECT_URN": one.urn,
        "PROJECT_UID": one.uuid,
        "PROJECT_NAME": one.urn.name,
        "PROJECT_DESCRIPTION": one.description,
        "PROJECT_CREATION": one.created_at,
        "PROJECT_EXPIRATION": one.expires_at,
        "PROJECT_EXPIRED": one.is_expired(now),
    }


def _sliver_row(one: SliverInfo) -> Row:
    return {
        "SLIVER_INFO_URN": one.urn,
        "SLIVER_INFO_SLICE_URN": one.slice_urn,
        "SLIVER_INFO_AGGREGATE_URN": one.aggregate_urn,
        "SLIVER_INFO_CREATOR_URN": one.creator_urn,
        "SLIVER_INFO_CREATION": one.created_at,
        "SLIVER_INFO_EXPIRATION": one.expires_at,
    }


def _name(values: Mapping[str, Value], field: str) -> URN | None:
    value = values.get(field)
    return value if isinstance(value, URN) else None


def _moment(values: Mapping[str, Value], field: str) -> datetime | None:
    value = values.get(field)
    return value if isinstance(value, datetime) else None


def _text(values: Mapping[str, Value], field: str) -> str | None:
    value = values.get(field)
    return None if value is None else str(value)
