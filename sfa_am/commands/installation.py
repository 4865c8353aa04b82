"""Founding an installation, and running it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from sfa_am import config as settings
from sfa_am.authority import found
from sfa_am.commands.opened import Installation
from sfa_am.config import ConfigError


@click.command()
@click.option("--authority", default="example", show_default=True, help="Name of the top authority, as in URNs.")
@click.option("--public-host", default="localhost", show_default=True, help="Host name that clients use to reach us.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Write another value into the settings file; VALUE as in TOML. May be repeated.",
)
@click.pass_obj
def init(state: Path, authority: str, public_host: str, changes: tuple[str, ...]) -> None:
    """Found an installation: settings, keys, certificates, the operator's sfi folder. May be run again."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = state / settings.CONFIG_NAME
    if not path.is_file():
        values: dict[str, Any] = {"aggregate": {"authority": authority}, "server": {"public_host": public_host}}
        try:
            for change in changes:
                settings.set_value(values, change)
            path.write_text(settings.commented_toml(settings.from_values(values)))
        except (ConfigError, ValueError) as e:
            raise click.ClickException(str(e)) from e
    installation = Installation(state)
    found(state, installation.config, installation.store, now=datetime.now(UTC))
    click.echo(f"Founded authority {installation.config.aggregate.authority!r} in {state}.")
    click.echo(f"Settings: {path}")
    click.echo(f"Next: sfa-am --state {state} serve   then   sfi -d {state / 'operator'} version")


@click.command()
@click.option(
    "--bus",
    metavar="URL",
    help="Reach the hosts of native backends over this bus, nats://HOST:PORT, whatever their setting `bus` says.",
)
@click.pass_obj
def serve(state: Path, bus: str | None) -> None:
    """Run the aggregate manager, the registry and the backends in the foreground."""
    # The reactor is installed by its first import: only the command that needs it brings it in.
    from twisted.internet import reactor

    from sfa_am import app, logs

    installation = Installation(state)
    installation.store.close()
    config = installation.config if bus is None else settings.on_bus(installation.config, bus)
    logs.configure(config.log)
    try:
        with app.sole_user_of(state):
            app.run(state, config, reactor)
    except (ConfigError, app.AlreadyRunning) as e:
        raise click.ClickException(str(e)) from e
