"""What tools tell of slivers, here or at other aggregates: kept for people who look for what a slice holds."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from credentials import URN
from sfa_am.authority.callers import Callers, Person, Shown
from sfa_am.authority.roles import OVERSEES
from sfa_am.authority.slice_authority import visible, write_down
from sfa_am.errors import AlreadyExists, BadArgs, Forbidden, NotFound, Refused
from sfa_am.store import Store, sliver_infos
from sfa_am.store.sliver_infos import SliverInfo as SliverInfo  # told to clients as it is stored

MOST_OF_A_SLICE = 10_000


class SliversTold:
    """Sliver infos. All methods raise AMError subclasses."""

    def __init__(self, store: Store, callers: Callers) -> None:
        self._store = store
        self._callers = callers

    def create(
        self,
        shown: Shown,
        urn: URN,
        *,
        slice_urn: URN,
        aggregate: URN,
        creator: URN,
        created_at: datetime | None = None,
        expires_at: datetime | None = None,
        now: datetime,
    ) -> SliverInfo:
        """Write down that a slice holds a sliver. `creator`: the caller, or another member of the slice."""
        if aggregate.type != "authority" or creator.type != "user":
            raise BadArgs(f"{aggregate} must name an aggregate and {creator} a user")
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            slice_ = visible(tx, person, slice_urn)
            if not person.works_with(slice_.urn):
                raise Forbidden(f"{person.urn} may look at {slice_urn}, and tell nothing of it")
            if creator != person.urn and creator not in slice_.members:
                raise BadArgs(f"{creator} is no member of {slice_urn}, and made no sliver of it")
            if any(one.slice_urn == slice_.urn for one in sliver_infos.named(tx, urn)):
                raise AlreadyExists(f"sliver {urn} of {slice_urn} is known already")
            if sliver_infos.count(tx, slice_.urn) >= MOST_OF_A_SLICE:
                raise Refused(f"{MOST_OF_A_SLICE} slivers of {slice_urn} are known already; delete what has ended")
            told = SliverInfo(
                urn=urn,
                slice_urn=slice_.urn,
                aggregate_urn=aggregate,
                creator_urn=creator,
                created_at=created_at or now,
                expires_at=expires_at,
            )
            sliver_infos.add(tx, told)
            write_down(tx, person, "create_sliver_info", slice_.urn, now)
        return told

    def find(self, shown: Shown, *, of: Collection[URN] | None = None, now: datetime) -> list[SliverInfo]:
        """What is known of the slices whose content the caller may look at, and what they made themselves.

        of: only of these slices
        """
        proven = self._callers.prove(shown, now=now)
        with self._store.reading() as tx:
            person = self._callers.person(tx, proven)
            if of is None and not OVERSEES.intersection(person.authorities.values()):
                found = sliver_infos.concerning(tx, person.urn, person.slices)
            else:
                found = sliver_infos.everything(tx, slices=of)
        return [one for one in found if one.creator_urn == person.urn or person.inspects(one.slice_urn)]

    def change(self, shown: Shown, urn: URN, *, expires_at: datetime | None, now: datetime) -> None:
        """Say when a sliver ends."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            told = _theirs(tx, person, urn)
            sliver_infos.set_end(tx, told, expires_at)
            write_down(tx, person, "update_sliver_info", told.slice_urn, now)

    def remove(self, shown: Shown, urn: URN, *, now: datetime) -> None:
        """Say that a sliver is gone."""
        proven = self._callers.prove(shown, now=now)
        with self._store.transaction() as tx:
            person = self._callers.person(tx, proven)
            told = _theirs(tx, person, urn)
            sliver_infos.remove(tx, told)
            write_down(tx, person, "delete_sliver_info", told.slice_urn, now)


def _theirs(tx: Connection, person: Person, urn: URN) -> SliverInfo:
    told = next((one for one in sliver_infos.named(tx, urn) if person.works_with(one.slice_urn)), None)
    if told is None:
        # omni looks for the first words, and then registers the sliver instead of updating it
        raise NotFound(f"Unknown sliver urn {urn}: there is none of this name in your slices")
    return told
