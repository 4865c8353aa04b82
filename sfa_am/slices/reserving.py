"""The calls that promise resources to a slice, and the one that has them made."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import IPv4Interface, IPv4Network

from sqlalchemy import Connection

from backends.protocol import Machine, Seen, Segment, SliverId
from credentials import URN, Authorization
from rspec import Request, RSpecError, WrongVersion, read_request
from sfa_am.errors import AlreadyExists, BadArgs, BadVersion, NotFeasible, Reason
from sfa_am.slices import lease, logins
from sfa_am.slices.addresses import AddressPlan
from sfa_am.slices.begun_from import begun
from sfa_am.slices.change import changed, waiting
from sfa_am.slices.desk import (
    Attempt,
    Desk,
    Presented,
    again,
    end_slivers,
    keep_after_all,
    require_no_maintenance,
)
from sfa_am.slices.placement import Placed, Plan, own_part, place
from sfa_am.slices.policy import RESOURCES, Asked
from sfa_am.slices.reasons import first_few
from sfa_am.slices.replies import Described
from sfa_am.slices.selection import Selected, require_running_slice, require_some
from sfa_am.slices.states import Allocation, Call, after
from sfa_am.store import networks, offers, slivers
from sfa_am.store.offers import SoldOut, Wanted
from sfa_am.store.slivers import SliceRow, SliverRow, SliverUser


class Reserving(Desk):
    """Allocate, Update, Provision, and version 2's CreateSliver."""

    def allocate(
        self,
        who: Presented,
        slice_urn: URN,
        document: str,
        *,
        end_at: datetime | None,
        now: datetime,
        dry_run: bool = False,
    ) -> Described:
        """Reserve what a request RSpec describes, all of it or nothing.

        dry_run: answer what would be granted, and grant nothing

        Raises BadArgs, BadVersion (the request), AlreadyExists (a client_id the slice has already), NotFeasible,
        Refused (policy).
        """
        auth = self._authorise(who, slice_urn, "createsliver", now)
        request = self._request(document)
        ends_at = self._first_end(auth, after(Allocation.UNALLOCATED, Call.ALLOCATE), end_at, now)
        with self._store.trial() if dry_run else self._store.transaction() as tx:
            held = self._held(tx, auth)
            _refuse_known({s.client_id for s in held.slivers}, request)
            row, rows = self._reserve(tx, auth, held, request, ends_at, now)
            self._write_down(tx, who, auth, Call.ALLOCATE, rows, now)
        return self._described(auth.target, row, rows, now)

    def create(
        self,
        who: Presented,
        slice_urn: URN,
        document: str,
        *,
        users: Iterable[tuple[str, Sequence[str]]],
        end_at: datetime | None,
        now: datetime,
    ) -> Described:
        """Reserve and have made in one step, for a slice that has nothing here yet.

        Raises what `allocate` raises; AlreadyExists when the slice has anything here.
        """
        auth = self._authorise(who, slice_urn, "createsliver", now)
        people = logins.sliver_users(users)
        request = self._request(document)
        ends_at = self._first_end(auth, Allocation.PROVISIONED, end_at, now)
        with self._store.transaction() as tx:
            held = self._held(tx, auth)
            if held.slivers:
                raise AlreadyExists(
                    f"slice {auth.target} has {len(held.slivers)} slivers here already; Delete them first, "
                    "or add to them with version 3 of this API"
                )
            row, rows = self._reserve(tx, auth, held, request, ends_at, now)
            self._write_down(tx, who, auth, Call.ALLOCATE, rows, now)
            self._make(tx, rows, people, ends_at, now)
            self._write_down(tx, who, auth, Call.PROVISION, rows, now)
            made = slivers.of_slice(tx, row.id)
        self._wake()
        return self._described(auth.target, row, made, now)

    def update(
        self,
        who: Presented,
        slice_urn: URN,
        document: str,
        *,
        end_at: datetime | None,
        now: datetime,
        dry_run: bool = False,
    ) -> Described:
        """Change what a slice holds into what a request describes: `document` is the whole of it, as it should be.

        What is new is allocated, what is not in the request any more is to go. Nothing that runs is touched before
        Provision carries the update out; Cancel takes it back, and so does the end of the new slivers' lease.

        Raises what `allocate` raises; Unsupported when something that runs would have to change.
        """
        auth = self._authorise(who, slice_urn, "createsliver", now)
        request = self._request(document)
        ends_at = self._first_end(auth, after(Allocation.UNALLOCATED, Call.ALLOCATE), end_at, now)
        with self._store.trial() if dry_run else self._store.transaction() as tx:
            held = self._held(tx, auth)
            require_some(held, auth.target)
            change = changed(held.slivers, request)
            end_slivers(tx, change.dropped, now=now)
            going = [row.id for row in change.going]
            slivers.change(tx, going, allocation=Allocation.UPDATING.value, update_ends_at=ends_at)
            keep_after_all(tx, [row for row in change.kept if row.allocation == Allocation.UPDATING])
            if change.new.nodes or change.new.links:
                kept = replace(held, slivers=(*change.kept, *change.going))
                _, new = self._reserve(tx, auth, kept, change.new, ends_at, now)
            else:
                new = []
            self._write_down(tx, who, auth, Call.UPDATE, [*new, *change.going, *change.dropped], now)
            row = held.slice
            rows = slivers.of_slice(tx, row.id) if row else ()
        return self._described(auth.target, row, rows, now, ended=change.dropped)

    def provision(
        self,
        who: Presented,
        urns: Sequence[str],
        *,
        users: Iterable[tuple[str, Sequence[str]]],
        end_at: datetime | None,
        best_effort: bool,
        now: datetime,
    ) -> Described:
        """Have allocated slivers made, and those removed that an update leaves out.

        users: (URN, SSH public keys) of those who may log in
        A slice stands for those of its slivers that wait for this. Raises NotFound, Unsupported (state), BadArgs.
        """
        named, auth = self._admit(who, urns, "createsliver", now)
        people = logins.sliver_users(users)
        ends_at = self._first_end(auth, Allocation.PROVISIONED, end_at, now)
        with self._store.transaction() as tx:
            selected = waiting(self._changeable(tx, named, auth))
            attempt = Attempt(selected.slivers, best_effort)
            wishes = offers.wishes(tx)
            done = attempt.each(lambda row: _admit_making(row, wishes))
            ended = [row for row in done if row.allocation == Allocation.UPDATING]
            self._make(tx, [row for row in done if row.allocation == Allocation.ALLOCATED], people, ends_at, now)
            end_slivers(tx, ended, now=now)
            self._write_down(tx, who, auth, Call.PROVISION, done, now)
            rows = again(tx, selected)
        self._wake()
        return self._described(auth.target, selected.slice, rows, now, attempt.errors, ended)

    # Steps that these calls share

    def _request(self, document: str) -> Request:
        """The part of a request RSpec that is for us. Raises BadArgs, BadVersion."""
        try:
            return own_part(read_request(document), self._identity)
        except WrongVersion as e:
            raise BadVersion(f"rspec: {e}") from e
        except RSpecError as e:
            reasons = [
                Reason(
                    constraint="rspec",
                    where=f"line {problem.line}",
                    wanted=problem.message,
                    available="",
                    nearest=problem.hint or "",
                )
                for problem in e.problems
            ]
            raise BadArgs(f"rspec: {e}", reasons=first_few(reasons)) from e

    def _first_end(self, auth: Authorization, state: Allocation, asked: datetime | None, now: datetime) -> datetime:
        return lease.first(self._leases, state, asked, self._bound(auth, state, now), now=now)

    def _held(self, tx: Connection, auth: Authorization) -> Selected:
        """The slice with all that it has here. Raises Forbidden when it was shut down."""
        row = slivers.slice_by_urn(tx, auth.target)
        held = Selected(slice=row, slivers=slivers.of_slice(tx, row.id) if row else (), whole=True)
        require_running_slice(held, auth.target)
        return held

    def _reserve(
        self,
        tx: Connection,
        auth: Authorization,
        held: Selected,
        request: Request,
        ends_at: datetime,
        now: datetime,
    ) -> tuple[SliceRow, Sequence[SliverRow]]:
        """Find room for a request in addition to what the slice holds, and take it.

        Raises BadArgs, NotFeasible, Refused, Unavailable; the transaction must be undone then.
        """
        here = held.slivers
        wanted = len(request.nodes) + len(request.links)
        most = self._limits.slivers_per_slice
        if len(here) + wanted > most:
            raise NotFeasible(
                f"the request is for {wanted} slivers and the slice has {len(here)} here; one slice may hold {most}",
                reasons=[
                    Reason(
                        constraint="slivers per slice",
                        where=f"slice {auth.target}",
                        wanted=wanted,
                        available=max(0, most - len(here)),
                        nearest=max(0, most - len(here)),
                    )
                ],
            )
        addresses = _networks_of(here)
        try:
            wish = begun(tx, request, auth.actor, self._identity)
            plan = self._vacancy.take(
                tx,
                lambda room: wish.placed(lambda one: place(one, room, self._identity, AddressPlan(addresses))),
            )
        except SoldOut as e:
            raise NotFeasible(f"somebody else was quicker: {e}; ask again for what is left") from e
        self._policies.admit(tx, _asked(auth, plan))
        row = held.slice or slivers.add_slice(tx, auth.target, now=now)
        kept = row.extensions if here else ()
        sent = [extension.source for extension in request.extensions]
        if (extensions := tuple(dict.fromkeys([*kept, *sent]))) != row.extensions:
            row = slivers.keep_extensions(tx, row, extensions)
        first = max((one.position for one in here), default=-1) + 1
        owner = str(auth.actor).lower()
        rows = [
            _allocated(placed, position, row, owner, ends_at, now)
            for position, placed in enumerate(plan.slivers, start=first)
        ]
        links = [row.id for row in rows if isinstance(row.shape, Segment)]
        numbers = dict(zip(links, networks.free_numbers(tx, len(links)), strict=True))
        rows = [_numbered(row, numbers) for row in rows]
        slivers.add(tx, rows)
        networks.hold(tx, numbers)
        offers.claim_for(tx, plan.claims)
        return row, rows

    def _make(
        self,
        tx: Connection,
        rows: Sequence[SliverRow],
        people: tuple[SliverUser, ...],
        ends_at: datetime,
        now: datetime,
    ) -> None:
        """Want allocated slivers made, with accounts for these people."""
        state = after(Allocation.ALLOCATED, Call.PROVISION).value
        for row in rows:
            shape = logins.on(row.shape, people)
            slivers.change_wish(tx, row, allocation=state, expires_at=ends_at, shape=shape, users=people)
        self._ask(tx, rows, "converge", now)


def _admit_making(row: SliverRow, wishes: Mapping[tuple[str, str], Wanted]) -> None:
    after(Allocation(row.allocation), Call.PROVISION)
    if row.allocation == Allocation.ALLOCATED:
        require_no_maintenance(row, wishes)


def _asked(auth: Authorization, plan: Plan) -> Asked:
    sums: Counter[str] = Counter()
    for claim in plan.claims:
        sums[claim.resource] += claim.amount
    machines = [one.shape for one in plan.slivers if isinstance(one.shape, Machine)]
    return Asked(
        actor=auth.actor,
        slice=auth.target,
        amounts={name: sums[resource] for name, resource in RESOURCES.items()},
        sliver_types=frozenset(machine.sliver_type for machine in machines),
    )


def _refuse_known(here: set[str], request: Request) -> None:
    wanted = [node.client_id for node in request.nodes] + [link.client_id for link in request.links]
    if known := sorted(here.intersection(wanted)):
        raise AlreadyExists(
            f"the slice has {', '.join(map(repr, known[:5]))}{' and more' if len(known) > 5 else ''} here already; "
            "Delete them first, or use other client_ids to add to the slice"
        )


def _numbered(row: SliverRow, numbers: Mapping[SliverId, int]) -> SliverRow:
    """A row, with its number if it is a link."""
    if isinstance(row.shape, Segment):
        return replace(row, shape=replace(row.shape, number=numbers[row.id]))
    return row


def _networks_of(rows: Iterable[SliverRow]) -> set[IPv4Network]:
    """The networks that the links of these slivers use."""
    ports = (port for row in rows if isinstance(row.shape, Machine) for port in row.shape.ports)
    return {address.network for port in ports for address in port.addresses if isinstance(address, IPv4Interface)}


def _allocated(placed: Placed, position: int, row: SliceRow, owner: str, ends_at: datetime, now: datetime) -> SliverRow:
    return SliverRow(
        id=placed.id,
        slice_id=row.id,
        position=position,
        kind=placed.kind,
        client_id=placed.client_id,
        source=placed.source,
        backend=placed.backend,
        offer=placed.offer,
        owner=owner,
        allocation=after(Allocation.UNALLOCATED, Call.ALLOCATE).value,
        expires_at=ends_at,
        update_ends_at=None,
        created_at=now,
        generation=1,
        shape=placed.shape,
        users=(),
        running=True,
        restarts=0,
        reloads=0,
        seen=Seen.ABSENT,
        seen_generation=0,
        seen_at=None,
        fault="",
        logins=(),
    )
