"""What all calls share: who calls, passing the gate, finding the slivers, writing it down, answering."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from backends.protocol import SliverId
from credentials import GID, URN, Authorization
from sfa_am.config import Leases, Limits, Placement
from sfa_am.errors import AMError, Unavailable
from sfa_am.slices import lease
from sfa_am.slices.gate import Gate
from sfa_am.slices.identity import Identity
from sfa_am.slices.lease import Bound
from sfa_am.slices.manifest import manifest_of
from sfa_am.slices.policy import Policies
from sfa_am.slices.replies import Described, SliverState, state_of
from sfa_am.slices.room import Order
from sfa_am.slices.selection import Named, Selected, read_urns, require_running_slice, require_some, select
from sfa_am.slices.states import Allocation, Call
from sfa_am.slices.vacancy import Vacancy
from sfa_am.store import Store, events, offers, operations, slivers
from sfa_am.store.events import Event
from sfa_am.store.offers import Wanted
from sfa_am.store.operations import Wish
from sfa_am.store.slivers import SliceRow, SliverRow


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


def _no_console(backend: str, sliver: SliverId) -> str:
    return ""


class Desk:
    """The ground that the calls stand on. Every method may run in any thread."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        identity: Identity,
        leases: Leases,
        limits: Limits,
        wake: Callable[[], None],
        policies: Policies | None = None,
        console: Callable[[str, SliverId], str] = _no_console,
        placement: Placement | None = None,
    ) -> None:
        """wake: called after a commit that leaves work to do; may be called from any thread, and may be lost.

        console: what a machine of a backend has written to its console, by the backend's name; raises Unavailable
        """
        self._store = store
        self._gate = gate
        self._identity = identity
        self._leases = leases
        self._limits = limits
        self._policies = policies or Policies()
        self._console = console
        self._wake = wake
        self._vacancy = Vacancy(store, Order((placement or Placement()).order))

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

    def _bound(self, auth: Authorization, state: Allocation, now: datetime) -> Bound:
        """How long slivers in `state` may live, and what sets that."""
        rules = self._policies.longest(auth.actor, auth.target) if state.is_made else ()
        return lease.bound(self._leases, state, credential_ends_at=auth.expires_at, rules=rules, now=now)

    def _changeable(self, tx: Connection, named: Named, auth: Authorization) -> Selected:
        selected = select(tx, named, auth.target, self._identity)
        require_running_slice(selected, auth.target)
        require_some(selected, auth.target)
        return selected

    def _ask(self, tx: Connection, rows: Iterable[SliverRow], kind: str, now: datetime) -> None:
        # Links first: what is on them says to a machine whom it finds there under which name.
        wishes = [Wish(sliver_id=row.id, backend=row.backend, kind=kind, early=row.kind == "link") for row in rows]
        operations.ask(tx, wishes, now=now)

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
        ended: Sequence[SliverRow] = (),
    ) -> Described:
        """ended: slivers that the call has ended: they have a state still, and no place in the manifest."""
        extensions = row.extensions if row is not None and rows else ()
        manifest = manifest_of(rows, self._identity, now=now, extensions=extensions)
        return Described(slice=target, manifest=manifest, slivers=self._states([*rows, *map(gone, ended)], errors))

    def _states(self, rows: Iterable[SliverRow], errors: dict[str, str] | None = None) -> list[SliverState]:
        return [state_of(row, self._identity, (errors or {}).get(row.id, "")) for row in rows]


def end_slivers(tx: Connection, rows: Sequence[SliverRow], *, now: datetime) -> None:
    """Take slivers out of sight and have them removed; used by Delete and by the end of leases.

    What was only allocated was never made: its row and claims go at once.
    """
    promised = [row for row in rows if row.allocation == Allocation.ALLOCATED]
    made = [row for row in rows if Allocation(row.allocation).is_made]
    slivers.change(tx, [row.id for row in rows], allocation=Allocation.UNALLOCATED.value)
    offers.release(tx, [row.id for row in promised])
    for row in promised:
        slivers.forget(tx, row.id)
    operations.ask(tx, [Wish(sliver_id=row.id, backend=row.backend, kind="remove") for row in made], now=now)


def require_no_maintenance(row: SliverRow, wishes: Mapping[tuple[str, str], Wanted]) -> None:
    """Refuse to make or start what is on a host that may stop at any time. wishes: as `offers.wishes` gives them."""
    if wishes.get((row.backend, row.offer)) is Wanted.MAINTENANCE:
        raise Unavailable(
            f"{row.client_id!r} is on component {row.offer}, which is under maintenance: nothing is made or started "
            "there until that ends; try again later"
        )


def keep_after_all(tx: Connection, rows: Sequence[SliverRow]) -> None:
    """Slivers that were about to go with an update stay; used by Cancel and when nobody carries the update out."""
    slivers.change(tx, [row.id for row in rows], allocation=Allocation.PROVISIONED.value, update_ends_at=None)


def gone(row: SliverRow) -> SliverRow:
    """A sliver as it is told once more after its end."""
    return replace(row, allocation=Allocation.UNALLOCATED.value)


class Attempt:
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


def again(tx: Connection, selected: Selected) -> tuple[SliverRow, ...]:
    """The selected slivers as they are now, in the same order."""
    if selected.slice is None:
        return ()
    chosen = {row.id for row in selected.slivers}
    return tuple(row for row in slivers.of_slice(tx, selected.slice.id) if row.id in chosen)
