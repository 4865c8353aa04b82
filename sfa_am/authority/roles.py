"""Roles of members in authorities (so in projects) and in slices, and what each is good for."""

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import Connection

from credentials import URN
from sfa_am.store import authorities, registry


class Role(StrEnum):
    """The roles there are, as they are stored."""

    LEAD = "lead"
    ADMIN = "admin"
    MEMBER = "member"
    AUDITOR = "auditor"
    OPERATOR = "operator"


DECIDES = frozenset({Role.LEAD, Role.ADMIN})
"""Who changes everything in an authority and below it, and the members of a slice."""

WORKS = frozenset({Role.LEAD, Role.ADMIN, Role.MEMBER})
"""Who makes slices in a project, and uses a slice."""

OVERSEES = frozenset({Role.LEAD, Role.ADMIN, Role.AUDITOR, Role.OPERATOR})
"""Who sees all that is below an authority."""


def in_authorities(tx: Connection, person: URN) -> dict[URN, Role]:
    """A person's roles in authorities."""
    return _roles(authorities.of_person(tx, person))


def in_slices(tx: Connection, person: URN) -> dict[URN, Role]:
    """A person's roles in slices."""
    return _roles(registry.roles_in_slices(tx, person))


def of_authority(tx: Connection, urn: URN) -> dict[URN, Role]:
    """The members of an authority."""
    return _roles(authorities.members(tx, urn))


def of_slice(tx: Connection, urn: URN) -> dict[URN, Role]:
    """The members of a slice."""
    return _roles(registry.slice_roles(tx, urn))


def _roles(stored: Mapping[URN, str]) -> dict[URN, Role]:
    return {urn: Role(role) for urn, role in stored.items()}
