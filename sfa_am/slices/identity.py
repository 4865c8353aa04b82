"""The names this aggregate goes by, and those it gives."""

from dataclasses import dataclass

from backends.protocol import SliverId
from credentials import URN, BadName
from sfa_am.errors import BadArgs


@dataclass(frozen=True, slots=True)
class Identity:
    """An aggregate named by its authority ("example.org:lab")."""

    authority: str

    @property
    def manager(self) -> URN:
        """The component manager's URN, as written into advertisements and manifests."""
        return URN(authority=self.authority, type="authority", name="am")

    def is_ours(self, manager: URN) -> bool:
        """Whether an RSpec means us: tools write the last field as `am` or as `cm`."""
        return manager.type == "authority" and manager.name in ("am", "cm") and self._same_authority(manager)

    def component(self, name: str) -> URN:
        """URN of an advertised node."""
        return URN(authority=self.authority, type="node", name=name)

    def interface(self, component: str, name: str) -> URN:
        """URN of an interface of an advertised node."""
        return URN(authority=self.authority, type="interface", name=f"{component}:{name}")

    def component_name(self, component: URN) -> str | None:
        """The name of an advertised node, or None when the URN is not one of ours."""
        return component.name if component.type == "node" and self._same_authority(component) else None

    def image(self, name: str) -> URN:
        """URN of a disk image."""
        return URN(authority=self.authority, type="image", name=name)

    def sliver(self, sliver_id: SliverId) -> URN:
        """URN of a sliver: unique over time, since identifiers are."""
        return URN(authority=self.authority, type="sliver", name=sliver_id)

    def sliver_id(self, sliver: URN) -> SliverId | None:
        """The identifier in a sliver's URN, or None when it is not ours."""
        return SliverId(sliver.name) if sliver.type == "sliver" and self._same_authority(sliver) else None

    def _same_authority(self, urn: URN) -> bool:
        return urn.authority.lower() == self.authority.lower()


def read_urn(text: str, what: str) -> URN:
    """A URN that a client sent. Raises BadArgs, saying what it was meant to be."""
    try:
        return URN.parse(text)
    except BadName as e:
        raise BadArgs(f"{what} {text!r:.200} is not a URN: {e}") from e
