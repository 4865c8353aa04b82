"""Members' first and last names: what people call each other, where a member told it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, insert, select

from credentials import URN
from sfa_am.store.schema import member, member_profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The names of a person; empty where not told."""

    first_name: str = ""
    last_name: str = ""


def everybodys(tx: Connection) -> Mapping[URN, Profile]:
    """Of all who told something."""
    query = select(member_profile, member.c.name).join(member, member.c.urn == member_profile.c.member_urn)
    return {
        URN.parse(row["name"]): Profile(first_name=row["first_name"], last_name=row["last_name"])
        for row in tx.execute(query).mappings()
    }


def change(tx: Connection, person: URN, **names: str) -> None:
    """Set some of a person's names."""
    key = member_profile.c.member_urn == str(person).lower()
    row = tx.execute(select(member_profile).where(key)).mappings().first()
    known = Profile(first_name=row["first_name"], last_name=row["last_name"]) if row else Profile()
    new = replace(known, **names)
    tx.execute(delete(member_profile).where(key))
    tx.execute(
        insert(member_profile).values(
            member_urn=str(person).lower(), first_name=new.first_name, last_name=new.last_name
        )
    )
