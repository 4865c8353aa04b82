"""The `sfa-am` command: found an installation, run it, look after it."""

from pathlib import Path
from typing import Any

import click

from sfa_am.commands.bus import bus
from sfa_am.commands.credential import credential
from sfa_am.commands.federation import federate
from sfa_am.commands.images import image
from sfa_am.commands.installation import init, serve
from sfa_am.commands.nodes import node
from sfa_am.commands.own_authority import authority
from sfa_am.commands.people import user
from sfa_am.commands.services import service
from sfa_am.commands.status import status
from sfa_am.commands.trusted import trust_group
from sfa_am.doctor import doctor
from sfa_am.errors import AMError

DEFAULT_STATE = Path("/var/lib/sfa-am")


class _Group(click.Group):
    """Refusals are one line, without a traceback."""

    def invoke(self, context: click.Context) -> Any:
        """As click does."""
        try:
            return super().invoke(context)
        except AMError as e:
            raise click.ClickException(str(e)) from e


@click.group(cls=_Group)
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


_COMMANDS = (
    *(init, serve, status, doctor, bus, node, image),
    *(user, authority, service, trust_group, federate, credential),
)
for command in _COMMANDS:
    main.add_command(command)


def run() -> None:
    """The program."""
    main()
