"""Records of nodes: names that an authority vouches for. What an aggregate offers stands elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, true, update

from credentials import URN
from sfa_am.store.schema import node


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """A node. gid: PEM."""

    urn: URN
    authority_urn: URN
    uuid: str
    hostname: str
    gid: str
    created_at: datetime


def add(tx: Connection, one: NodeRow) -> None:
    """Add a node."""
    tx.execute(
        insert(node).values(
            urn=_key(one.urn),
            name=str(one.urn),
            authority_urn=str(one.authority_urn),
            uuid=one.uuid,
            hostname=one.hostname,
            gid=one.gid,
            created_at=one.created_at,
        )
    )


def by_urn(tx: Connection, urn: URN) -> NodeRow | None:
    """A node by name."""
    return next(iter(_read(tx, node.c.urn == _key(urn))), None)


def everything(tx: Connection) -> Sequence[NodeRow]:
    """All nodes, by name."""
    return _read(tx, true())


def change(tx: Connection, urn: URN, **columns: object) -> None:
    """Set columns of a node."""
    tx.execute(update(node).where(node.c.urn == _key(urn)).values(**columns))


def remove(tx: Connection, urn: URN) -> None:
    """Delete a node's record."""
    tx.execute(delete(node).where(node.c.urn == _key(urn)))


def _read(tx: Connection, which: ColumnElement[bool]) -> list[NodeRow]:
    rows = tx.execute(select(node).where(which).order_by(node.c.urn)).mappings()
    return [
        NodeRow(
            urn=URN.parse(row["name"]),
            authority_urn=URN.parse(row["authority_urn"]),
            uuid=row["uuid"],
            hostname=row["hostname"],
            gid=row["gid"],
            created_at=row["created_at"],
        )
        for row in rows
    ]


def _key(urn: URN) -> str:
    return str(urn).lower()
