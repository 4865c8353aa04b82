"""`sfa-am doctor`: the examination as a table, or for programs."""

import json
import sys
from dataclasses import asdict

import click
from rich import box
from rich.console import Console
from rich.table import Table

from sfa_am.doctor.finding import Verdict
from sfa_am.doctor.probes import examine

_COLOURS = {Verdict.OK: "green", Verdict.LIMITED: "yellow", Verdict.MISSING: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(as_json: bool) -> None:
    """What this host can do, and how to get the rest. Fails when the native backend lacks something it needs."""
    findings = examine()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        table = Table("subject", "verdict", "found", "what to do", box=box.SIMPLE_HEAD, pad_edge=False)
        for finding in findings:
            colour = _COLOURS[finding.verdict] if finding.needed or finding.verdict is Verdict.OK else "yellow"
            table.add_row(finding.subject, f"[{colour}]{finding.verdict}[/]", finding.says, finding.remedy)
        Console().print(table)
    if any(finding.needed and finding.verdict is Verdict.MISSING for finding in findings):
        sys.exit(1)
