"""Commands about RSpecs in files: an example, a check, conversion, a drawing. None needs an account or a server."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sfi_tool import output

if TYPE_CHECKING:
    from rspec import Report

EXAMPLE = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- Two containers joined by a link. -->
<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">
  <node client_id="left" exclusive="false">
    <sliver_type name="container"/>
    <interface client_id="left:if0"><ip address="10.0.1.1" netmask="255.255.255.0" type="ipv4"/></interface>
  </node>
  <node client_id="right" exclusive="false">
    <sliver_type name="container"/>
    <interface client_id="right:if0"><ip address="10.0.1.2" netmask="255.255.255.0" type="ipv4"/></interface>
  </node>
  <link client_id="cable">
    <interface_ref client_id="left:if0"/>
    <interface_ref client_id="right:if0"/>
  </link>
</rspec>
"""

_STDIN = "-"
_UNREADABLE = 2
_FILES = click.argument("files", metavar="FILE...", nargs=-1, required=True)


@click.group(invoke_without_command=True)
@click.pass_context
def rspec(context: click.Context) -> None:
    """RSpecs in files. Without a command: print a small request to begin with, two containers and a link."""
    if context.invoked_subcommand is None:
        click.echo(EXAMPLE, nl=False)


@rspec.command()
@_FILES
@click.option("--json", "as_json", is_flag=True, help="Print a list for programs.")
def check(files: Sequence[str], as_json: bool) -> None:
    """Say whether RSpecs are good, and what is wrong where. Exits with 1 if any is refused. FILE - is the input."""
    from rspec import Problem, Report, check

    reports = []
    for name in files:
        try:
            reports.append((name, check(_content(name))))
        except OSError as e:
            problem = Problem(0, f"the file can't be read: {e.strerror}")
            reports.append((name, Report(type=None, version=None, problems=(problem,))))
    if as_json:
        output.print_json([_as_struct(name, report) for name, report in reports])
    else:
        for name, report in reports:
            _print(name, report)
    if not all(report.is_good for _, report in reports):
        raise SystemExit(1)


@rspec.command()
@click.argument("file")
@click.option(
    "--to",
    type=click.Choice(["geni3", "protogeni2", "sfa1"]),
    default="geni3",
    show_default=True,
    help="The version to write.",
)
def convert(file: str, to: str) -> None:
    """Print an RSpec in another version. What that can't say is listed on the standard error output."""
    from rspec import GENI3, PROTOGENI2, SFA1, RSpecError, convert

    versions = {"geni3": GENI3, "protogeni2": PROTOGENI2, "sfa1": SFA1}
    ((name, content),) = _contents([file])
    try:
        converted = convert(content, to=versions[to])
    except RSpecError as e:
        raise click.ClickException(f"{name}: {'; '.join(map(str, e.problems))}") from e
    click.echo(converted.text, nl=False)
    for lost in converted.lost:
        click.secho(f"lost: {lost}", err=True, fg="yellow")


@rspec.command()
@_FILES
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Draw into this SVG file instead.")
def show(files: Sequence[str], svg: Path | None) -> None:
    """Draw the topology: a line for each node, a column for each link, a dot where they meet."""
    from rspec import RSpecError, read
    from rspec.drawing import as_svg, as_text

    if svg is not None and len(files) > 1:
        raise click.UsageError("--svg takes one FILE")
    for name, content in _contents(files):
        try:
            document = read(content)
        except RSpecError as e:
            raise click.ClickException(f"{name}: {e}") from e
        if svg is not None:
            svg.write_text(as_svg(document), encoding="utf-8")
            return
        if len(files) > 1:
            click.secho(f"{name}:", bold=True)
        click.echo(as_text(document, width=output.width()))


def _contents(files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The files with what is in them; exits when one can't be read."""
    for name in files:
        try:
            yield name, _content(name)
        except OSError as e:
            click.echo(f"Error: {name}: {e.strerror}", err=True)
            raise SystemExit(_UNREADABLE) from e


def _content(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == _STDIN else Path(name).read_bytes()


def _as_struct(name: str, report: "Report") -> dict[str, object]:
    return {
        "file": name,
        "ok": report.is_good,
        "type": report.type,
        "problems": [{"line": one.line, "message": one.message, "hint": one.hint} for one in report.problems],
    }


def _print(name: str, report: "Report") -> None:
    if report.is_good:
        click.echo(f"{click.style('good', fg='green')}     {name}: a {report.version} {report.type}")
        return
    click.echo(f"{click.style('refused', fg='red')}  {name}")
    for problem in report.problems:
        where = f"line {problem.line}: " if problem.line else ""
        click.echo(f"         {where}{problem.message}")
        if problem.hint:
            click.secho(f"         {' ' * len(where)}{problem.hint}", dim=True)
