"""What the controller and the node managers say to each other, and how it is written.

    PREFIX.node.NAME.VERB   a request to a node; the reply is an `Answer`
    PREFIX.beat.NAME        a node is alive: a `Beat`, every second
    PREFIX.seen.NAME        something was seen on a node that nobody asked for just now: an `Observation`

All of it is JSON, read strictly: what does not fit its shape is refused as a whole.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from backends.protocol import (
    BackendError,
    Form,
    Image,
    Impossible,
    Observation,
    Offer,
    Segment,
    SliverId,
    SliverSpec,
    Unavailable,
)

T = TypeVar("T")

BEAT_EVERY = 1.0
"""Seconds between two heartbeats of a node."""

AWAY_AFTER = 3.0
"""A node that has not been heard for so many seconds is away."""


class ImageLacking(Impossible):
    """A node has not the image that a machine is to begin from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A sliver that shall exist.

    edition: of its image, as another node holds it; empty when this node is to know by itself
    """

    spec: SliverSpec
    edition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageNamed:
    """An image for a form of machines, by the name that requests have for it."""

    name: str
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A sliver that shall not exist, and the generation of its newest wish."""

    sliver: SliverId
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another host that a link leads to.

    address: where its end of the tunnel is
    macs:    of the machines' ports there
    """

    address: IPv4Address
    macs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What one node has to know of a link.

    segment:    what it should be; None while only machines that are on it have been heard of
    neighbours: the other hosts concerned
    """

    link: SliverId
    segment: Segment | None = None
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a node is.

    offer:    what it can make, under its own name
    underlay: where other nodes reach its ends of tunnels; None when links never leave it
    parallel: how many slivers it makes at once
    private:  images that it holds and that not everybody is told of
    """

    offer: Offer
    underlay: IPv4Address | None
    parallel: int
    private: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """All that is on a node: its slivers, and the links as it knows them."""

    observations: tuple[Observation, ...]
    wirings: tuple[Wiring, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A node is alive.

    boot:      tells one life of a node manager from the next
    inventory: digest of its inventory: another one means that it is worth asking for
    """

    boot: str
    inventory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A node's reply: the answer's own JSON, or what it refuses with."""

    body: str = ""
    refusal: Literal["", "Unavailable", "ImageLacking", "Impossible", "BackendError"] = ""
    sentence: str = ""


_REFUSALS: dict[str, type[BackendError]] = {
    kind.__name__: kind for kind in (Unavailable, ImageLacking, Impossible, BackendError)
}

_adapters: dict[type, TypeAdapter[Any]] = {}


class Unreadable(Exception):
    """A message has not the shape it should have."""


def write(message: object) -> bytes:
    """A message as bytes."""
    return _adapter(type(message)).dump_json(message)


def read(kind: type[T], body: bytes | str) -> T:
    """A message from bytes. Raises Unreadable."""
    try:
        found: T = _adapter(kind).validate_json(body)
    except ValidationError as e:
        raise Unreadable(f"no {kind.__name__}: {e.error_count()} errors, first: {e.errors()[0]['msg']}") from e
    return found


def refusal(e: BackendError) -> Answer:
    """An error as an answer. The most special kind that both sides know."""
    kind = next(name for name, known in _REFUSALS.items() if isinstance(e, known))
    return Answer(refusal=kind, sentence=str(e))  # type: ignore[arg-type]  # the keys are the literal's


def opened(answer: Answer) -> str:
    """An answer's body. Raises what the node refused with."""
    if answer.refusal:
        raise _REFUSALS[answer.refusal](answer.sentence)
    return answer.body


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
