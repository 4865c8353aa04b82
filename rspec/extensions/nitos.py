"""Reservations ahead of time: leases and channels as NITOS and OMF write them, and PlanetLab's."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self
from xml.sax.saxutils import quoteattr

from lxml import etree

from rspec.errors import Odd
from rspec.extensions.reading import integer, local, source_of
from rspec.model import Extension
from rspec.namespaces import GENI3, NITOS, PROTOGENI2
from rspec.vocabulary import moment

GRAIN = timedelta(minutes=30)
"""What PlanetLab counts the duration of its leases in, where an advertisement says nothing else."""


@dataclass(frozen=True, kw_only=True)
class Lease(Extension):
    """At the top: nodes for a slice from one time to another. Times are aware; None where they are odd or not said.

    id:    by which nodes refer to it
    slice: URN, if somebody has it
    nodes: component_ids that are named in it
    """

    id: str | None
    slice: str | None
    begins_at: datetime | None
    ends_at: datetime | None
    nodes: tuple[str, ...]

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <lease>, NITOS's or PlanetLab's."""
        begins_at = _moment(element.get("valid_from") or element.get("start_time"))
        ends_at = _moment(element.get("valid_until") or element.get("end_time"))
        grains = integer(element.get("duration"))
        if ends_at is None and begins_at is not None and grains is not None:
            ends_at = _after(begins_at, grains)
        return cls(
            source=source_of(element),
            id=element.get("id") or element.get("leaseID") or element.get("client_id"),
            slice=element.get("slice_id"),
            begins_at=begins_at,
            ends_at=ends_at,
            nodes=tuple(one.get("component_id") or "" for one in element.iter(etree.Element) if local(one) == "node"),
        )

    @classmethod
    def of(cls, lease: Self) -> Self:
        """The same anew, as NITOS writes it: for one that was read from a document without namespaces."""
        times = {"valid_from": lease.begins_at, "valid_until": lease.ends_at}
        said = {"id": lease.id, "slice_id": lease.slice}
        attributes = {**said, **{name: at and at.strftime("%Y-%m-%dT%H:%M:%SZ") for name, at in times.items()}}
        told = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items() if value)
        nodes = "".join(f"<nitos:node component_id={quoteattr(node)}/>" for node in lease.nodes)
        source = f"<nitos:lease xmlns:nitos={quoteattr(NITOS)}{told}>{nodes}</nitos:lease>"
        return replace(lease, source=source)


@dataclass(frozen=True, kw_only=True)
class LeaseRef(Extension):
    """On a node or channel: which lease it belongs to."""

    id: str

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <lease_ref>."""
        return cls(source=source_of(element), id=element.get("id_ref") or element.get("leaseREF") or "")


@dataclass(frozen=True, kw_only=True)
class Channel(Extension):
    """At the top: a radio channel."""

    component_id: str | None
    frequency: str | None

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <channel>."""
        return cls(
            source=source_of(element), component_id=element.get("component_id"), frequency=element.get("frequency")
        )


def _moment(text: str | None) -> datetime | None:
    """A time in words, or seconds since 1970."""
    seconds = integer(text)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds, UTC)
        return moment(text) if text else None
    except (Odd, OverflowError, ValueError, OSError):
        return None


def _after(begins_at: datetime, grains: int) -> datetime | None:
    try:
        return begins_at + grains * GRAIN
    except OverflowError:
        return None


READERS = {
    f"{{{NITOS}}}lease": Lease.read,
    f"{{{GENI3}}}lease": Lease.read,  # PlanetLab writes it so, though the schema has none there
    f"{{{PROTOGENI2}}}lease": Lease.read,
    f"{{{NITOS}}}lease_ref": LeaseRef.read,
    f"{{{NITOS}}}channel": Channel.read,
}
