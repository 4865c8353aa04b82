"""The clearinghouse: service registry, member authority and slice authority of the federation API, put together.

Rules in no protocol's words. A caller is known by their certificate, or by their word for a tool; what they may do
follows from their roles, which are looked up in the transaction that does it.
"""

from dataclasses import dataclass

from sfa_am.authority.callers import Callers
from sfa_am.authority.member_authority import MemberAuthority
from sfa_am.authority.projects import Projects
from sfa_am.authority.registry import Registry
from sfa_am.authority.services import ServiceRegistry, ServiceRow
from sfa_am.authority.slice_authority import SliceAuthority
from sfa_am.authority.slivers_told import SliversTold
from sfa_am.slices.gate import Gate
from sfa_am.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearinghouse:
    """Its parts."""

    services: ServiceRegistry
    members: MemberAuthority
    slices: SliceAuthority
    projects: Projects
    slivers: SliversTold

    @classmethod
    def of(cls, store: Store, gate: Gate, registry: Registry, own: tuple[ServiceRow, ...]) -> "Clearinghouse":
        """Over a store and the registry of the same authority. own: what this installation offers."""
        callers = Callers(gate, registry.urn)
        return cls(
            services=ServiceRegistry(store, own),
            members=MemberAuthority(store, callers, registry),
            slices=SliceAuthority(store, callers, registry),
            projects=Projects(store, callers, registry),
            slivers=SliversTold(store, callers),
        )
