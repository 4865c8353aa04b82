"""The names by which a machine finds the others on its links: a part of its /etc/hosts that is ours, between two marks.

Each address has the names that testbeds give: `node-lan` for a machine on a certain link, `node` for one on any. Where
a machine is met on several links, its plain name stands for the first of them.
"""

import shlex
from collections.abc import Callable

from backends.protocol import Machine, Segment, SliverId

_BEGIN = "# machines of the slice: begin (this part is written anew when they change)"
_END = "# machines of the slice: end"
_FILE = "/etc/hosts"


def lines(machine: Machine, segment_of: Callable[[SliverId], Segment | None]) -> tuple[str, ...]:
    """What a machine is to know: an address and its names in each line."""
    found: list[str] = []
    met = {machine.hostname}
    for port in machine.ports:
        segment = segment_of(port.link)
        if segment is None or not segment.name:
            continue
        here: set[str] = set()
        for member in segment.members:
            names = [f"{member.hostname}-{segment.name}"]
            if member.hostname not in met:
                names.append(member.hostname)
            here.add(member.hostname)
            found += [f"{address.ip} {' '.join(names)}" for address in member.addresses]
        met |= here
    return tuple(found)


def whole(hostname: str, known: tuple[str, ...]) -> str:
    """A machine's /etc/hosts before anybody has changed it."""
    own = ("127.0.0.1 localhost", f"127.0.1.1 {hostname}", "::1 localhost ip6-localhost")
    return _text((*own, *_part(known)))


def update_script(known: tuple[str, ...]) -> str:
    """A shell script that puts this into a machine's /etc/hosts in place of what it said of the slice before.

    It is written in place, and not exchanged: some images have it mounted from elsewhere.
    """
    part = shlex.quote(_text(_part(known)))
    ours = shlex.quote(f"/^{_pattern(_BEGIN)}$/,/^{_pattern(_END)}$/d")
    return (
        f"set -e\nothers=$(sed {ours} {_FILE} 2>/dev/null || true)\n"
        f'{{ [ -z "$others" ] || printf "%s\\n" "$others"; printf %s {part}; }} >{_FILE}\n'
    )


def _part(known: tuple[str, ...]) -> tuple[str, ...]:
    return (_BEGIN, *known, _END) if known else ()


def _text(parts: tuple[str, ...]) -> str:
    return "".join(f"{part}\n" for part in parts)


def _pattern(words: str) -> str:
    """None of what these say means anything to sed but the slash."""
    return words.replace("/", "\\/").replace("(", "[(]").replace(")", "[)]")
