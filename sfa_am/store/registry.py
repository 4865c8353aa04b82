"""Authorities, members and slices that this installation vouches for: rows in, frozen values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Select, delete, insert, select, update

from credentials import URN
from sfa_am.store.schema import authority, member, member_key, registered_slice, slice_member


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person. `gid`: PEM."""

    urn: URN
    uuid: str
    email: str
    gid: str
    keys: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredSlice:
    """A slice of this authority. `members`: URNs; `gid`: PEM."""

    urn: URN
    uuid: str
    description: str
    gid: str
    expires_at: datetime
    members: tuple[URN, ...]
    created_at: datetime


def put_authority(tx: Connection, urn: URN, gid: str, *, now: datetime) -> None:
    """Add an authority unless it is there."""
    if tx.execute(select(authority.c.urn).where(authority.c.urn == str(urn))).first() is None:
        tx.execute(insert(authority).values(urn=str(urn), uuid=str(uuid4()), gid=gid, created_at=now))


# Names compare without case: what is stored beside the value is the folded key.


def add_member(tx: Connection, one: Member, *, of: URN) -> None:
    """Add a person with their keys."""
    tx.execute(
        insert(member).values(
            urn=_key(one.urn),
            name=str(one.urn),
            authority_urn=str(of),
            uuid=one.uuid,
            email=one.email,
            gid=one.gid,
            created_at=one.created_at,
        )
    )
    set_keys(tx, one.urn, one.keys)


def member_by_urn(tx: Connection, urn: URN) -> Member | None:
    """A person by name."""
    return next(iter(_members(tx, select(member).where(member.c.urn == _key(urn)))), None)


def members(tx: Connection) -> Sequence[Member]:
    """Everybody, by name."""
    return _members(tx, select(member).order_by(member.c.urn))


def change_member(tx: Connection, urn: URN, **columns: object) -> None:
    """Set columns of a person."""
    tx.execute(update(member).where(member.c.urn == _key(urn)).values(**columns))


def set_keys(tx: Connection, urn: URN, keys: Sequence[str]) -> None:
    """Replace a person's SSH keys."""
    tx.execute(delete(member_key).where(member_key.c.member_urn == _key(urn)))
    rows = [{"member_urn": _key(urn), "position": place, "public_key": key} for place, key in enumerate(keys)]
    if rows:
        tx.execute(insert(member_key), rows)


def remove_member(tx: Connection, urn: URN) -> None:
    """Delete a person; keys and memberships go with them."""
    tx.execute(delete(member).where(member.c.urn == _key(urn)))


def add_slice(tx: Connection, one: RegisteredSlice, *, of: URN) -> None:
    """Add a slice with its members."""
    tx.execute(
        insert(registered_slice).values(
            urn=_key(one.urn),
            name=str(one.urn),
            authority_urn=str(of),
            uuid=one.uuid,
            description=one.description,
            gid=one.gid,
            expires_at=one.expires_at,
            created_at=one.created_at,
        )
    )
    set_slice_members(tx, one.urn, one.members)


def slice_by_urn(tx: Connection, urn: URN) -> RegisteredSlice | None:
    """A slice by name."""
    return next(iter(_slices(tx, select(registered_slice).where(registered_slice.c.urn == _key(urn)))), None)


def slices(tx: Connection) -> Sequence[RegisteredSlice]:
    """All slices, by name."""
    return _slices(tx, select(registered_slice).order_by(registered_slice.c.urn))


def slice_names(tx: Connection) -> tuple[URN, ...]:
    """The names of all slices, in order."""
    query = select(registered_slice.c.name).order_by(registered_slice.c.urn)
    return tuple(URN.parse(name) for name in tx.execute(query).scalars())


def slices_of(tx: Connection, person: URN) -> tuple[URN, ...]:
    """Names of the slices that a person is a member of."""
    query = (
        select(registered_slice.c.name)
        .join(slice_member, slice_member.c.slice_urn == registered_slice.c.urn)
        .where(slice_member.c.member_urn == _key(person))
        .order_by(registered_slice.c.urn)
    )
    return tuple(URN.parse(name) for name in tx.execute(query).scalars())


def change_slice(tx: Connection, urn: URN, **columns: object) -> None:
    """Set columns of a slice."""
    tx.execute(update(registered_slice).where(registered_slice.c.urn == _key(urn)).values(**columns))


def set_slice_members(tx: Connection, urn: URN, people: Sequence[URN]) -> None:
    """Replace the members of a slice."""
    tx.execute(delete(slice_member).where(slice_member.c.slice_urn == _key(urn)))
    rows = [{"slice_urn": _key(urn), "member_urn": _key(person)} for person in people]
    if rows:
        tx.execute(insert(slice_member), rows)


def slice_roles(tx: Connection, urn: URN) -> Mapping[URN, str]:
    """The members of a slice with their roles."""
    query = (
        select(member.c.name, slice_member.c.role)
        .join(member, member.c.urn == slice_member.c.member_urn)
        .where(slice_member.c.slice_urn == _key(urn))
        .order_by(member.c.urn)
    )
    return {URN.parse(name): role for name, role in tx.execute(query)}


def set_slice_roles(tx: Connection, urn: URN, people: Mapping[URN, str]) -> None:
    """Replace the members of a slice with others and their roles."""
    tx.execute(delete(slice_member).where(slice_member.c.slice_urn == _key(urn)))
    rows = [{"slice_urn": _key(urn), "member_urn": _key(person), "role": str(role)} for person, role in people.items()]
    if rows:
        tx.execute(insert(slice_member), rows)


def roles_in_slices(tx: Connection, person: URN) -> Mapping[URN, str]:
    """The slices that a person belongs to, with their roles."""
    query = (
        select(registered_slice.c.name, slice_member.c.role)
        .join(registered_slice, registered_slice.c.urn == slice_member.c.slice_urn)
        .where(slice_member.c.member_urn == _key(person))
        .order_by(registered_slice.c.urn)
    )
    return {URN.parse(name): role for name, role in tx.execute(query)}


def remove_slice(tx: Connection, urn: URN) -> None:
    """Delete a slice's record; what it holds at aggregates is theirs to end."""
    tx.execute(delete(registered_slice).where(registered_slice.c.urn == _key(urn)))


def _members(tx: Connection, query: Select[Any]) -> list[Member]:
    return [
        Member(
            urn=URN.parse(row["name"]),
            uuid=row["uuid"],
            email=row["email"],
            gid=row["gid"],
            keys=tuple(
                tx.execute(
                    select(member_key.c.public_key)
                    .where(member_key.c.member_urn == row["urn"])
                    .order_by(member_key.c.position)
                ).scalars()
            ),
            created_at=row["created_at"],
        )
        for row in tx.execute(query).mappings()
    ]


def _slices(tx: Connection, query: Select[Any]) -> list[RegisteredSlice]:
    return [
        RegisteredSlice(
            urn=URN.parse(row["name"]),
            uuid=row["uuid"],
            description=row["description"],
            gid=row["gid"],
            expires_at=row["expires_at"],
            members=tuple(
                URN.parse(name)
                for name in tx.execute(
                    select(member.c.name)
                    .join(slice_member, slice_member.c.member_urn == member.c.urn)
                    .where(slice_member.c.slice_urn == row["urn"])
                    .order_by(member.c.urn)
                ).scalars()
            ),
            created_at=row["created_at"],
        )
        for row in tx.execute(query).mappings()
    ]


def _key(urn: URN) -> str:
    return str(urn).lower()
