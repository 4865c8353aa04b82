"""The topology as text: a line for each machine, a column for each link, a dot where they meet."""

from rspec.drawing.topology import Joint, Topology, topology_of
from rspec.model import Document

_COLUMN = 3
"""Characters for each link."""


_AIRY = 30
"""Machines, up to which there is a line between their lines: it is easier to read, and twice as long."""


def as_text(document: Document, *, width: int = 100) -> str:
    """The drawing, lines of at most `width` characters. With more links than fit it is drawn in several parts."""
    topology = topology_of(document)
    if not topology.machines:
        return "no nodes\n"
    names = max(len(machine.name) for machine in topology.machines)
    words = max(len("  ".join((*machine.words, machine.manager))) for machine in topology.machines)
    fitting = max(1, (width - names - words - 4) // _COLUMN)
    parts = [topology.joints[start : start + fitting] for start in range(0, len(topology.joints), fitting)] or [()]
    drawings = [_part(topology, part, number * fitting, names) for number, part in enumerate(parts)]
    return "\n".join([*drawings, _legend(topology)]) if topology.joints else drawings[0]


def _part(topology: Topology, joints: tuple[Joint, ...], first: int, names: int) -> str:
    """The machines with some of the links, which have numbers at the top."""
    spans = [_span(joint) for joint in joints]
    numbers = "".join(f"{number:>{_COLUMN}}" for number in range(first + 1, first + len(joints) + 1))
    lines = [f"{'':{names}} {numbers}".rstrip()] if joints else []
    for row, machine in enumerate(topology.machines):
        met = [column for column, joint in enumerate(joints) if any(number == row for number, _ in joint.ends)]
        last = max(met, default=-1)
        cells = "".join(
            _cell(column in met, spans[column], row, is_led=column <= last, is_wire=column < last)
            for column in range(len(joints))
        )
        said = "  ".join((*machine.words, machine.manager)).rstrip()
        lines.append(f"{machine.name:<{names}} {cells}   {said}".rstrip())
        if row + 1 < len(topology.machines) <= _AIRY and joints:
            between = "".join(f"{'│' if span and span[0] <= row < span[1] else '':>{_COLUMN}}" for span in spans)
            if between.strip():
                lines.append(f"{'':{names}} {between}".rstrip())
    return "\n".join(lines) + "\n"


def _cell(is_met: bool, span: tuple[int, int] | None, row: int, *, is_led: bool, is_wire: bool) -> str:
    """What stands where a machine's line meets a link's column. `is_led`: the machine's wire comes to here at least."""
    lead = ("─" if is_led else " ") * (_COLUMN - 1)
    if is_met:
        return f"{lead}●"
    passes = span is not None and span[0] < row < span[1]
    if is_wire:
        return f"{lead}{'┼' if passes else '─'}"
    return f"{lead}{'│' if passes else ' '}"


def _span(joint: Joint) -> tuple[int, int] | None:
    """The first and the last row that a link reaches."""
    rows = [number for number, _ in joint.ends]
    return (min(rows), max(rows)) if rows else None


def _legend(topology: Topology) -> str:
    """What the links are, by their numbers."""
    lines = []
    for number, joint in enumerate(topology.joints, start=1):
        addresses = [f"{topology.machines[end].name} {address}" for end, address in joint.ends if address]
        said = "  ".join((joint.name, *joint.words, ", ".join(addresses[:8]), *(["…"] if len(addresses) > 8 else [])))
        lines.append(f"{number:>3}  {said.rstrip()}")
    return "\n".join(lines) + "\n"
