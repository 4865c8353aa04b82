"""What an update of a slice comes to: which slivers stay, which go, what is new. Pure: rows and a request in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rspec import Link, Node, Request, write_link, write_node
from sfa_am.errors import Reason, Unsupported
from sfa_am.slices.selection import Selected
from sfa_am.slices.states import Allocation
from sfa_am.store.slivers import SliverRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The difference between what a slice holds and what a request says it should.

    kept:    run, and stay as they are
    going:   run now, and are not wanted any more
    dropped: were only promised; what is still wanted of them is promised anew
    new:     the part of the request that does not run yet
    """

    kept: tuple[SliverRow, ...]
    going: tuple[SliverRow, ...]
    dropped: tuple[SliverRow, ...]
    new: Request


def changed(held: Sequence[SliverRow], request: Request) -> Change:
    """Compare by client_id. Raises Unsupported naming what would have to change while it runs."""
    made = {row.client_id: row for row in held if Allocation(row.allocation).is_made}
    asked: list[Node | Link] = [*request.nodes, *request.links]
    kept = {item.client_id for item in asked if _is_kept(made.get(item.client_id), item)}
    new_nodes = tuple(node for node in request.nodes if node.client_id not in kept)
    new_links = tuple(link for link in request.links if link.client_id not in kept)
    new_ends = {interface.client_id for node in new_nodes for interface in node.interfaces}
    for link in new_links:
        if old := [end for end in link.ends if end not in new_ends]:
            raise Unsupported(
                f"link {link.client_id!r} (line {link.line}) would be plugged into interface {old[0]!r} of a node that "
                "runs already, which can't be done here; put new nodes at both ends"
            )
    return Change(
        kept=tuple(row for name, row in made.items() if name in kept),
        going=tuple(row for name, row in made.items() if name not in kept),
        dropped=tuple(row for row in held if not Allocation(row.allocation).is_made),
        new=replace(request, nodes=new_nodes, links=new_links),
    )


def waiting(selected: Selected) -> Selected:
    """Those slivers of a slice that wait for Provision or Cancel; all that were named when slivers were."""
    few = tuple(s for s in selected.slivers if s.allocation in (Allocation.ALLOCATED, Allocation.UPDATING))
    return replace(selected, slivers=few) if selected.whole and few else selected


def cancelled(row: SliverRow) -> SliverRow:
    """A sliver as it will be when a pending update is taken back."""
    return replace(row, allocation=Allocation.PROVISIONED.value) if row.allocation == Allocation.UPDATING else row


def _is_kept(row: SliverRow | None, item: Node | Link) -> bool:
    """Whether this runs already. Raises Unsupported when it was asked for in other words."""
    if row is None:
        return False
    if row.source == (write_node(item) if isinstance(item, Node) else write_link(item)):
        return True
    where = f"{row.kind} {row.client_id!r} (line {item.line})"
    reason = Reason(
        constraint="unchanged",
        where=where,
        wanted="as in the request",
        available="as it was allocated",
        nearest="another client_id",
    )
    raise Unsupported(
        f"{where} runs already and is described otherwise than when it was allocated; what runs can't be changed: "
        "describe it as before, or give the new one another client_id",
        reasons=[reason],
    )
