"""``python -m bench [SECTION...]``: what is measured, as a table and as JSON in bench/results."""

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from bench import containers, documents, hostile, links, placing, rates, verification
from bench.row import Row

RESULTS = Path(__file__).parent / "results"


SECTIONS: Mapping[str, Callable[[], list[Row]]] = {
    "credentials": verification.measure,
    "rspecs": documents.measure,
    "placement": placing.measure,
    "calls": rates.measure,
    "hostile": hostile.measure,
    "server": containers.measure,
    "links": links.measure,
}


def main(names: list[str]) -> int:
    """Measure these sections, or all. Returns the exit status."""
    if unknown := [name for name in names if name not in SECTIONS]:
        print(f"No section {unknown[0]}; there are {', '.join(SECTIONS)}.", file=sys.stderr)
        return 2
    rows = [row for name, measure in SECTIONS.items() if name in (names or SECTIONS) for row in measure()]
    table = Table("measured", "rate", "floor", "rate", "unit", "ratio", "aim", box=box.SIMPLE_HEAD)
    for row in rows:
        aim = f"{row.aim:.2f}" if row.aim else ""
        table.add_row(
            row.measured, f"{row.rate:,.0f}", row.floor, f"{row.floor_rate:,.0f}", row.unit, f"{row.ratio:.2f}", aim
        )
    Console(width=170).print(table)
    RESULTS.mkdir(exist_ok=True)
    at = datetime.now(UTC)
    result = {
        "at": at.isoformat(),
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "rows": [{**row._asdict(), "ratio": row.ratio} for row in rows],
    }
    path = RESULTS / f"{at:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
