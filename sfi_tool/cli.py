"""The `sfi` command: the researcher's and the principal investigator's tool."""

import os
from pathlib import Path
from typing import Any

import click

from sfi_tool import (
    aggregate_commands,
    change_commands,
    credential_commands,
    explain_command,
    identity_commands,
    image_commands,
    login_command,
    people_commands,
    record_commands,
    resource_commands,
    rspec_commands,
    rules_commands,
    server_commands,
    speaks_for_command,
    tracing,
)
from sfi_tool.errors import EXIT_STATUS
from sfi_tool.folder import DEFAULT, default_path
from sfi_tool.group import Commands
from sfi_tool.invocation import Invocation
from sfi_tool.servers import TIMEOUT
from sfi_tool.sfi_config import NAME as SFI_CONFIG


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=f"Exit status: {EXIT_STATUS}."
)
@click.option(
    "-d",
    "--dir",
    "path",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="SFI_DIR",
    help=f"Folder with your sfi.toml or SFAWrap's {SFI_CONFIG}, key and certificate. "
    f"[default: . where it has a {SFI_CONFIG}, else {DEFAULT}]",
)
@click.option("-r", "--registry", metavar="URL", help="The registry, in place of the folder's.")
@click.option("-s", "--sliceapi", "aggregate", metavar="URL", help="The aggregate, in place of the folder's.")
@click.option("-u", "--user", metavar="HRN", help="Who you are, in place of the folder's.")
@click.option("-a", "--auth", metavar="HRN", help="The authority you act in; by default the one above you.")
@click.option(
    "-k",
    "--private-key",
    "key",
    type=click.Path(path_type=Path),
    help="Put a copy of this key into the folder if it has none.",
)
@click.option(
    "-t",
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=TIMEOUT,
    show_default=True,
    help="Seconds for one answer.",
)
@click.option("-v", "--verbose", count=True, help="A line for each call.")
@click.option("-D", "--debug", is_flag=True, help="Print what is sent and received, without keys and credentials.")
@click.option("-R", "--raw", metavar="FILE", help="Write the servers' answers, whole, into FILE; - is the output.")
@click.option("--rawformat", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--rawbanner", metavar="TEXT", help="A line before and after each answer, for -R.")
@click.option(
    "--yes-trust",
    "agreed",
    metavar="FINGERPRINT",
    multiple=True,
    help="Trust this root (SHA-256) of a registry that is called for the first time, without asking.",
)
@click.pass_context
def main(
    context: click.Context,
    /,
    path: Path | None,
    key: Path | None,
    timeout: float,
    verbose: int,
    debug: bool,
    raw: str | None,
    rawformat: str,
    rawbanner: str | None,
    agreed: tuple[str, ...],
    **overrides: Any,
) -> None:
    """Slices on an SFA/GENI aggregate: see `sfi COMMAND --help`. Commands may be shortened to what is unique."""
    if "NO_COLOR" in os.environ:
        context.color = False
    recorder = tracing.Raw(raw, form=rawformat, banner=rawbanner) if raw is not None else None
    context.obj = Invocation(
        path=path or default_path(),
        overrides={name: value for name, value in overrides.items() if value},
        key=key,
        timeout=timeout,
        watcher=tracing.watchers(verbosity=2 if debug else verbose, raw=recorder),
        agreed=agreed,
    )


for _command in (
    *people_commands.COMMANDS,
    *record_commands.COMMANDS,
    *identity_commands.COMMANDS,
    *resource_commands.COMMANDS,
    *aggregate_commands.COMMANDS,
    *change_commands.COMMANDS,
    *rules_commands.COMMANDS,
    *image_commands.COMMANDS,
    *login_command.COMMANDS,
    *explain_command.COMMANDS,
    *server_commands.COMMANDS,
    rspec_commands.rspec,
    credential_commands.credential,
    speaks_for_command.speaks_for,
):
    main.add_command(_command)


def run() -> None:
    """The program."""
    os.umask(0o077)  # keys and credentials are written
    main()
