"""``python -m bench``: everything measured, as a table and as JSON in bench/results."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from backends.native.images import DEBIAN_12, ImageFolder
from bench import calls, containers
from bench.server import IMAGES, BenchServer

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Returns the exit status."""
    if os.geteuid() != 0:
        print("The benchmarks make containers, which needs root.", file=sys.stderr)
        return 1
    ImageFolder(IMAGES).build(DEBIAN_12.name)
    containers.bare_loop()  # once unmeasured: caches fill
    rows: list[tuple[str, float, str, float, str]] = []
    with BenchServer() as server:
        containers.through_the_aggregate(server, at_once=2)
        bare = containers.bare_loop()
        for at_once in (1, 10):
            through = containers.through_the_aggregate(server, at_once=at_once)
            words = f"containers, {at_once} in a slice (Allocate to SSH greeting)"
            rows.append((words, through, "bare lxc loop, one after the other", bare, "per minute"))
        rates = calls.measure(server)
        for name in ("GetVersion", "Status"):
            rows.append((name, rates[name], "bare Twisted XML-RPC echo", rates["echo"], "per second"))
    table = Table("measured", "rate", "floor", "rate", "unit", "ratio", box=box.SIMPLE_HEAD)
    for words, rate, floor, floor_rate, unit in rows:
        table.add_row(words, f"{rate:,.0f}", floor, f"{floor_rate:,.0f}", unit, f"{rate / floor_rate:.2f}")
    Console(width=150).print(table)
    RESULTS.mkdir(exist_ok=True)
    at = datetime.now(UTC)
    result = {
        "at": at.isoformat(),
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "rows": [
            {
                "measured": words,
                "rate": rate,
                "floor": floor,
                "floor_rate": floor_rate,
                "unit": unit,
                "ratio": rate / floor_rate,
            }
            for words, rate, floor, floor_rate, unit in rows
        ],
    }
    path = RESULTS / f"{at:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
