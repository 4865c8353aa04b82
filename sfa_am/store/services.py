"""Services of the federation that an operator made known here: aggregates and authorities beside our own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from credentials import URN
from sfa_am.store.schema import service


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRow:
    """A service. type: "AGGREGATE_MANAGER", "SLICE_AUTHORITY", "MEMBER_AUTHORITY", ...; certificate: PEM or empty."""

    urn: URN
    url: str
    type: str
    name: str
    description: str = ""
    certificate: str = ""
    created_at: datetime


def put(tx: Connection, one: ServiceRow) -> None:
    """Add a service, or change what is told of it."""
    remove(tx, one.urn, one.url)
    tx.execute(
        insert(service).values(
            urn=str(one.urn),
            url=one.url,
            type=one.type,
            name=one.name,
            description=one.description,
            certificate=one.certificate,
            created_at=one.created_at,
        )
    )


def remove(tx: Connection, urn: URN, url: str) -> bool:
    """Forget a service. False when it was not there."""
    here = (service.c.urn == str(urn)) & (service.c.url == url)
    return tx.execute(delete(service).where(here)).rowcount == 1


def everything(tx: Connection) -> Sequence[ServiceRow]:
    """All services, by name."""
    rows = tx.execute(select(service).order_by(service.c.urn, service.c.url)).mappings()
    return tuple(ServiceRow(**{**row, "urn": URN.parse(row["urn"])}) for row in rows)
