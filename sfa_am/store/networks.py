"""Numbers of links: each link that exists has one that no other link has, so that hosts can carry them side by side."""

import secrets
from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, insert, select

from backends.protocol import SliverId
from sfa_am.store.schema import network

_LAST = 2**24 - 2
"""A VXLAN network identifier has 24 bits (RFC 7348)."""

_AMONG = select(network.c.number).where(network.c.number.in_(bindparam("numbers", expanding=True)))
_HOLD = insert(network)


def free_numbers(tx: Connection, how_many: int) -> list[int]:
    """So many numbers that nothing holds. At random, so that one is not used again soon after it was given back."""
    found: set[int] = set()
    while len(found) < how_many:
        tried = {1 + secrets.randbelow(_LAST) for _ in range(how_many - len(found))}
        found |= tried - set(tx.scalars(_AMONG, {"numbers": sorted(tried)}))
    return sorted(found)


def hold(tx: Connection, numbers: Mapping[SliverId, int]) -> None:
    """Give these links their numbers. They hold them until their rows go."""
    if numbers:
        tx.execute(_HOLD, [{"number": number, "sliver_id": link} for link, number in numbers.items()])
