"""Roots that a peer shows before anybody believes it: what an operator should see of each before saying yes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from credentials import GID
from credentials.urn import authority_covers
from sfa_am.store.trust import RootRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduced:
    """A root that was shown.

    names:      the authorities it would vouch for; empty when it has no name
    is_trusted: it is one of ours already
    warnings:   sentences about names that are taken already, each a reason to ask twice
    """

    gid: GID
    names: tuple[str, ...]
    is_trusted: bool
    warnings: tuple[str, ...]


def introduced(
    shown: Iterable[GID], *, trusted: Sequence[RootRow], own: GID, names: tuple[str, ...] | None
) -> tuple[Introduced, ...]:
    """What is to be said of each root, once each, with the leaf of a chain taken for the root.

    names: what the operator wants them to vouch for; None for their own names
    """
    roots = {gid.fingerprint: GID([gid.leaf]) for gid in shown}
    held = {row.fingerprint for row in trusted}
    made = []
    for fingerprint, gid in roots.items():
        wanted = names if names is not None else (gid.urn.authority,) if gid.urn else ()
        others = [root for root in roots.values() if root.fingerprint != fingerprint]
        made.append(
            Introduced(
                gid=gid,
                names=wanted,
                is_trusted=fingerprint in held,
                warnings=() if fingerprint in held else tuple(_warnings(gid, wanted, others, trusted, own)),
            )
        )
    return tuple(made)


def plain_fingerprint(written: str) -> str:
    """A fingerprint as it is kept, from one as people write it: colons, spaces and case don't matter."""
    return "".join(written.replace(":", "").split()).lower()


def with_colons(fingerprint: str) -> str:
    """A fingerprint as people compare it."""
    upper = fingerprint.upper()
    return ":".join(upper[at : at + 2] for at in range(0, len(upper), 2))


def touches_own_names(names: Iterable[str], own: GID) -> bool:
    """Whether one of these authorities is ours, above ours, or below ours."""
    mine = own.urn.authority if own.urn else ""
    return any(authority_covers(name, mine) or authority_covers(mine, name) for name in names)


def _warnings(
    gid: GID, names: tuple[str, ...], others: Sequence[GID], trusted: Sequence[RootRow], own: GID
) -> Iterable[str]:
    for row in trusted:
        here = GID.parse(row.gid)
        if here.urn is not None and here.urn == gid.urn and row.fingerprint != own.fingerprint:
            yield (
                f"{gid} IS TRUSTED HERE ALREADY, WITH ANOTHER CERTIFICATE, {with_colons(row.fingerprint)}: either it "
                "was renewed, or somebody pretends to be it"
            )
        elif row.fingerprint != own.fingerprint and (both := _shared(names, row.names)):
            yield f"ANOTHER ROOT, {here}, MAY VOUCH FOR {', '.join(both)} ALREADY"
    if any(other.urn is not None and other.urn == gid.urn for other in others):
        yield f"THE SERVER SHOWS SEVERAL ROOTS THAT CALL THEMSELVES {gid}"
    if touches_own_names(names, own):
        yield f"IT WOULD VOUCH FOR NAMES OF THIS INSTALLATION, {own}"
    if not gid.is_authority:
        yield "it does not say that it is a certificate authority; only those that old tools made don't"


def _shared(names: tuple[str, ...], others: tuple[str, ...]) -> list[str]:
    return [name for name in names if any(authority_covers(other, name) for other in others)]
