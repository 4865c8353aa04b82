"""Roles of members in authorities (so in projects) and in slices, and what each is good for."""

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import Connection

from credentials import URN


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
