"""What aggregates say of slivers, in the words of version 3 of the AM API."""

import base64
import binascii
import zlib
from dataclasses import dataclass

from sfi_tool.errors import Unreachable

State = dict[str, str]
"""`geni_sliver_urn`, `geni_allocation_status`, `geni_operational_status`, `geni_expires`, `geni_error`."""

RSPEC_VERSION = {"type": "GENI", "version": "3"}

_LARGEST = 256 * 1024 * 1024
"""Bytes of an RSpec that came packed: 20,000 nodes are some 20 MiB."""


@dataclass(frozen=True, slots=True)
class Described:
    """A slice at an aggregate: its manifest, and the states of its slivers."""

    manifest: str
    states: list[State]


def unpacked(sent: object) -> str:
    """An RSpec as it was sent: plain, or compressed as `geni_compressed` asks. Raises Unreachable."""
    text = str(sent)
    if text.lstrip()[:1] in ("<", ""):
        return text
    try:
        reader = zlib.decompressobj()
        octets = reader.decompress(base64.b64decode(text), _LARGEST)
        if reader.unconsumed_tail:
            raise Unreachable(f"the aggregate sent an RSpec of more than {_LARGEST} bytes")
        return octets.decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError) as e:
        raise Unreachable(f"the aggregate sent an RSpec that can't be read: {e}") from e


def names_by_urn(manifest: str) -> dict[str, str]:
    """client_id by sliver URN."""
    from rspec import RSpecError, read_manifest

    try:
        read = read_manifest(manifest)
    except RSpecError:  # a manifest is a help to name slivers by, not a condition for showing their states
        return {}
    nodes = {node.sliver_id: node.client_id for node in read.nodes if node.sliver_id}
    return nodes | {link.sliver_id: link.client_id for link in read.links if link.sliver_id}
