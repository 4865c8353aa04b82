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

    def is_ours(self, manager: str) -> bool:
        """Whether a component manager in an RSpec means us: tools write its last field as `am` or as `cm`."""
        urn = _urn_or_none(manager)
        return urn is not None and urn.type == "authority" and urn.name in ("am", "cm") and self._same_authority(urn)

    def component(self, name: str) -> URN:
        """URN of an advertised node."""
        return URN(authority=self.authority, type="node", name=name)

    def interface(self, component: str, name: str) -> URN:
        """URN of an interface of an advertised node."""
        return URN(authority=self.authority, type="interface", name=f"{component}:{name}")

    def component_name(self, component: str) -> str | None:
        """The name of an advertised node by what an RSpec calls it, or None when that is no URN of ours."""
        urn = _urn_or_none(component)
        return urn.name if urn is not None and urn.type == "node" and self._same_authority(urn) else None

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


def _urn_or_none(text: str) -> URN | None:
    try:
        return URN.parse(text.strip())
    except BadName:
        return None


def read_urn(text: str, what: str) -> URN:
    """A URN that a client sent. Raises BadArgs, saying what it was meant to be."""
    try:
        return URN.parse(text)
    except BadName as e:
        raise BadArgs(f"{what} {text!r:.200} is not a URN: {e}") from e
