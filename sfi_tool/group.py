"""The top command: names of commands in full, by another name, or by their beginning."""

from typing import Any

import click

from sfi_tool.errors import Unreadable, printable

ALIASES = {"add": "register", "discover": "resources"}
"""Other names of commands."""

REFUSED = {
    "myslice": "nothing is uploaded to MySlice from here. `sfi delegate` passes credentials on in files, "
    "`sfi speaks-for` lets a portal act for you",
    "start": "say `sfi action SLICE start`",
    "stop": "say `sfi action SLICE stop`",
    "reset": "say `sfi action SLICE reload`, or `sfi delete SLICE` and `sfi create SLICE REQUEST`",
    "get_ticket": "tickets ended with version 2 of the AM API; `sfi allocate` reserves",
    "redeem_ticket": "tickets ended with version 2 of the AM API; `sfi provision` makes what is reserved",
}
"""Commands of SFAWrap's sfi that are not here, and what to do in their place."""


class Commands(click.Group):
    """A group whose commands may be shortened to a beginning that no other has."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; None when there is none. Raises UsageError for an ambiguous beginning."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name in self.commands or ctx.resilient_parsing:  # the latter: a shell asks what may follow
            return self.commands.get(name)
        if cmd_name in REFUSED:
            raise click.UsageError(f"sfi has no command {cmd_name}: {REFUSED[cmd_name]}", ctx)
        begun = [known for known in (*self.commands, *ALIASES) if known.startswith(cmd_name)]
        meant = sorted({ALIASES.get(known, known) for known in begun})
        if len(meant) > 1:
            raise click.UsageError(f"{cmd_name} may mean {', '.join(sorted(begun))}; write more of it", ctx)
        if meant:
            return self.commands[meant[0]]
        if cmd_name and (left_out := [known for known in REFUSED if known.startswith(cmd_name)]):
            raise click.UsageError(f"sfi has no command {left_out[0]}: {REFUSED[left_out[0]]}", ctx)
        return None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. What the libraries raise are sentences for people already; files are named."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as e:
            from credentials import CredentialError
            from rspec import RSpecError

            if isinstance(e, CredentialError | RSpecError):
                raise click.ClickException(printable(str(e))) from e
            if isinstance(e, OSError) and e.filename is not None:
                raise Unreadable(f"{e.filename} can't be read or written: {e.strerror}") from e
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the command's own name in messages."""
        _, command, rest = super().resolve_command(ctx, args)
        return (command.name if command is not None else None), command, rest
