"""The ten calls of the aggregate, in no API's words: what GENI AM API v3 asks, and any other door can.

Each call has the same steps: pass the gate, read and check what was sent, one transaction (look, refuse, change,
write the event), answer from what was stored. No call waits for a backend: it writes what is wanted and wakes the
workers.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Interface, IPv4Network

from sqlalchemy import Connection

from backends.protocol import Machine, Seen
from credentials import GID, URN, Authorization
from rspec import Request, RSpecError, WrongVersion, read_request
from sfa_am.config import Leases, Limits
from sfa_am.errors import AlreadyExists, AMError, BadArgs, BadVersion, NotFeasible, NotFound, Unsupported
from sfa_am.slices import lease, logins
from sfa_am.slices.addresses import AddressPlan
from sfa_am.slices.advertisement import Advertised, Advertiser
from sfa_am.slices.gate import Gate
from sfa_am.slices.identity import Identity
from sfa_am.slices.manifest import manifest_of
from sfa_am.slices.placement import Placed, own_part, place
from sfa_am.slices.replies import Described, SliverState, operational_of, state_of
from sfa_am.slices.selection import Named, Selected, read_urns, require_running_slice, require_some, select
from sfa_am.slices.states import Action, Allocation, Call, Operational, admit_action, after
from sfa_am.store import Store, events, offers, operations, slivers
from sfa_am.store.events import Event
from sfa_am.store.offers import SoldOut
from sfa_am.store.operations import Wish
from sfa_am.store.slivers import SliceRow, SliverRow, SliverUser


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """Who calls and what they show.

    caller:       the certificate whose key was proved, with the chain that came along
    documents:    SFA and ABAC credentials as sent
    speaking_for: the user for whom the caller, a tool, says to speak
    """

    caller: GID
    documents: tuple[str, ...]
    request_id: str
    speaking_for: URN | None = None


class AggregateService:
    """One aggregate. Every method may run in any thread; `now` is aware UTC and the same for the whole call.

    All methods raise AMError subclasses: Forbidden from the gate, and what their text says.
    """

    def __init__(
        self,
        store: Store,
        gate: Gate,
        identity: Identity,
        leases: Leases,
        limits: Limits,
        wake: Callable[[], None],
    ) -> None:
        """wake: called after a commit that leaves work to do; may be called from any thread, and may be lost."""
        self._store = store
        self._gate = gate
        self._identity = identity
        self._advertiser = Advertiser(store, identity)
        self._leases = leases
        self._limits = limits
        self._wake = wake

    # Looking

    def list_resources(self, who: Presented, *, available_only: bool, now: datetime) -> Advertised:
        """The advertisement. Any credential that allows looking will do: it need not be about a slice."""
        self._authorise(who, None, "listnodes", now)
        return self._advertiser.advertised(available_only=available_only, now=now)

    def describe(self, who: Presented, urns: Sequence[str], *, now: datetime) -> Described:
        """Manifest and states. A slice without slivers here has an empty manifest."""
        named, auth = self._admit(who, urns, "sliverstatus", now)
        with self._store.reading() as tx:
            selected = select(tx, named, auth.target, self._identity)
        return self._described(auth.target, selected.slice, selected.slivers, now)

    def status(self, who: Presented, urns: Sequence[str], *, now: datetime) -> tuple[URN, Sequence[SliverState]]:
        """The slice and the states of the slivers named. Raises NotFound when there are none."""
        named, auth = self._admit(who, urns, "sliverstatus", now)
        with self._store.reading() as tx:
            selected = select(tx, named, auth.target, self._identity)
        require_some(selected, auth.target)
        return auth.target, self._states(selected.slivers)

    # Changing

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
            attempt = _Attempt(selected.slivers, best_effort)
            for row in attempt.each(lambda row: after(Allocation(row.allocation), Call.PROVISION)):
                slivers.change_wish(
                    tx,
                    row,
                    allocation=Allocation.PROVISIONED.value,
                    expires_at=ends_at,
                    shape=_with_accounts(row, people),
                    users=people,
                )
            self._ask(tx, attempt.done, "converge", now)
            self._write_down(tx, who, auth, Call.PROVISION, attempt.done, now)
            rows = _again(tx, selected)
        self._wake()
        return self._described(auth.target, selected.slice, rows, now, attempt.errors)

    def renew(
        self,
        who: Presented,
        urns: Sequence[str],
        end_at: datetime,
        *,
        as_long_as_possible: bool,
        best_effort: bool,
        now: datetime,
    ) -> Sequence[SliverState]:
        """Move the end of leases. Raises BadArgs (past), Refused (too far; the latest possible in `value`)."""
        named, auth = self._admit(who, urns, "renewsliver", now)
        if end_at <= now:
            raise BadArgs(f"expiration_time {lease.wire_time(end_at)} is past; it is {lease.wire_time(now)} now")

        def new_end(row: SliverRow) -> datetime:
            state = after(Allocation(row.allocation), Call.RENEW)
            limit = lease.bound(self._leases, state, credential_ends_at=auth.expires_at, now=now)
            return lease.renewed(end_at, limit, as_long_as_possible=as_long_as_possible)

        with self._store.transaction() as tx:
            selected = self._changeable(tx, named, auth)
            attempt = _Attempt(selected.slivers, best_effort)
            for row in attempt.each(new_end):
                slivers.change(tx, [row.id], expires_at=new_end(row))
            self._write_down(tx, who, auth, Call.RENEW, attempt.done, now, detail=lease.wire_time(end_at))
            rows = _again(tx, selected)
        return self._states(rows, attempt.errors)

    def act(
        self,
        who: Presented,
        urns: Sequence[str],
        action_name: str,
        *,
        users: Iterable[tuple[str, Sequence[str]]] | None,
        best_effort: bool,
        now: datetime,
    ) -> Sequence[SliverState]:
        """Start, stop, restart, reload machines, or give them other users. Links have no actions.

        Raises Unsupported for an unknown action or one that a sliver's state does not allow.
        """
        named, auth = self._admit(who, urns, "createsliver", now)
        action = _action(action_name)
        if action is Action.UPDATE_USERS and users is None:
            raise BadArgs(f"{action} needs the option geni_users")
        people = logins.sliver_users(users or ())
        with self._store.transaction() as tx:
            selected = self._changeable(tx, named, auth)
            if selected.whole:
                selected = replace(selected, slivers=tuple(s for s in selected.slivers if s.kind == "node"))
            attempt = _Attempt(selected.slivers, best_effort)
            for row in attempt.each(lambda row: _admit_action(action, row)):
                if action is Action.START and row.running and operational_of(row) is not Operational.FAILED:
                    continue  # it is wanted on already: a new generation would only make it look busy
                slivers.change_wish(tx, row, **_wish_of(action, row, people))
            self._ask(tx, attempt.done, "converge", now)
            self._write_down(tx, who, auth, Call.ACT, attempt.done, now, detail=action.value)
            rows = _again(tx, selected)
        self._wake()
        return self._states(rows, attempt.errors)

    def delete(self, who: Presented, urns: Sequence[str], *, best_effort: bool, now: datetime) -> Sequence[SliverState]:
        """End slivers. They are out of sight at once; what they hold is free when their removal is confirmed."""
        named, auth = self._admit(who, urns, "deletesliver", now)
        with self._store.transaction() as tx:
            selected = self._changeable(tx, named, auth)
            attempt = _Attempt(selected.slivers, best_effort)
            gone = list(attempt.each(lambda row: after(Allocation(row.allocation), Call.DELETE)))
            end_slivers(tx, gone, now=now)
            self._write_down(tx, who, auth, Call.DELETE, gone, now)
        self._wake()
        deleted = {row.id for row in gone}
        return self._states(
            [
                replace(row, allocation=Allocation.UNALLOCATED.value) if row.id in deleted else row
                for row in selected.slivers
            ],
            attempt.errors,
        )

    def shutdown(self, who: Presented, slice_urn: URN, *, now: datetime) -> None:
        """Stop a slice for an operator to look at: its machines halt and nobody can change it any more."""
        auth = self._authorise(who, slice_urn, "shutdown", now)
        with self._store.transaction() as tx:
            selected = select(tx, Named(slice=auth.target, slivers=()), auth.target, self._identity)
            if selected.slice is None:
                raise NotFound(f"slice {auth.target} has never had slivers at this aggregate")
            require_running_slice(selected, auth.target)
            slivers.shut_down(tx, selected.slice.id, now=now)
            machines = [s for s in selected.slivers if s.kind == "node" and s.allocation == Allocation.PROVISIONED]
            for row in machines:
                slivers.change_wish(tx, row, running=False)
            self._ask(tx, machines, "converge", now)
            self._write_down(tx, who, auth, None, selected.slivers, now, detail="Shutdown")
        self._wake()

    # Steps that calls share

    def _admit(self, who: Presented, urns: Sequence[str], operation: str, now: datetime) -> tuple[Named, Authorization]:
        """Read what was named and pass the gate.

        Slivers don't say whose they are, and looking that up for a stranger would tell which exist: so their slice is
        the one that the credential is about, and they are looked for in it alone.
        """
        named = read_urns(urns)
        return named, self._authorise(who, named.slice, operation, now)

    def _authorise(self, who: Presented, target: URN | None, operation: str, now: datetime) -> Authorization:
        """Pass the gate. target: None where the call names no slice."""
        if target is None:
            return self._gate.authorise_for_own_target(
                caller=who.caller,
                documents=who.documents,
                operation=operation,
                now=now,
                speaking_for=who.speaking_for,
            )
        return self._gate.authorise(
            caller=who.caller,
            documents=who.documents,
            operation=operation,
            target=target,
            now=now,
            speaking_for=who.speaking_for,
        )

    def _changeable(self, tx: Connection, named: Named, auth: Authorization) -> Selected:
        selected = select(tx, named, auth.target, self._identity)
        require_running_slice(selected, auth.target)
        require_some(selected, auth.target)
        return selected

    def _ask(self, tx: Connection, rows: Iterable[SliverRow], kind: str, now: datetime) -> None:
        operations.ask(tx, [Wish(sliver_id=row.id, backend=row.backend, kind=kind) for row in rows], now=now)

    def _write_down(
        self,
        tx: Connection,
        who: Presented,
        auth: Authorization,
        call: Call | None,
        rows: Iterable[SliverRow],
        now: datetime,
        detail: str = "",
    ) -> None:
        what = call.value if call else detail
        events.add(
            tx,
            [
                Event(
                    at=now,
                    actor=str(auth.actor),
                    spoken_by=auth.spoken_by,
                    what=what,
                    slice_urn=auth.target,
                    sliver_id=row.id,
                    request_id=who.request_id,
                    detail=f"{detail or row.client_id}{' (signed with SHA-1)' if auth.is_sha1 else ''}",
                )
                for row in rows
            ],
        )

    def _described(
        self,
        target: URN,
        row: SliceRow | None,
        rows: Sequence[SliverRow],
        now: datetime,
        errors: dict[str, str] | None = None,
    ) -> Described:
        extensions = row.extensions if row is not None and rows else ()
        manifest = manifest_of(rows, self._identity, now=now, extensions=extensions)
        return Described(slice=target, manifest=manifest, slivers=self._states(rows, errors))

    def _states(self, rows: Iterable[SliverRow], errors: dict[str, str] | None = None) -> list[SliverState]:
        return [state_of(row, self._identity, (errors or {}).get(row.id, "")) for row in rows]


def end_slivers(tx: Connection, rows: Sequence[SliverRow], *, now: datetime) -> None:
    """Take slivers out of sight and have them removed; used by Delete and by the end of leases.

    What was only allocated was never made: its row and claims go at once.
    """
    promised = [row for row in rows if row.allocation == Allocation.ALLOCATED]
    made = [row for row in rows if row.allocation == Allocation.PROVISIONED]
    slivers.change(tx, [row.id for row in rows], allocation=Allocation.UNALLOCATED.value)
    offers.release(tx, [row.id for row in promised])
    for row in promised:
        slivers.forget(tx, row.id)
    operations.ask(tx, [Wish(sliver_id=row.id, backend=row.backend, kind="remove") for row in made], now=now)


class _Attempt:
    """Doing something to each of several slivers: all of them or none, unless best effort was asked for."""

    def __init__(self, rows: Sequence[SliverRow], best_effort: bool) -> None:
        self._rows = rows
        self._best_effort = best_effort
        self.done: list[SliverRow] = []
        self.errors: dict[str, str] = {}

    def each(self, check: Callable[[SliverRow], object]) -> Sequence[SliverRow]:
        """The slivers that pass `check`; a refusal is raised, or kept for the sliver if best effort was asked for."""
        for row in self._rows:
            try:
                check(row)
            except AMError as refusal:
                if not self._best_effort:
                    raise
                self.errors[row.id] = str(refusal)
            else:
                self.done.append(row)
        return self.done


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


def _with_accounts(row: SliverRow, people: Sequence[SliverUser]) -> object:
    return replace(row.shape, accounts=logins.accounts(people)) if isinstance(row.shape, Machine) else row.shape


def _again(tx: Connection, selected: Selected) -> tuple[SliverRow, ...]:
    """The selected slivers as they are now, in the same order."""
    if selected.slice is None:
        return ()
    chosen = {row.id for row in selected.slivers}
    return tuple(row for row in slivers.of_slice(tx, selected.slice.id) if row.id in chosen)


def _action(name: str) -> Action:
    try:
        return Action(name)
    except ValueError:
        known = ", ".join(action.value for action in Action)
        raise Unsupported(f"action {name!r:.100} is not known here; known are: {known}") from None


def _admit_action(action: Action, row: SliverRow) -> None:
    if row.kind != "node":
        raise Unsupported(f"{row.client_id!r} is a link; {action} is for nodes")
    admit_action(action, operational_of(row))


def _wish_of(action: Action, row: SliverRow, people: Sequence[SliverUser]) -> dict[str, object]:
    """The desired columns that an action changes."""
    match action:
        case Action.START:
            return {"running": True}
        case Action.STOP:
            return {"running": False}
        case Action.RESTART:
            return {"running": True, "restarts": row.restarts + 1}
        case Action.RELOAD:
            return {"running": True, "reloads": row.reloads + 1}
        case Action.UPDATE_USERS:
            return {"shape": _with_accounts(row, people), "users": tuple(people)}
