"""Which slivers a call is about: a slice's URN, or URNs of slivers of one slice (GENI AM API v3, argument ``urns``)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from credentials import URN
from sfa_am.errors import BadArgs, Forbidden, NotFound
from sfa_am.slices.identity import Identity, read_urn
from sfa_am.store import slivers
from sfa_am.store.slivers import SliceRow, SliverRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a client named.

    slice:   the slice's URN, or None when only slivers were named
    slivers: URNs of slivers; empty when the slice was named
    """

    slice: URN | None
    slivers: tuple[URN, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The slice, and those of its slivers that were named: all of them when the slice was.

    slice: None when the slice has never had slivers here
    """

    slice: SliceRow | None
    slivers: tuple[SliverRow, ...]
    whole: bool


def read_urns(sent: Sequence[str]) -> Named:
    """Raises BadArgs when nothing, two slices, or a slice beside slivers is named."""
    urns = [read_urn(text, "urns:") for text in sent]
    slices = list(dict.fromkeys(urn for urn in urns if urn.type == "slice"))
    others = tuple(dict.fromkeys(urn for urn in urns if urn.type == "sliver"))
    if strange := [urn for urn in urns if urn.type not in ("slice", "sliver")]:
        raise BadArgs(f"urns: {strange[0]} is neither a slice nor a sliver")
    if not urns:
        raise BadArgs("urns: the list is empty; name a slice, or slivers of one slice")
    if len(slices) > 1:
        raise BadArgs(f"urns: {slices[0]} and {slices[1]} are two slices; one call is about one slice")
    if slices and others:
        raise BadArgs("urns: name either a slice, which means all its slivers, or slivers, not both")
    return Named(slice=slices[0] if slices else None, slivers=others)


def select(tx: Connection, named: Named, target: URN, identity: Identity) -> Selected:
    """The rows of what was named, within the slice that the caller is authorised for and nowhere else.

    Raises NotFound for a sliver that does not exist in that slice, whether or not it exists in another.
    """
    row = slivers.slice_by_urn(tx, target)
    here = slivers.of_slice(tx, row.id) if row else ()
    if not named.slivers:
        return Selected(slice=row, slivers=here, whole=True)
    by_id = {sliver.id: sliver for sliver in here}
    chosen = []
    for urn in named.slivers:
        sliver_id = identity.sliver_id(urn)
        if sliver_id is None or sliver_id not in by_id:
            raise NotFound(f"sliver {urn} does not exist in slice {target}; it may have expired or been deleted")
        chosen.append(by_id[sliver_id])
    return Selected(slice=row, slivers=tuple(chosen), whole=False)


def require_some(selected: Selected, target: URN) -> None:
    """Raises NotFound when the slice has no slivers here."""
    if not selected.slivers:
        raise NotFound(f"slice {target} has no slivers at this aggregate; they may have expired or been deleted")


def require_running_slice(selected: Selected, target: URN) -> None:
    """Raises Forbidden when an operator has shut the slice down."""
    if selected.slice is not None and selected.slice.shut_down_at is not None:
        raise Forbidden(f"slice {target} was shut down by an operator; ask them before going on")
