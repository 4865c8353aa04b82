"""Events: what happened, to what, by whom. Written in the transaction that made it so; nothing reads them to decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from backends.protocol import SliverId
from credentials import URN
from sfa_am.store.schema import event


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    actor:     URN of the user, or the name of our loop that acted ("expiry", "worker", "sweep")
    spoken_by: URN of the tool that spoke for the user
    what:      a short word: the call's name, or "ready", "failed", "removed", "expired", ...
    """

    at: datetime
    actor: str
    what: str
    slice_urn: URN | None = None
    sliver_id: SliverId | None = None
    spoken_by: URN | None = None
    request_id: str | None = None
    detail: str = ""


_ADD = insert(event)  # built once: building a statement takes longer than executing it


def add(tx: Connection, events: Sequence[Event]) -> None:
    """Write events down."""
    if events:
        tx.execute(
            _ADD,
            [
                {
                    "at": one.at,
                    "slice_urn": None if one.slice_urn is None else str(one.slice_urn),
                    "sliver_id": one.sliver_id,
                    "actor": one.actor,
                    "spoken_by": None if one.spoken_by is None else str(one.spoken_by),
                    "request_id": one.request_id,
                    "what": one.what,
                    "detail": one.detail,
                }
                for one in events
            ],
        )


def latest(tx: Connection, *, most: int) -> tuple[Event, ...]:
    """The newest events, newest first."""
    rows = tx.execute(select(event).order_by(event.c.id.desc()).limit(most)).mappings()
    return tuple(
        Event(
            at=row["at"],
            actor=row["actor"],
            what=row["what"],
            slice_urn=URN.parse(row["slice_urn"]) if row["slice_urn"] else None,
            sliver_id=SliverId(row["sliver_id"]) if row["sliver_id"] else None,
            spoken_by=URN.parse(row["spoken_by"]) if row["spoken_by"] else None,
            request_id=row["request_id"],
            detail=row["detail"],
        )
        for row in rows
    )
