"""What there is to sell and who holds it: offers, their capacity, claims.

`used` is changed by conditional updates only, so that whatever a planner believed, nothing is sold twice; the sum of
the claims on a resource equals its `used`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from backends.protocol import Ability, Form, Image, Offer, SliverId, SliverType
from sfa_am.store.engine import Change, offers_changed
from sfa_am.store.schema import capacity, claim, offer
from sfa_am.store.slivers import in_portions


class Wanted(StrEnum):
    """What the operator wishes of an offer; whether its backend answers is another matter.

    UP:          it is used
    DRAINING:    nothing new is placed there; what is there goes on
    MAINTENANCE: besides, nothing is made or started there, since the host may stop at any time
    REMOVED:     it is forgotten, whatever its backend says, until a host joins in its place
    """

    UP = "up"
    DRAINING = "draining"
    MAINTENANCE = "maintenance"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """An offer with what is left of it.

    total, used: resource name -> amount
    is_up:       whether its backend answers; nothing new is placed while it doesn't
    wanted:      what the operator wishes of it
    """

    backend: str
    offer: Offer
    used: Mapping[str, int]
    is_up: bool
    wanted: Wanted = Wanted.UP

    @property
    def is_open(self) -> bool:
        """Whether something new may be placed there, if it fits."""
        return self.is_up and self.wanted is Wanted.UP

    def fits(self, kind: SliverType) -> bool:
        """Whether one more sliver of this kind has room."""
        return all(self.free(resource) >= amount for resource, amount in needs(kind).items())

    def free(self, resource: str) -> int:
        """What is left of a resource; never negative."""
        return max(0, self.offer.capacity.get(resource, 0) - self.used.get(resource, 0))


def needs(kind: SliverType) -> dict[str, int]:
    """What one sliver of a kind takes of an offer's capacity."""
    return {
        "slivers": 1,
        "cpus": round(kind.cpus * 1000),
        "memory_mib": kind.memory_mib,
        "disk_mib": kind.disk_mib,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """So much of a resource, for a sliver."""

    sliver_id: SliverId
    backend: str
    offer: str
    resource: str
    amount: int


class SoldOut(Exception):
    """Less is left than a claim wants; carries the claim."""

    def __init__(self, wanted: Claim) -> None:
        super().__init__(f"offer {wanted.offer} has less than {wanted.amount} {wanted.resource} left")
        self.wanted = wanted


class Shut(SoldOut):
    """The offer takes nothing new any more."""

    def __init__(self, wanted: Claim) -> None:
        super().__init__(wanted)
        self.args = (f"component {wanted.offer} takes nothing new any more",)


# Statements of every call, built once: building one takes longer than executing it.

_HERE = (
    (capacity.c.backend == bindparam("of_backend"))
    & (capacity.c.offer == bindparam("of_offer"))
    & (capacity.c.resource == bindparam("of_resource"))
)
_TAKE = (
    update(capacity)
    .where(_HERE, capacity.c.used + bindparam("more") <= capacity.c.total)
    .values(used=capacity.c.used + bindparam("more"))
)
_GIVE_BACK = update(capacity).where(_HERE).values(used=capacity.c.used - bindparam("less"))
_CLAIM = insert(claim)
_THEIRS = claim.c.sliver_id.in_(bindparam("ids", expanding=True))
_HELD = (
    select(claim.c.backend, claim.c.offer, claim.c.resource, func.sum(claim.c.amount))
    .where(_THEIRS)
    .group_by(claim.c.backend, claim.c.offer, claim.c.resource)
    .order_by(claim.c.backend, claim.c.offer, claim.c.resource)
)
_UNCLAIM = delete(claim).where(_THEIRS)
_SHUT = select(offer.c.name).where(
    offer.c.backend == bindparam("of_backend"),
    offer.c.name.in_(bindparam("names", expanding=True)),
    or_(offer.c.state != "up", offer.c.wanted != Wanted.UP.value),
)
_ALL_CAPACITY = select(capacity)
_ALL_OFFERS = (
    select(
        offer.c.backend,
        offer.c.name,
        offer.c.state,
        offer.c.wanted,
        type_coerce(offer.c.description, Text).label("description"),
    )
    .where(offer.c.wanted != Wanted.REMOVED.value)
    .order_by(offer.c.backend, offer.c.name)
)
_OF_BACKEND = select(
    offer.c.name, offer.c.state, offer.c.wanted, type_coerce(offer.c.description, Text).label("description")
).where(offer.c.backend == bindparam("of_backend"))
_TOTALS = select(capacity.c.offer, capacity.c.resource, capacity.c.total).where(
    capacity.c.backend == bindparam("of_backend")
)
_NOT_UP = select(offer.c.backend, offer.c.name, offer.c.wanted).where(offer.c.wanted != Wanted.UP.value)


def publish(tx: Connection, backend: str, offers: Sequence[Offer], *, now: datetime) -> None:
    """Store what a backend offers now; its offers that are not among them go away but keep their claims.

    What the operator has removed stays away: a host that is cut off may be believed to be there for some seconds more.
    Mostly nothing has changed, and then nothing but the time is written.
    """
    known = {row.name: row for row in tx.execute(_OF_BACKEND, {"of_backend": backend})}
    totals: dict[str, dict[str, int]] = defaultdict(dict)
    for row in tx.execute(_TOTALS, {"of_backend": backend}):
        totals[row.offer][row.resource] = row.total
    removed = {row.name for row in known.values() if row.wanted == Wanted.REMOVED.value}
    there = {one.name: one for one in offers if one.name not in removed}
    if gone := [row.name for row in known.values() if row.state == "up" and row.name not in there]:
        offers_changed(tx)
        for names in in_portions(gone):
            tx.execute(update(offer).where(offer.c.backend == backend, offer.c.name.in_(names)).values(state="away"))
    for one in there.values():
        was = known.get(one.name)
        if was is None or was.state != "up" or _offer(one.name, was.description) != replace(one, capacity={}):
            offers_changed(tx)
            _put(tx, backend, one, now)
        for resource, total in one.capacity.items():
            if totals[one.name].get(resource) != total:
                offers_changed(tx)
                _put_total(tx, backend, one.name, resource, total)
    tx.execute(update(offer).where(offer.c.backend == backend, offer.c.state == "up").values(seen_at=now))


def _put(tx: Connection, backend: str, one: Offer, now: datetime) -> None:
    values = {"description": _description(one), "state": "up", "seen_at": now}
    if tx.execute(update(offer).where(_named(backend, one.name)).values(**values)).rowcount == 0:
        tx.execute(insert(offer).values(backend=backend, name=one.name, **values))


def _put_total(tx: Connection, backend: str, name: str, resource: str, total: int) -> None:
    here = {"of_backend": backend, "of_offer": name, "of_resource": resource}
    if tx.execute(update(capacity).where(_HERE).values(total=total), here).rowcount == 0:
        tx.execute(insert(capacity).values(backend=backend, offer=name, resource=resource, total=total, used=0))


def away(tx: Connection, backend: str) -> None:
    """Nobody can be asked there: its offers take no new slivers until it publishes again."""
    offers_changed(tx)
    tx.execute(update(offer).where(offer.c.backend == backend).values(state="away"))


def stocks(tx: Connection) -> tuple[Stock, ...]:
    """All offers with their totals and what is used, in a stable order."""
    totals: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    used: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in tx.execute(_ALL_CAPACITY):
        totals[row.backend, row.offer][row.resource] = row.total
        used[row.backend, row.offer][row.resource] = row.used
    return tuple(
        Stock(
            backend=row.backend,
            offer=replace(_offer(row.name, row.description), capacity=totals[row.backend, row.name]),
            used=used[row.backend, row.name],
            is_up=row.state == "up",
            wanted=Wanted(row.wanted),
        )
        for row in tx.execute(_ALL_OFFERS)
    )


def wishes(tx: Connection) -> Mapping[tuple[str, str], Wanted]:
    """What the operator wishes of offers, by backend and name, where it is anything else than that they are used."""
    return {(row.backend, row.name): Wanted(row.wanted) for row in tx.execute(_NOT_UP)}


def seen_at(tx: Connection) -> Mapping[tuple[str, str], datetime]:
    """When the backend last said that an offer is there, by backend and name."""
    rows = tx.execute(select(offer.c.backend, offer.c.name, offer.c.seen_at))
    return {(row.backend, row.name): row.seen_at for row in rows}


def wish(tx: Connection, backend: str, name: str, wanted: Wanted) -> bool:
    """Store what the operator wishes of an offer. False when it is not there, or was removed."""
    offers_changed(tx)
    here = _named(backend, name) & (offer.c.wanted != Wanted.REMOVED.value)
    return tx.execute(update(offer).where(here).values(wanted=wanted.value)).rowcount == 1


def remove(tx: Connection, backend: str, name: str) -> None:
    """Forget what an offer has and who holds it, and don't believe its backend that it is there."""
    wish(tx, backend, name, Wanted.REMOVED)
    tx.execute(update(offer).where(_named(backend, name)).values(state="away"))
    tx.execute(delete(claim).where(claim.c.backend == backend, claim.c.offer == name))
    tx.execute(delete(capacity).where(capacity.c.backend == backend, capacity.c.offer == name))


def readmit(tx: Connection, backend: str, name: str) -> None:
    """Somebody has come in the place of what was removed: believe the backend again."""
    offers_changed(tx)
    tx.execute(delete(offer).where(_named(backend, name), offer.c.wanted == Wanted.REMOVED.value))


def is_removed(tx: Connection, backend: str, name: str) -> bool:
    """Whether the operator has removed it."""
    return wishes(tx).get((backend, name)) is Wanted.REMOVED


def take(tx: Connection, claims: Sequence[Claim]) -> None:
    """Take what is claimed, all of it or nothing; `claim_for` says later for whom.

    Raises SoldOut at the first claim that finds too little, or an offer that takes nothing new any more.
    Offers are locked in the order of their names, so that two transactions never wait for each other in a circle.
    """
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    for one in claims:
        sums[one.backend, one.offer, one.resource] += one.amount
    taken: list[Change] = []
    try:
        for (backend, offer_name, resource), amount in sorted(sums.items()):
            where = {"of_backend": backend, "of_offer": offer_name, "of_resource": resource}
            if tx.execute(_TAKE, {**where, "more": amount}).rowcount == 0:
                raise SoldOut(
                    next(c for c in claims if (c.backend, c.offer, c.resource) == (backend, offer_name, resource))
                )
            taken.append(Change(backend, offer_name, resource, amount))
        # Looked at after the update, which waits for whoever is about to shut it.
        _refuse_shut(tx, claims)
    except SoldOut:
        if taken:
            tx.execute(_GIVE_BACK, [_less(one.backend, one.offer, one.resource, one.more) for one in taken])
        raise
    offers_changed(tx, taken)


def _refuse_shut(tx: Connection, claims: Sequence[Claim]) -> None:
    for backend in {one.backend for one in claims}:
        for names in in_portions({one.offer for one in claims if one.backend == backend}):
            shut = set(tx.execute(_SHUT, {"of_backend": backend, "names": names}).scalars())
            if shut:
                raise Shut(next(one for one in claims if one.backend == backend and one.offer in shut))


def claim_for(tx: Connection, claims: Sequence[Claim]) -> None:
    """Write down for which slivers was taken what `take` took."""
    if claims:
        tx.execute(_CLAIM, [asdict(one) for one in claims])


def release(tx: Connection, ids: Iterable[SliverId]) -> None:
    """Give back what these slivers hold; nothing held is no error."""
    for some in in_portions(ids):
        held = tx.execute(_HELD, {"ids": some}).all()
        if held:
            tx.execute(_GIVE_BACK, [_less(*one) for one in held])
            offers_changed(tx, [Change(backend, name, resource, -amount) for backend, name, resource, amount in held])
        tx.execute(_UNCLAIM, {"ids": some})


def _less(backend: str, offer_name: str, resource: str, amount: int) -> dict[str, object]:
    return {"of_backend": backend, "of_offer": offer_name, "of_resource": resource, "less": amount}


def _named(backend: str, name: str) -> ColumnElement[bool]:
    return (offer.c.backend == backend) & (offer.c.name == name)


def _description(one: Offer) -> dict[str, object]:
    return {
        "sliver_types": [asdict(kind) for kind in one.sliver_types],
        "images": [asdict(image) for image in one.images],
        "hardware_types": list(one.hardware_types),
        "location": one.location,
        "abilities": list(one.abilities),
    }


@lru_cache(maxsize=100_000)
def _offer(name: str, written: str) -> Offer:
    """An offer without its capacity, which is all of it that changes often. `written`: its description, as stored."""
    description = json.loads(written)
    location = description["location"]
    return Offer(
        name=name,
        sliver_types=tuple(SliverType(**{**kind, "form": Form(kind["form"])}) for kind in description["sliver_types"]),
        images=tuple(Image(**{**image, "forms": tuple(map(Form, image["forms"]))}) for image in description["images"]),
        capacity={},
        hardware_types=tuple(description["hardware_types"]),
        location=tuple(location) if location else None,
        abilities=tuple(map(Ability, description.get("abilities", ()))),
    )
