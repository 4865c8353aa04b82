"""The calls about slivers that are there: Renew, PerformOperationalAction, Delete, Cancel, Shutdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from backends.protocol import Machine
from credentials import URN
from rspec import SecurityGroup
from sfa_am.errors import BadArgs, NotFound, Unsupported
from sfa_am.slices import lease, logins
from sfa_am.slices.change import waiting
from sfa_am.slices.desk import (
    Attempt,
    Desk,
    Presented,
    again,
    end_slivers,
    gone,
    keep_after_all,
    require_no_maintenance,
)
from sfa_am.slices.replies import SliverState, operational_of
from sfa_am.slices.security import regrouped
from sfa_am.slices.selection import Named, require_running_slice, require_some, select
from sfa_am.slices.states import CONSOLE_LOG, Action, Allocation, Call, Operational, admit_action, after
from sfa_am.store import offers, slivers
from sfa_am.store.offers import Wanted
from sfa_am.store.slivers import SliverRow, SliverUser

_STARTS = frozenset({Action.START, Action.RESTART, Action.RELOAD})
"""Actions that a machine may not survive where the host can stop at any time."""


class Tending(Desk):
    """Each checks every sliver it is about before it changes one."""

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
            return lease.renewed(end_at, self._bound(auth, state, now), as_long_as_possible=as_long_as_possible)

        with self._store.transaction() as tx:
            selected = self._changeable(tx, named, auth)
            attempt = Attempt(selected.slivers, best_effort)
            for row in attempt.each(new_end):
                slivers.change(tx, [row.id], expires_at=new_end(row))
            self._write_down(tx, who, auth, Call.RENEW, attempt.done, now, detail=lease.wire_time(end_at))
            rows = again(tx, selected)
        return self._states(rows, attempt.errors)

    def act(
        self,
        who: Presented,
        urns: Sequence[str],
        action_name: str,
        *,
        users: Iterable[tuple[str, Sequence[str]]] | None,
        group: SecurityGroup | None = None,
        best_effort: bool,
        now: datetime,
    ) -> Sequence[SliverState]:
        """Start, stop, restart, reload machines, or give them other users or another security group. Links have no
        actions.

        Raises BadArgs for what an action lacks or can't be, Unsupported for an unknown action or one that a sliver's
        state does not allow.
        """
        named, auth = self._admit(who, urns, "createsliver", now)
        action = _action(action_name)
        if action is Action.UPDATE_USERS and users is None:
            raise BadArgs(f"{action} needs the option geni_users")
        if action is Action.UPDATE_RULES and group is None:
            raise BadArgs(f"{action} needs the option sfa_security_group")
        people = logins.sliver_users(users or ())

        def wish(row: SliverRow) -> dict[str, object]:
            _admit_action(action, row, wishes)
            return _wish_of(action, row, people, group)

        with self._store.transaction() as tx:
            selected = self._changeable(tx, named, auth)
            if selected.whole:
                selected = replace(selected, slivers=tuple(s for s in selected.slivers if s.kind == "node"))
            attempt = Attempt(selected.slivers, best_effort)
            wishes = offers.wishes(tx) if action in _STARTS else {}
            for row in attempt.each(wish):
                if action is Action.START and row.running and operational_of(row) is not Operational.FAILED:
                    continue  # it is wanted on already: a new generation would only make it look busy
                slivers.change_wish(tx, row, **wish(row))
            self._ask(tx, attempt.done, "converge", now)
            self._write_down(tx, who, auth, Call.ACT, attempt.done, now, detail=action.value)
            rows = again(tx, selected)
        self._wake()
        return self._states(rows, attempt.errors)

    def console(
        self, who: Presented, urns: Sequence[str], *, best_effort: bool, now: datetime
    ) -> Sequence[tuple[SliverState, str]]:
        """What machines have lately written to their consoles. Changes nothing, and is for who may change them all the
        same: a console may show secrets.

        Raises Unsupported for links and for what is not made yet, Unavailable when a backend can't be asked.
        """
        named, auth = self._admit(who, urns, "createsliver", now)
        with self._store.reading() as tx:
            selected = select(tx, named, auth.target, self._identity)
        require_some(selected, auth.target)
        if selected.whole:
            selected = replace(selected, slivers=tuple(s for s in selected.slivers if s.kind == "node"))
        attempt = Attempt(selected.slivers, best_effort)
        written = {row.id: self._console(row.backend, row.id) for row in attempt.each(_admit_console)}
        states = self._states(selected.slivers, attempt.errors)
        return [(state, written.get(row.id, "")) for row, state in zip(selected.slivers, states, strict=True)]

    def delete(self, who: Presented, urns: Sequence[str], *, best_effort: bool, now: datetime) -> Sequence[SliverState]:
        """End slivers. They are out of sight at once; what they hold is free when their removal is confirmed."""
        named, auth = self._admit(who, urns, "deletesliver", now)
        with self._store.transaction() as tx:
            selected = self._changeable(tx, named, auth)
            attempt = Attempt(selected.slivers, best_effort)
            ended = list(attempt.each(lambda row: after(Allocation(row.allocation), Call.DELETE)))
            end_slivers(tx, ended, now=now)
            self._write_down(tx, who, auth, Call.DELETE, ended, now)
        self._wake()
        deleted = {row.id for row in ended}
        rows = [gone(row) if row.id in deleted else row for row in selected.slivers]
        return self._states(rows, attempt.errors)

    def cancel(self, who: Presented, urns: Sequence[str], *, best_effort: bool, now: datetime) -> Sequence[SliverState]:
        """Take back what waits for Provision: what is only allocated ends, what was about to go stays.

        A slice stands for those of its slivers that wait. Raises NotFound, Unsupported (state).
        """
        named, auth = self._admit(who, urns, "createsliver", now)
        with self._store.transaction() as tx:
            selected = waiting(self._changeable(tx, named, auth))
            attempt = Attempt(selected.slivers, best_effort)
            done = attempt.each(lambda row: after(Allocation(row.allocation), Call.CANCEL))
            ended = [row for row in done if row.allocation == Allocation.ALLOCATED]
            end_slivers(tx, ended, now=now)
            keep_after_all(tx, [row for row in done if row.allocation == Allocation.UPDATING])
            self._write_down(tx, who, auth, Call.CANCEL, done, now)
            rows = again(tx, selected)
        return self._states([*rows, *map(gone, ended)], attempt.errors)

    def shutdown(self, who: Presented, slice_urn: URN, *, now: datetime) -> None:
        """Stop a slice for an operator to look at: its machines halt and nobody can change it any more."""
        auth = self._authorise(who, slice_urn, "shutdown", now)
        with self._store.transaction() as tx:
            selected = select(tx, Named(slice=auth.target, slivers=()), auth.target, self._identity)
            if selected.slice is None:
                raise NotFound(f"slice {auth.target} has never had slivers at this aggregate")
            require_running_slice(selected, auth.target)
            slivers.shut_down(tx, selected.slice.id, now=now)
            machines = [s for s in selected.slivers if s.kind == "node" and Allocation(s.allocation).is_made]
            for row in machines:
                slivers.change_wish(tx, row, running=False)
            self._ask(tx, machines, "converge", now)
            self._write_down(tx, who, auth, None, selected.slivers, now, detail="Shutdown")
        self._wake()


def _action(name: str) -> Action:
    try:
        return Action(name)
    except ValueError:
        known = ", ".join([*(action.value for action in Action), CONSOLE_LOG])
        raise Unsupported(f"action {name!r:.100} is not known here; known are: {known}") from None


def _admit_console(row: SliverRow) -> None:
    if row.kind != "node":
        raise Unsupported(f"{row.client_id!r} is a link, which has no console")
    if not Allocation(row.allocation).is_made:
        raise Unsupported(f"{row.client_id!r} is only allocated, so it has no console yet; Provision it first")


def _admit_action(action: Action, row: SliverRow, wishes: Mapping[tuple[str, str], Wanted]) -> None:
    if row.kind != "node":
        raise Unsupported(f"{row.client_id!r} is a link; {action} is for nodes")
    admit_action(action, operational_of(row))
    require_no_maintenance(row, wishes)


def _wish_of(
    action: Action, row: SliverRow, people: Sequence[SliverUser], group: SecurityGroup | None
) -> dict[str, object]:
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
            return {"shape": logins.on(row.shape, people), "users": tuple(people)}
        case Action.UPDATE_RULES:
            if group is None or not isinstance(row.shape, Machine):
                raise TypeError("checked before: there is a group, and it is for machines")
            source, machine = regrouped(row.source, row.shape, group)
            return {"source": source, "shape": machine}
