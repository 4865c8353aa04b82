"""The calls that promise resources to a slice, and the one that has them made."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import IPv4Interface, IPv4Network

from backends.protocol import Machine, Seen
from credentials import URN
from rspec import Request, RSpecError, WrongVersion, read_request
from sfa_am.errors import AlreadyExists, BadArgs, BadVersion, NotFeasible
from sfa_am.slices import lease, logins
from sfa_am.slices.addresses import AddressPlan
from sfa_am.slices.desk import Attempt, Desk, Presented, again
from sfa_am.slices.placement import Placed, own_part, place
from sfa_am.slices.replies import Described
from sfa_am.slices.selection import Selected, require_running_slice
from sfa_am.slices.states import Allocation, Call, after
from sfa_am.store import offers, slivers
from sfa_am.store.offers import SoldOut
from sfa_am.store.slivers import SliceRow, SliverRow


class Reserving(Desk):
    """Allocate and Provision."""

    def allocate(
        self, who: Presented, slice_urn: URN, document: str, *, end_at: datetime | None, now: datetime
    ) -> Described:
        """Reserve what a request RSpec describes, all of it or nothing.

        Raises BadArgs, BadVersion (the request), AlreadyExists (a client_id the slice has already), NotFeasible.
        """
        auth = self._authorise(who, slice_urn, "createsliver", now)
        try:
            request = own_part(read_request(document), self._identity)
        except WrongVersion as e:
            raise BadVersion(f"rspec: {e}") from e
        except RSpecError as e:
            raise BadArgs(f"rspec: {e}") from e
        limit = lease.bound(self._leases, Allocation.ALLOCATED, credential_ends_at=auth.expires_at, now=now)
        ends_at = lease.first(self._leases, after(Allocation.UNALLOCATED, Call.ALLOCATE), end_at, limit, now=now)
        with self._store.transaction() as tx:
            row = slivers.slice_by_urn(tx, auth.target)
            here = slivers.of_slice(tx, row.id) if row else ()
            require_running_slice(Selected(slice=row, slivers=here, whole=True), auth.target)
            wanted = len(request.nodes) + len(request.links)
            if len(here) + wanted > self._limits.slivers_per_slice:
                raise NotFeasible(
                    f"the request is for {wanted} slivers and the slice has {len(here)} here; "
                    f"one slice may hold {self._limits.slivers_per_slice}"
                )
            _refuse_known({s.client_id for s in here}, request)
            plan = place(request, offers.stocks(tx), self._identity, AddressPlan(_networks_of(here)))
            row = row or slivers.add_slice(tx, auth.target, now=now)
            kept = row.extensions if here else ()
            sent = [extension.source for extension in request.extensions]
            if (extensions := tuple(dict.fromkeys([*kept, *sent]))) != row.extensions:
                row = slivers.keep_extensions(tx, row, extensions)
            rows = [
                _allocated(placed, position, row, ends_at, now)
                for position, placed in enumerate(plan.slivers, start=len(here))
            ]
            slivers.add(tx, rows)
            try:
                offers.hold(tx, plan.claims)
            except SoldOut as e:
                raise NotFeasible(f"somebody else was quicker: {e}; ask again for what is left") from e
            self._write_down(tx, who, auth, Call.ALLOCATE, rows, now)
        return self._described(auth.target, row, rows, now)

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
        """Have allocated slivers made. `users`: (URN, SSH public keys) of those who may log in.

        A slice stands for those of its slivers that are allocated. Raises NotFound, Unsupported (state), BadArgs.
        """
        named, auth = self._admit(who, urns, "createsliver", now)
        people = logins.sliver_users(users)
        limit = lease.bound(self._leases, Allocation.PROVISIONED, credential_ends_at=auth.expires_at, now=now)
        ends_at = lease.first(self._leases, Allocation.PROVISIONED, end_at, limit, now=now)
        with self._store.transaction() as tx:
            selected = self._changeable(tx, named, auth)
            if selected.whole and any(s.allocation == Allocation.ALLOCATED for s in selected.slivers):
                allocated = tuple(s for s in selected.slivers if s.allocation == Allocation.ALLOCATED)
                selected = replace(selected, slivers=allocated)
            attempt = Attempt(selected.slivers, best_effort)
            for row in attempt.each(lambda row: after(Allocation(row.allocation), Call.PROVISION)):
                slivers.change_wish(
                    tx,
                    row,
                    allocation=Allocation.PROVISIONED.value,
                    expires_at=ends_at,
                    shape=logins.on(row.shape, people),
                    users=people,
                )
            self._ask(tx, attempt.done, "converge", now)
            self._write_down(tx, who, auth, Call.PROVISION, attempt.done, now)
            rows = again(tx, selected)
        self._wake()
        return self._described(auth.target, selected.slice, rows, now, attempt.errors)


def _refuse_known(here: set[str], request: Request) -> None:
    wanted = [node.client_id for node in request.nodes] + [link.client_id for link in request.links]
    if known := sorted(here.intersection(wanted)):
        raise AlreadyExists(
            f"the slice has {', '.join(map(repr, known[:5]))}{' and more' if len(known) > 5 else ''} here already; "
            "Delete them first, or use other client_ids to add to the slice"
        )


def _networks_of(rows: Iterable[SliverRow]) -> set[IPv4Network]:
    """The networks that the links of these slivers use."""
    ports = (port for row in rows if isinstance(row.shape, Machine) for port in row.shape.ports)
    return {address.network for port in ports for address in port.addresses if isinstance(address, IPv4Interface)}


def _allocated(placed: Placed, position: int, row: SliceRow, ends_at: datetime, now: datetime) -> SliverRow:
    return SliverRow(
        id=placed.id,
        slice_id=row.id,
        position=position,
        kind=placed.kind,
        client_id=placed.client_id,
        source=placed.source,
        backend=placed.backend,
        offer=placed.offer,
        allocation=after(Allocation.UNALLOCATED, Call.ALLOCATE).value,
        expires_at=ends_at,
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
