"""Authorities that this installation keeps, and the roles that members have in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, true, update

from credentials import URN
from sfa_am.store.schema import authority, authority_member, member, node, registered_slice


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityRow:
    """An authority. parent_urn: None for the top one; gid: PEM; expires_at: None where it doesn't end."""

    urn: URN
    parent_urn: URN | None
    uuid: str
    description: str = ""
    gid: str
    expires_at: datetime | None = None
    created_at: datetime


def add(tx: Connection, one: AuthorityRow) -> None:
    """Add an authority."""
    tx.execute(
        insert(authority).values(
            urn=str(one.urn),
            parent_urn=None if one.parent_urn is None else str(one.parent_urn),
            uuid=one.uuid,
            description=one.description,
            gid=one.gid,
            expires_at=one.expires_at,
            created_at=one.created_at,
        )
    )


def by_urn(tx: Connection, urn: URN) -> AuthorityRow | None:
    """An authority by name."""
    return next(iter(_read(tx, func.lower(authority.c.urn) == str(urn).lower())), None)


def everything(tx: Connection) -> Sequence[AuthorityRow]:
    """All authorities, by name."""
    return _read(tx, true())


def children(tx: Connection, urn: URN) -> Sequence[AuthorityRow]:
    """The authorities directly below one, by name."""
    return _read(tx, authority.c.parent_urn == str(urn))


def change(tx: Connection, urn: URN, **columns: object) -> None:
    """Set columns of an authority."""
    tx.execute(update(authority).where(authority.c.urn == str(urn)).values(**columns))


def remove(tx: Connection, urn: URN) -> None:
    """Delete an authority; memberships go with it."""
    tx.execute(delete(authority).where(authority.c.urn == str(urn)))


def count_below(tx: Connection, urn: URN) -> int:
    """How many slices, members, nodes and authorities are directly below one."""
    above = (
        (registered_slice, registered_slice.c.authority_urn),
        (member, member.c.authority_urn),
        (node, node.c.authority_urn),
        (authority, authority.c.parent_urn),
    )
    return sum(
        tx.execute(select(func.count()).select_from(table).where(column == str(urn))).scalar_one()
        for table, column in above
    )


def members(tx: Connection, urn: URN) -> Mapping[URN, str]:
    """Who belongs to an authority, with their roles."""
    query = (
        select(member.c.name, authority_member.c.role)
        .join(member, member.c.urn == authority_member.c.member_urn)
        .where(authority_member.c.authority_urn == str(urn))
        .order_by(member.c.urn)
    )
    return {URN.parse(name): role for name, role in tx.execute(query)}


def set_members(tx: Connection, urn: URN, people: Mapping[URN, str]) -> None:
    """Replace the members of an authority."""
    tx.execute(delete(authority_member).where(authority_member.c.authority_urn == str(urn)))
    rows = [
        {"authority_urn": str(urn), "member_urn": str(one).lower(), "role": str(role)} for one, role in people.items()
    ]
    if rows:
        tx.execute(insert(authority_member), rows)


def of_person(tx: Connection, person: URN) -> Mapping[URN, str]:
    """The authorities that a person belongs to, with their roles."""
    query = select(authority_member.c.authority_urn, authority_member.c.role).where(
        authority_member.c.member_urn == str(person).lower()
    )
    return {URN.parse(name): role for name, role in tx.execute(query)}


def _read(tx: Connection, which: ColumnElement[bool]) -> list[AuthorityRow]:
    rows = tx.execute(select(authority).where(which).order_by(authority.c.urn)).mappings()
    return [
        AuthorityRow(
            urn=URN.parse(row["urn"]),
            parent_urn=URN.parse(row["parent_urn"]) if row["parent_urn"] else None,
            uuid=row["uuid"],
            description=row["description"],
            gid=row["gid"],
            expires_at=row["expires_at"],
            created_at=row["created_at"],
        )
        for row in rows
    ]
