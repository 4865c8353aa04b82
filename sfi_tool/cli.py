"""The `sfi` command: the researcher's and the principal investigator's tool."""

import os
from pathlib import Path

import click

from sfi_tool import aggregate_commands, credential_commands, registry_commands, rspec_commands, speaks_for_command
from sfi_tool.folder import CONFIG, DEFAULT, Folder
from sfi_tool.identity import Session


@click.group()
@click.option(
    "-d",
    "--dir",
    "path",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT,
    envvar="SFI_DIR",
    show_default=True,
    help="Folder with your sfi.toml, key and certificate.",
)
@click.pass_context
def main(context: click.Context, path: Path) -> None:
    """Slices on an SFA/GENI aggregate: see `sfi COMMAND --help`."""
    is_needed = context.invoked_subcommand not in ("rspec", "credential")
    if is_needed or (path.expanduser() / CONFIG).is_file():
        context.obj = Session(Folder.open(path))


for command in (
    *registry_commands.COMMANDS,
    *aggregate_commands.COMMANDS,
    rspec_commands.rspec,
    credential_commands.credential,
    speaks_for_command.speaks_for,
):
    main.add_command(command)


def run() -> None:
    """The program."""
    os.umask(0o077)  # keys and credentials are written
    main()
