"""The `sfa-am` command: found an installation, run it, look after it."""

import sys
from pathlib import Path

import click

from sfa_am.commands.credential import credential
from sfa_am.commands.installation import init, serve
from sfa_am.commands.own_authority import authority
from sfa_am.commands.people import user
from sfa_am.commands.status import status
from sfa_am.commands.trusted import trust_group
from sfa_am.doctor import doctor
from sfa_am.errors import AMError

DEFAULT_STATE = Path("/var/lib/sfa-am")


@click.group()
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_STATE,
    envvar="SFA_AM_STATE",
    show_default=True,
    help="Folder with the settings, the store and the keys of an installation.",
)
@click.pass_context
def main(context: click.Context, state: Path) -> None:
    """An SFA/GENI aggregate manager: one installation is one state folder."""
    context.obj = state


for command in (init, serve, status, user, authority, trust_group, credential, doctor):
    main.add_command(command)


def run() -> None:
    """The program: refusals are one line, without a traceback."""
    try:
        main()
    except AMError as e:
        click.echo(f"Error: {e}", err=True)
        sys.exit(1)
