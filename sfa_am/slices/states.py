"""The two state machines of a sliver (GENI AM API v3, "Sliver Allocation States" and "Sliver Operational States").

The allocation state is stored and moves only along `TABLE`. The operational state is never stored: `operational`
derives it from what is wanted and what was seen, so that the two can't contradict each other.
`docs/reference/states.md` is printed from this module.
"""

from dataclasses import dataclass
from enum import StrEnum

from backends.protocol import Seen
from sfa_am.errors import Reason, Unsupported


class Allocation(StrEnum):
    """GENI allocation states; the values are what goes over the wire.

    A sliver that is to go when the slice's update is carried out is UPDATING: until then it runs as before.
    """

    UNALLOCATED = "geni_unallocated"
    ALLOCATED = "geni_allocated"
    PROVISIONED = "geni_provisioned"
    UPDATING = "geni_updating"

    @property
    def is_made(self) -> bool:
        """Whether a backend has been asked to make it."""
        return self in (Allocation.PROVISIONED, Allocation.UPDATING)


class Call(StrEnum):
    """What can move a sliver from one allocation state to another."""

    ALLOCATE = "Allocate"
    PROVISION = "Provision"
    RENEW = "Renew"
    ACT = "PerformOperationalAction"
    DELETE = "Delete"
    UPDATE = "Update"
    CANCEL = "Cancel"
    EXPIRE = "the end of its lease"


class Operational(StrEnum):
    """GENI operational states; the values are what goes over the wire."""

    PENDING_ALLOCATION = "geni_pending_allocation"
    CONFIGURING = "geni_configuring"
    READY = "geni_ready"
    READY_BUSY = "geni_ready_busy"
    STOPPING = "geni_stopping"
    NOTREADY = "geni_notready"
    FAILED = "geni_failed"


class Action(StrEnum):
    """Operational actions that PerformOperationalAction takes."""

    START = "geni_start"
    STOP = "geni_stop"
    RESTART = "geni_restart"
    RELOAD = "geni_reload"
    UPDATE_USERS = "geni_update_users"
    UPDATE_RULES = "sfa_update_rules"


TABLE: dict[tuple[Allocation, Call], Allocation] = {
    (Allocation.UNALLOCATED, Call.ALLOCATE): Allocation.ALLOCATED,
    (Allocation.ALLOCATED, Call.PROVISION): Allocation.PROVISIONED,
    (Allocation.ALLOCATED, Call.RENEW): Allocation.ALLOCATED,
    (Allocation.ALLOCATED, Call.DELETE): Allocation.UNALLOCATED,
    (Allocation.ALLOCATED, Call.UPDATE): Allocation.UNALLOCATED,
    (Allocation.ALLOCATED, Call.CANCEL): Allocation.UNALLOCATED,
    (Allocation.ALLOCATED, Call.EXPIRE): Allocation.UNALLOCATED,
    (Allocation.PROVISIONED, Call.RENEW): Allocation.PROVISIONED,
    (Allocation.PROVISIONED, Call.ACT): Allocation.PROVISIONED,
    (Allocation.PROVISIONED, Call.DELETE): Allocation.UNALLOCATED,
    (Allocation.PROVISIONED, Call.UPDATE): Allocation.UPDATING,
    (Allocation.PROVISIONED, Call.EXPIRE): Allocation.UNALLOCATED,
    (Allocation.UPDATING, Call.UPDATE): Allocation.UPDATING,
    (Allocation.UPDATING, Call.PROVISION): Allocation.UNALLOCATED,
    (Allocation.UPDATING, Call.CANCEL): Allocation.PROVISIONED,
    (Allocation.UPDATING, Call.RENEW): Allocation.UPDATING,
    (Allocation.UPDATING, Call.ACT): Allocation.UPDATING,
    (Allocation.UPDATING, Call.DELETE): Allocation.UNALLOCATED,
    (Allocation.UPDATING, Call.EXPIRE): Allocation.UNALLOCATED,
}


def after(state: Allocation, call: Call) -> Allocation:
    """The state `call` leads to. Raises Unsupported, naming the calls that are possible instead."""
    try:
        return TABLE[state, call]
    except KeyError:
        possible = ", ".join(c.value for s, c in TABLE if s is state)
        reason = Reason(
            constraint="state",
            where=call.value,
            wanted=" or ".join(s.value for s, c in TABLE if c is call),
            available=state.value,
            nearest=possible,
        )
        sentence = f"{call} is not possible while a sliver is {state}; possible are: {possible}"
        raise Unsupported(sentence, reasons=[reason]) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the operational state depends on.

    running:    what is wanted of a machine; links are always wanted running
    current:    whether what was seen answers the newest wish
    """

    allocation: Allocation
    running: bool
    seen: Seen
    current: bool


def operational(situation: Situation) -> Operational:
    """The operational state of a sliver in this situation. Total: every situation has one."""
    if not situation.allocation.is_made:
        return Operational.PENDING_ALLOCATION
    if situation.seen is Seen.BROKEN and situation.current:
        return Operational.FAILED
    if situation.running:
        if situation.seen is Seen.RUNNING:
            return Operational.READY if situation.current else Operational.READY_BUSY
        return Operational.CONFIGURING
    if situation.seen is Seen.STOPPED and situation.current:
        return Operational.NOTREADY
    return Operational.STOPPING


ACTIONS: dict[Action, frozenset[Operational]] = {
    # Wanting it on while it is on changes nothing and is no error: clients send geni_start right after Provision.
    Action.START: frozenset(set(Operational) - {Operational.PENDING_ALLOCATION}),
    Action.STOP: frozenset({Operational.READY, Operational.READY_BUSY, Operational.CONFIGURING, Operational.FAILED}),
    Action.RESTART: frozenset({Operational.READY, Operational.READY_BUSY, Operational.FAILED}),
    Action.RELOAD: frozenset({Operational.READY, Operational.READY_BUSY, Operational.NOTREADY, Operational.FAILED}),
    Action.UPDATE_USERS: frozenset({Operational.READY, Operational.READY_BUSY, Operational.CONFIGURING}),
    Action.UPDATE_RULES: frozenset({Operational.READY, Operational.READY_BUSY, Operational.CONFIGURING}),
}
"""In which operational states an action may be asked for."""


CONSOLE_LOG = "sfa_console_log"
"""An action that looks and changes nothing, so it has no place among the others: possible once a machine is made."""


LEADS_TO: dict[Action, Operational] = {
    Action.START: Operational.CONFIGURING,
    Action.STOP: Operational.STOPPING,
    Action.RESTART: Operational.READY_BUSY,
    Action.RELOAD: Operational.READY_BUSY,
    Action.UPDATE_USERS: Operational.READY_BUSY,
    Action.UPDATE_RULES: Operational.READY_BUSY,
}
"""The state in which an action leaves a sliver at once; what follows is in the rows and in the advertisement."""


def admit_action(action: Action, state: Operational) -> None:
    """Raises Unsupported when `action` makes no sense in `state`, naming the actions that do."""
    if state in ACTIONS[action]:
        return
    possible = ", ".join(a.value for a in Action if state in ACTIONS[a]) or "none; wait for the state to change"
    raise Unsupported(f"{action} is not possible while a sliver is {state}; possible are: {possible}")
