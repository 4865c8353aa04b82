"""The hosts of the backends."""

import click

from sfa_am.commands.invitations import node_invite


@click.group()
def node() -> None:
    """The hosts of the backends: who may join, what becomes of them."""


node.add_command(node_invite)
