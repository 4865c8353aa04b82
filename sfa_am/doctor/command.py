"""`sfa-am doctor`: the examination as a table, or for programs."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sfa_am.doctor import trusted
from sfa_am.doctor.examination import examine
from sfa_am.doctor.finding import Finding, Verdict


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def doctor(state: Path, as_json: bool) -> None:
    """What this host can do, and how to get the rest. Fails when the native backend lacks something it needs."""
    findings = [*examine(), *trusted.look(state)]
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        Console().print(table(findings))
    if any(finding.stands_in_the_way for finding in findings):
        sys.exit(1)


def table(findings: Iterable[Finding]) -> Table:
    """For people: what stands in the way is red."""
    shown = Table("subject", "verdict", "found", "what to do", box=box.SIMPLE_HEAD, pad_edge=False)
    for finding in findings:
        verdict = f"[{_colour(finding)}]{finding.verdict}[/]"
        shown.add_row(finding.subject, verdict, escape(finding.says), escape(finding.remedy))
    return shown


def _colour(finding: Finding) -> str:
    if finding.verdict is Verdict.OK:
        return "green"
    return "red" if finding.stands_in_the_way else "yellow"
