"""The names that machines and links have for each other, made of what they are called in the request."""

import re
from collections.abc import Iterable, Mapping

_LONGEST = 63
"""Of a DNS label (RFC 1035)."""


def labels(client_ids: Iterable[str], taken: Iterable[str] = ()) -> Mapping[str, str]:
    """A DNS label for each client_id; a second of the same gets a number.

    taken: labels that others have
    """
    result: dict[str, str] = {}
    used = set(taken)
    for client_id in client_ids:
        label = re.sub(r"[^a-z0-9-]+", "-", client_id.lower()).strip("-")[:60].rstrip("-") or "node"
        name, number = label, 2
        while name in used:
            name, number = f"{label}-{number}"[:_LONGEST], number + 1
        used.add(name)
        result[client_id] = name
    return result
