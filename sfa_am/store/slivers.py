"""Slices and slivers: rows in, frozen values out.

A sliver row lives from Allocate until its removal is confirmed; what happened to it stays in the events.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cache
from ipaddress import IPv4Interface, ip_interface, ip_network
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, Select, Update, bindparam, delete, func, insert, or_, select, update

from backends.protocol import (
    Account,
    Form,
    Login,
    Machine,
    Member,
    Observation,
    Opening,
    Port,
    Published,
    Rule,
    Seen,
    Segment,
    Sender,
    SliceId,
    SliverId,
    SliverSpec,
    Traffic,
)
from credentials import URN
from sfa_am.store import schema
from sfa_am.store.schema import slice_, sliver

Name = TypeVar("Name", bound=str)

GONE = "geni_unallocated"
"""Allocation of a sliver that is being removed: invisible to clients, still known to the loops."""

ROWS_PER_STATEMENT = 500
"""SQLite takes at most 32,766 variables in one statement; lists of ids are cut to stay far below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """A slice that has, or had, slivers here.

    extensions: elements of its requests that belong to no sliver, as XML
    """

    id: SliceId
    urn: URN
    shut_down_at: datetime | None
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SliverUser:
    """A person who may log in: the URN as given, the login name made of it, OpenSSH public keys."""

    urn: str
    login: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliverRow:
    """One sliver: what was asked for, what is wanted, what was seen. Columns as in `schema.sliver`."""

    id: SliverId
    slice_id: SliceId
    position: int
    kind: str
    client_id: str
    source: str
    backend: str
    offer: str
    owner: str
    allocation: str
    expires_at: datetime
    update_ends_at: datetime | None
    created_at: datetime
    generation: int
    shape: Machine | Segment
    users: tuple[SliverUser, ...]
    running: bool
    restarts: int
    reloads: int
    seen: Seen
    seen_generation: int
    seen_at: datetime | None
    fault: str
    logins: tuple[Login, ...]
    published: tuple[Published, ...] = ()

    def spec(self) -> SliverSpec:
        """What its backend is asked to make true."""
        return SliverSpec(
            sliver=self.id,
            slice=self.slice_id,
            offer=self.offer,
            generation=self.generation,
            shape=self.shape,
            running=self.running,
            restarts=self.restarts,
            reloads=self.reloads,
        )


def new_id() -> str:
    """An identifier never used before: 80 random bits, so that names derived from it stay short."""
    return secrets.token_hex(10)


# Statements of every call, built once: building one takes longer than executing it.

_SLICE_BY_URN = select(slice_).where(slice_.c.urn_key == bindparam("key"))
_SLICE_BY_ID = select(slice_).where(slice_.c.id == bindparam("key"))
_ADD = insert(sliver)
_OF_SLICE = (
    select(sliver)
    .where(sliver.c.slice_id == bindparam("key"), sliver.c.allocation != GONE)
    .order_by(sliver.c.created_at, sliver.c.position)
)
_BY_ID = select(sliver).where(sliver.c.id == bindparam("key"))
_EXPIRED = (
    select(sliver)
    .where(sliver.c.expires_at <= bindparam("now"), sliver.c.allocation != GONE)
    .order_by(sliver.c.expires_at)
    .limit(bindparam("most"))
)
_STALE_UPDATES = select(sliver).where(
    sliver.c.update_ends_at <= bindparam("now"), sliver.c.allocation == "geni_updating"
)
_DESIRED = ("generation", "allocation", "expires_at", "shape", "source", "users", "running", "restarts", "reloads")
_WISH = (
    update(sliver).where(sliver.c.id == bindparam("key")).values({name: bindparam(f"new_{name}") for name in _DESIRED})
)
_RECORD = (
    update(sliver)
    .where(sliver.c.id == bindparam("key"))
    .where(or_(sliver.c.seen_generation <= bindparam("of_generation"), bindparam("of_generation") == 0))
    .values(
        seen=bindparam("new_seen"),
        seen_generation=func.coalesce(func.nullif(bindparam("of_generation"), 0), sliver.c.seen_generation),
        seen_at=bindparam("now"),
        fault=bindparam("new_fault"),
        logins=bindparam("new_logins"),
        published=bindparam("new_published"),
    )
)
_FORGET = delete(sliver).where(sliver.c.id == bindparam("key"), sliver.c.allocation == GONE)

# Slices


def slice_by_urn(tx: Connection, urn: URN) -> SliceRow | None:
    """The slice of this name, whatever its letters' case."""
    row = tx.execute(_SLICE_BY_URN, {"key": urn_key(urn)}).mappings().first()
    return None if row is None else _slice_row(row)


def slice_by_id(tx: Connection, slice_id: SliceId) -> SliceRow:
    """The slice with this identifier. Raises NoResultFound: identifiers come from our own rows."""
    return _slice_row(tx.execute(_SLICE_BY_ID, {"key": slice_id}).mappings().one())


def add_slice(tx: Connection, urn: URN, *, now: datetime) -> SliceRow:
    """A new slice row."""
    row = SliceRow(id=SliceId(new_id()), urn=urn, shut_down_at=None)
    tx.execute(insert(slice_).values(id=row.id, urn=str(urn), urn_key=urn_key(urn), created_at=now))
    return row


def keep_extensions(tx: Connection, row: SliceRow, extensions: Sequence[str]) -> SliceRow:
    """Remember these elements with a slice in place of those it had."""
    tx.execute(update(slice_).where(slice_.c.id == row.id).values(extensions=list(extensions)))
    return replace(row, extensions=tuple(extensions))


def shut_down(tx: Connection, slice_id: SliceId, *, now: datetime) -> None:
    """Mark a slice as shut down; its slivers stay for the operator to look at."""
    tx.execute(update(slice_).where(slice_.c.id == slice_id).values(shut_down_at=now))


def urn_key(urn: URN) -> str:
    """Slice names compare without case (GENI AM API v3, identifiers)."""
    return str(urn).lower()


def _slice_row(row: RowMapping) -> SliceRow:
    return SliceRow(
        id=SliceId(row["id"]),
        urn=URN.parse(row["urn"]),
        shut_down_at=row["shut_down_at"],
        extensions=tuple(row["extensions"]),
    )


# Slivers


def add(tx: Connection, rows: Sequence[SliverRow]) -> None:
    """Insert new slivers."""
    tx.execute(_ADD, [_columns(row) for row in rows])


def of_slice(tx: Connection, slice_id: SliceId) -> tuple[SliverRow, ...]:
    """The slivers that clients see, in the order they were requested."""
    return _rows(tx, _OF_SLICE, key=slice_id)


def by_id(tx: Connection, sliver_id: SliverId) -> SliverRow | None:
    """One sliver, also while it is being removed."""
    return next(iter(_rows(tx, _BY_ID, key=sliver_id)), None)


def of_backend(tx: Connection, backend: str) -> tuple[SliverRow, ...]:
    """All slivers that a backend should know, those being removed included; not those only allocated."""
    return _rows(tx, select(sliver).where(sliver.c.backend == backend, sliver.c.allocation != "geni_allocated"))


def of_offer(tx: Connection, backend: str, offer: str) -> tuple[SliverRow, ...]:
    """All slivers at an offer, whatever becomes of them, in the order of their making."""
    here = (sliver.c.backend == backend) & (sliver.c.offer == offer)
    return _rows(tx, select(sliver).where(here).order_by(sliver.c.created_at, sliver.c.position))


def expired(tx: Connection, *, now: datetime, most: int) -> tuple[SliverRow, ...]:
    """Slivers whose lease has ended, oldest first."""
    return _rows(tx, _EXPIRED, now=now, most=most)


def stale_updates(tx: Connection, *, now: datetime) -> tuple[SliverRow, ...]:
    """Slivers about to go with an update that nobody carried out in time."""
    return _rows(tx, _STALE_UPDATES, now=now)


def counts(tx: Connection) -> Mapping[tuple[str, str], int]:
    """Number of slivers by (allocation, seen), for `sfa-am status`."""
    rows = tx.execute(
        select(sliver.c.allocation, sliver.c.seen, func.count()).group_by(sliver.c.allocation, sliver.c.seen)
    )
    return {(allocation, seen): number for allocation, seen, number in rows}


def counts_at_offers(tx: Connection) -> Mapping[tuple[str, str], int]:
    """Number of slivers that clients see, by backend and offer."""
    visible = select(sliver.c.backend, sliver.c.offer, func.count()).where(sliver.c.allocation != GONE)
    rows = tx.execute(visible.group_by(sliver.c.backend, sliver.c.offer))
    return {(backend, offer): number for backend, offer, number in rows}


def change(tx: Connection, ids: Iterable[SliverId], **columns: object) -> None:
    """Set the same columns of several slivers."""
    statement = _change(tuple(columns))
    values = {f"new_{name}": value for name, value in columns.items()}
    for some in in_portions(ids):
        tx.execute(statement, {"ids": some, **values})


@cache
def _change(names: tuple[str, ...]) -> Update:
    return (
        update(sliver)
        .where(sliver.c.id.in_(bindparam("ids", expanding=True)))
        .values({name: bindparam(f"new_{name}") for name in names})
    )


def change_wish(tx: Connection, row: SliverRow, **columns: object) -> None:
    """Set desired columns of one sliver; its generation grows."""
    wished = replace(row, generation=row.generation + 1, **columns)  # type: ignore[arg-type]  # their types are the fields'
    tx.execute(_WISH, {"key": row.id, **{f"new_{name}": _plain(getattr(wished, name)) for name in _DESIRED}})


def record(tx: Connection, observation: Observation, *, now: datetime) -> bool:
    """Store what a backend saw, unless something newer was seen already. Says whether it was stored."""
    seen = {
        "key": observation.sliver,
        "of_generation": observation.generation,
        "new_seen": observation.seen.value,
        "now": now,
        "new_fault": observation.fault,
        "new_logins": [asdict(login) for login in observation.logins],
        "new_published": [asdict(one) for one in observation.published],
    }
    return tx.execute(_RECORD, seen).rowcount == 1


def forget(tx: Connection, sliver_id: SliverId) -> None:
    """Delete the row of a sliver that is confirmed to be gone; claims and operation go with it."""
    tx.execute(_FORGET, {"key": sliver_id})


def in_portions(ids: Iterable[Name]) -> Iterable[list[Name]]:
    """Cut a list of identifiers into what one statement takes."""
    everything = list(ids)
    return (everything[i : i + ROWS_PER_STATEMENT] for i in range(0, len(everything), ROWS_PER_STATEMENT))


# Between values and columns


def _rows(tx: Connection, query: Select[Any], **parameters: object) -> tuple[SliverRow, ...]:
    return tuple(_sliver_row(row) for row in tx.execute(query, parameters).mappings())


def _columns(row: SliverRow) -> dict[str, object]:
    return {name: _plain(getattr(row, name)) for name in SliverRow.__slots__}


def _plain(value: object) -> object:
    """A value as the column keeps it."""
    match value:
        case Machine():
            ports, rules = [_with_addresses(port) for port in value.ports], [_plain_rule(rule) for rule in value.rules]
            return {"machine": asdict(value) | {"ports": ports, "rules": rules}}
        case Segment():
            members = [_with_addresses(member) for member in value.members]
            server = value.server and str(value.server)
            return {"segment": asdict(value) | {"members": members, "server": server}}
        case Seen():
            return value.value
        case tuple():
            return [asdict(part) for part in value]
        case _:
            return value


def _with_addresses(end: Port | Member) -> dict[str, object]:
    return asdict(end) | {"addresses": [str(address) for address in end.addresses]}


def _plain_rule(rule: Rule) -> dict[str, object]:
    return asdict(rule) | {"source": rule.source and str(rule.source)}


def _sliver_row(row: RowMapping) -> SliverRow:
    columns = dict(row)
    columns["shape"] = _shape(row["shape"])
    columns["users"] = tuple(
        SliverUser(urn=user["urn"], login=user["login"], keys=tuple(user["keys"])) for user in row["users"]
    )
    columns["seen"] = Seen(row["seen"])
    columns["logins"] = tuple(Login(**login) for login in row["logins"])
    columns["published"] = tuple(Published(**{**one, "traffic": Traffic(one["traffic"])}) for one in row["published"])
    return SliverRow(**columns)


def _shape(stored: Mapping[str, Any]) -> Machine | Segment:
    if "segment" in stored:
        return _segment(stored["segment"])
    machine = dict(stored["machine"])
    machine["form"] = Form(machine["form"])
    machine["accounts"] = tuple(Account(name=a["name"], keys=tuple(a["keys"])) for a in machine["accounts"])
    machine["ports"] = tuple(
        Port(
            name=port["name"],
            link=SliverId(port["link"]),
            mac=port["mac"],
            addresses=tuple(ip_interface(address) for address in port["addresses"]),
            sender=Sender(port["sender"]),
            asks=port.get("asks", False),
        )
        for port in machine["ports"]
    )
    machine["rules"] = tuple(
        Rule(
            allows=rule["allows"],
            traffic=Traffic(rule["traffic"]),
            ports=rule["ports"] and (rule["ports"][0], rule["ports"][1]),
            source=rule["source"] and ip_network(rule["source"]),
            interface=rule["interface"],
        )
        for rule in machine["rules"]
    )
    machine["openings"] = tuple(
        Opening(traffic=Traffic(one["traffic"]), port=one["port"]) for one in machine.get("openings", ())
    )
    return Machine(**machine)


def _segment(stored: Mapping[str, Any]) -> Segment:
    """What an older release has written has only some of it."""
    members = tuple(
        Member(
            hostname=member["hostname"],
            mac=member["mac"],
            addresses=tuple(ip_interface(address) for address in member["addresses"]),
        )
        for member in stored.get("members", ())
    )
    server = IPv4Interface(stored["server"]) if stored.get("server") else None
    return Segment(**{**stored, "members": members, "server": server})


assert set(SliverRow.__slots__) == set(schema.sliver.c.keys())  # noqa: S101 - the two lists are one
