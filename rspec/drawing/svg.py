"""The topology as SVG: boxes for machines, lines for links of two, a dot with spokes for LANs."""

import math
from collections import deque
from itertools import pairwise
from xml.sax.saxutils import escape

from rspec.drawing.topology import Joint, Machine, Topology, topology_of
from rspec.model import Document

_WIDTH, _HEIGHT = 132, 44
"""Of a machine's box."""
_SPACE = 56
"""Between boxes, and around the drawing."""
_COLOURS = ("#dbeafe", "#dcfce7", "#fef3c7", "#fce7f3", "#ede9fe", "#ffedd5", "#e0f2fe", "#f3f4f6")
"""One for each aggregate, in their order; all bear black text."""

Point = tuple[float, float]


def as_svg(document: Document) -> str:
    """The drawing as an SVG document, which fetches nothing and runs nothing."""
    topology = topology_of(document)
    places = _places(topology)
    hubs = [_hub(joint, places) for joint in topology.joints]
    points = [*places, *(hub for hub in hubs if hub)] or [(0.0, 0.0)]
    left, top = (
        min(x for x, _ in points) - _WIDTH / 2 - _SPACE / 2,
        min(y for _, y in points) - _HEIGHT / 2 - _SPACE / 2,
    )
    managers = list(dict.fromkeys(machine.manager for machine in topology.machines))
    width = max(x for x, _ in points) + _WIDTH / 2 + _SPACE / 2 - left
    height = max(y for _, y in points) + _HEIGHT / 2 + _SPACE / 2 - top
    key = _key(managers, left + 12, top + height + 8) if len(managers) > 1 else []
    joints = [_joint(joint, hub, places) for joint, hub in zip(topology.joints, hubs, strict=True)]
    boxes = [_box(machine, at, managers) for machine, at in zip(topology.machines, places, strict=True)]
    size = f"{_n(left)} {_n(top)} {_n(width)} {_n(height + 22 * len(key) + 16 * bool(key))}"
    counted = f"{len(boxes)} node{'s' * (len(boxes) != 1)}, {len(joints)} link{'s' * (len(joints) != 1)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" width="{_n(width)}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" text-anchor="middle">\n'
        f"<title>{counted}</title>\n"
        f'<rect x="{_n(left)}" y="{_n(top)}" width="100%" height="100%" fill="#ffffff"/>\n'
        f"{''.join(joints)}{''.join(boxes)}{''.join(key)}</svg>\n"
    )


# Where things go


def _places(topology: Topology) -> list[Point]:
    """Where a tool drew them, if it drew all; else on a circle, neighbours beside each other."""
    drawn = [machine.at for machine in topology.machines if machine.at is not None]
    if drawn and len(drawn) == len(topology.machines) == len(set(drawn)):
        return _spread(drawn)
    count = len(topology.machines)
    if count <= 2:
        return [(number * (2 * _WIDTH + 2 * _SPACE), 0.0) for number in range(count)]
    radius = max(1.9 * _WIDTH, count * (_WIDTH + _SPACE / 2) / (2 * math.pi))
    places: list[Point] = [(0.0, 0.0)] * count
    for number, machine in enumerate(_round(topology)):
        angle = 2 * math.pi * number / count - math.pi / 2
        places[machine] = (radius * math.cos(angle), radius * math.sin(angle) * 0.75)
    return places


def _spread(drawn: list[Point]) -> list[Point]:
    """As drawn, enlarged until there is a box's room between the closest two."""
    closest = min(
        (max(abs(a[0] - b[0]) / (_WIDTH + 12), abs(a[1] - b[1]) / (_HEIGHT + 12)) for a, b in _pairs(drawn)),
        default=1.0,
    )
    grow = min(50.0, max(1.0, 2 / closest)) if closest > 0 else 1.0
    return [(x * grow, y * grow) for x, y in drawn]


def _pairs(points: list[Point]) -> list[tuple[Point, Point]]:
    """All pairs; of the first some hundred, which is what can be looked at."""
    some = points[:300]
    return [(a, b) for number, a in enumerate(some) for b in some[:number]]


def _round(topology: Topology) -> list[int]:
    """All machines, each followed by those it is joined to, as far as they have no place yet."""
    beside: list[list[int]] = [[] for _ in topology.machines]
    for joint in topology.joints:
        ends = [number for number, _ in joint.ends]
        for first, second in pairwise(ends):
            beside[first].append(second)
            beside[second].append(first)
    order: dict[int, None] = {}
    for start in range(len(topology.machines)):
        waiting = deque([start])
        while waiting:
            machine = waiting.pop()
            if machine not in order:
                order[machine] = None
                waiting.extend(reversed(beside[machine]))
    return list(order)


def _hub(joint: Joint, places: list[Point]) -> Point | None:
    """The middle of a LAN; None for a link of two, which needs none, and for one that reaches nothing."""
    ends = [places[number] for number, _ in joint.ends]
    if len(ends) in (0, 2):
        return None
    x, y = sum(x for x, _ in ends) / len(ends), sum(y for _, y in ends) / len(ends)
    return (x, y + _HEIGHT * 1.5) if len(ends) == 1 else (x, y)


# What they look like


def _box(machine: Machine, at: Point, managers: list[str]) -> str:
    x, y = at
    colour = _COLOURS[managers.index(machine.manager) % len(_COLOURS)]
    told = " ".join((machine.name, *machine.words, machine.manager))
    words = f'<text x="{_n(x)}" y="{_n(y + 14)}" font-size="11">{_short(" · ".join(machine.words), 20)}</text>'
    return (
        f"<g><title>{escape(told)}</title>"
        f'<rect x="{_n(x - _WIDTH / 2)}" y="{_n(y - _HEIGHT / 2)}" width="{_WIDTH}" height="{_HEIGHT}" rx="7" '
        f'fill="{colour}" stroke="#374151"/>'
        f'<text x="{_n(x)}" y="{_n(y - 3)}" font-weight="600">{_short(machine.name, 17)}</text>{words}</g>\n'
    )


def _joint(joint: Joint, hub: Point | None, places: list[Point]) -> str:
    ends = [(places[number], address) for number, address in joint.ends]
    if not ends:
        return ""
    middle = hub or ((ends[0][0][0] + ends[1][0][0]) / 2, (ends[0][0][1] + ends[1][0][1]) / 2)
    lines = "".join(_line(middle, at) for at, _ in ends)
    dot = f'<circle cx="{_n(middle[0])}" cy="{_n(middle[1])}" r="5" fill="#374151"/>' if hub else ""
    told = ", ".join((joint.name, *joint.words, *(address for _, address in ends if address)))
    label = _short(" · ".join((joint.name, *joint.words)), 32)
    # White behind the letters, so that they can be read upon the line.
    text = f'<text x="{_n(middle[0])}" y="{_n(middle[1] - 8)}" font-size="11" paint-order="stroke" stroke="#ffffff"'
    addresses = "".join(_address(middle, at, address) for at, address in ends if address)
    return f'<g><title>{escape(told)}</title>{lines}{dot}{text} stroke-width="4">{label}</text>{addresses}</g>\n'


def _line(middle: Point, end: Point) -> str:
    (x1, y1), (x2, y2) = middle, end
    return f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" stroke="#6b7280" stroke-width="1.5"/>'


def _address(middle: Point, end: Point, address: str) -> str:
    """An address, where the line leaves the machine's box."""
    dx, dy = middle[0] - end[0], middle[1] - end[1]
    out = min(1.0, 1 / max(abs(dx) / (_WIDTH / 2 + 34), abs(dy) / (_HEIGHT / 2 + 12), 1e-9))
    x, y = end[0] + dx * out, end[1] + dy * out
    return (
        f'<text x="{_n(x)}" y="{_n(y + 4)}" font-size="10" fill="#374151" paint-order="stroke" stroke="#ffffff" '
        f'stroke-width="4">{_short(address, 26)}</text>'
    )


def _key(managers: list[str], left: float, top: float) -> list[str]:
    """Which colour is which aggregate."""
    return [
        f'<rect x="{_n(left)}" y="{_n(top + 22 * number)}" width="14" height="14" rx="3" stroke="#374151" '
        f'fill="{_COLOURS[number % len(_COLOURS)]}"/>'
        f'<text x="{_n(left + 22)}" y="{_n(top + 22 * number + 12)}" text-anchor="start">'
        f"{escape(manager or 'any aggregate')}</text>\n"
        for number, manager in enumerate(managers)
    ]


def _short(text: str, most: int) -> str:
    return escape(text if len(text) <= most else f"{text[: most - 1]}…")


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
