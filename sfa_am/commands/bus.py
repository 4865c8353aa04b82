"""The bus on which hosts are reached: setting its server up, and servers behind it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from credentials.keys import write_private
from sfa_am.bus import BusFolder, BusSettings, Enrolment
from sfa_am.commands.opened import Installation
from sfa_am.config import NATIVE


@click.group()
def bus() -> None:
    """The bus on which the hosts of native backends are reached."""


@bus.command("init")
@click.option("--url", help="Where hosts reach its server: nats://HOST:PORT. Needed the first time.")
@click.option("--listen", help="Address that its server listens on. Default: all of them.")
@click.option("--leaf-port", type=click.IntRange(0, 65535), help="Port for leaf servers; 0 for none, the default.")
@click.pass_obj
def bus_init(state: Path, url: str | None, listen: str | None, leaf_port: int | None) -> None:
    """Make the keys and certificates of the bus, and the file that its server runs with.

    May be run again, with other options or after a backend was added; keys stay. A server that runs reads most of it
    at once; for other ports or addresses it must be started again.
    """
    installation = Installation(state)
    folder = BusFolder(state, installation.config.aggregate.authority)
    given = {"url": url, "listen": listen, "leaf_port": leaf_port}
    changes = {key: value for key, value in given.items() if value is not None}
    if folder.is_founded:
        settings = replace(folder.settings, **changes)  # type: ignore[arg-type]  # as click has checked
    elif url is None:
        raise click.ClickException("say with --url where hosts will reach it, for example nats://am.example.org:4222")
    else:
        settings = BusSettings(**changes)  # type: ignore[arg-type]  # as above
    backends = [one.name for one in installation.config.backend if one.plugin == NATIVE]
    folder.found(settings, backends, now=datetime.now(UTC))
    Enrolment(installation.store, folder).publish()
    folder.reload()
    click.echo(f"Run its server: nats-server -c {folder.server_file}")
    off = [one for one in installation.config.backend if one.plugin == NATIVE and not one.settings.get("bus")]
    for one in off:
        click.echo(f'Set in {state / "sfa-am.toml"}, in settings of backend {one.name}: bus = "{settings.url}"')
    click.echo("Next: sfa-am node invite NAME")


@bus.command("leaf")
@click.argument("name")
@click.option("--host", required=True, help="Name or address by which nodes reach it; several joined by commas.")
@click.option("--port", type=click.IntRange(1, 65535), default=4222, show_default=True, help="Port for nodes.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write.")
@click.pass_obj
def bus_leaf(state: Path, name: str, host: str, port: int, out: Path) -> None:
    """Write all that a leaf server needs into a folder: a server that carries for hosts which reach it more easily.

    Carry the folder to its host, secretly, and run it there. It may hear and say what any node may, so its host must
    be trusted as this one. When hosts come or go, carry nodes.conf of the bus's folder there again.
    """
    installation = Installation(state)
    folder = BusFolder(state, installation.config.aggregate.authority)
    folder.add_leaf(name, host=host, port=port, folder=out, now=datetime.now(UTC))
    Enrolment(installation.store, folder).publish()
    write_private(out / folder.users_file.name, folder.users_file.read_bytes())
    click.echo(
        f"Written: {out}. There: nats-server -c nats-server.conf   Nodes: sfa-node join --bus nats://{host}:{port}"
    )
