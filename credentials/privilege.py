"""Privileges of SFA credentials, and the operations each of them permits.

The table is the field's ("Slice-based Federation Architecture", rights): tools and authorities count on it, so it is
kept as it is, odd corners included.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from credentials.urn import URN

EVERYTHING = "*"

_EMBED = (
    "getticket redeemslice redeemticket createslice createsliver renewsliver deleteslice deletesliver updateslice "
    "sliverstatus getsliceresources shutdown"
)

PERMITS: Mapping[str, frozenset[str]] = {
    name: frozenset(operations.split())
    for name, operations in {
        "authority": "register remove update resolve list getcredential *",
        "refresh": "remove update",
        "resolve": "resolve list getcredential",
        "sa": "getticket redeemslice redeemticket createslice createsliver deleteslice deletesliver updateslice "
        "getsliceresources loanresources stopslice startslice renewsliver resetslice listslices listnodes getpolicy "
        "sliverstatus",
        "embed": _EMBED,
        "bind": "getticket loanresources redeemticket",
        "control": "updateslice createslice createsliver renewsliver sliverstatus stopslice startslice deleteslice "
        "deletesliver resetslice getsliceresources getgids",
        "info": "listslices listnodes getpolicy",
        "ma": "setbootstate getbootstate reboot getgids gettrustedcerts",
        "operator": "gettrustedcerts getgids",
        EVERYTHING: "createsliver deletesliver sliverstatus renewsliver shutdown",
    }.items()
}

_DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "user": ("refresh", "resolve", "info"),
    "slice": ("refresh", "embed", "bind", "control", "info"),
    "component": ("operator",),
}
_AUTHORITY_DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "sa": ("authority", "sa"),
    "ma": ("authority", "ma"),
    "am": ("authority", "ma"),
    "cm": ("authority", "ma"),
    "sm": ("authority", "ma"),
}


@dataclass(frozen=True, slots=True)
class Privilege:
    """One right in a credential, and whether its holder may pass it on."""

    name: str
    may_delegate: bool


def permits(privilege: str, operation: str) -> bool:
    """Whether holding `privilege` allows `operation`. Unknown privileges allow nothing."""
    operations = PERMITS.get(privilege, frozenset())
    return operation in operations or (privilege != EVERYTHING and EVERYTHING in operations)


def permitted(privileges: Iterable[str]) -> frozenset[str]:
    """All operations that these privileges allow; "*" among them stands for every one."""
    allowed = [PERMITS.get(one, frozenset()) - ({EVERYTHING} if one == EVERYTHING else set()) for one in privileges]
    return frozenset().union(*allowed)


def default_privileges(target: URN) -> tuple[str, ...]:
    """What "*" stands for in a credential about `target`."""
    if target.type == "authority":
        return _AUTHORITY_DEFAULTS.get(target.name, ("authority", "sa", "ma"))
    return _DEFAULTS.get(target.type, ())


def expanded(privileges: tuple[Privilege, ...], target: URN) -> frozenset[Privilege]:
    """The privileges with "*" replaced by what it stands for, which may be delegated if "*" may."""
    result: set[Privilege] = set()
    for privilege in privileges:
        if privilege.name == EVERYTHING:
            result.update(Privilege(name, privilege.may_delegate) for name in default_privileges(target))
        result.add(privilege)
    return frozenset(result)
