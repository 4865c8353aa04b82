"""The `sfa-node` command: a host joins a backend, and does what its controller asks."""

import fcntl
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import structlog

from backends import enrolment
from backends.enrolment import BadToken, Token
from backends.image_commands import ImageGroup
from backends.native.bus import Bus
from backends.native.bus.connecting import connect
from backends.native.images.library import FolderLibrary
from backends.native.node.home import DEFAULT_HOME, Home, Membership, NotJoined
from backends.native.node.joining import Refused
from backends.native.node.joining import join as ask_to_join
from backends.native.settings import NodeSettings, read
from backends.protocol import BackendError

log = structlog.get_logger()

_WAIT_FOR_BUS = 4.0

_state = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_HOME,
    envvar="SFA_NODE_STATE",
    show_default=True,
    help="Folder with this host's keys, settings and slivers.",
)


@click.group()
def main() -> None:
    """A node manager: one host of a native backend."""


@main.command()
@click.argument("token")
@click.option("--bus", metavar="URL", help="Reach the bus here, such as at a leaf server, and not where we are told.")
@_state
def join(token: str, bus: str | None, state: Path) -> None:
    """Make this host one of a backend's, by the line that `sfa-am node invite` printed.

    TOKEN may be - to read it from standard input, where nobody sees it in a list of processes. May be repeated with the
    same token when it was interrupted.
    """
    home = Home(state)
    try:
        if bus is not None:
            enrolment.bus_urls(bus)
        admission = ask_to_join(Token.parse(sys.stdin.read() if token == "-" else token), home, bus=bus)  # noqa: S105
    except (BadToken, Refused, NotJoined, ValueError, OSError) as e:
        raise click.ClickException(str(e)) from e
    click.echo(f"This host has joined as {admission.name}.")
    click.echo(f"Its settings: {home.settings_file}")
    click.echo(f"Next: sfa-node run{'' if state == DEFAULT_HOME else f' --state {state}'}")


@main.command()
@_state
def run(state: Path) -> None:
    """Do what the controller asks, in the foreground, until told to stop. Slivers go on running."""
    from backends.native.node.agent import Agent
    from backends.native.node.manager import NodeManager

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    home = Home(state)
    told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_stop.set())
    try:
        membership, settings = _membership(home)
        with _sole_user_of(home):
            bus = _connected(home, membership)
            try:
                agent = Agent(NodeManager(settings, home.folder), bus, membership.prefix)
                agent.start()
                log.info("node manager started", node=membership.name)
                told_to_stop.wait()
                agent.stop()
                log.info("node manager stopped; slivers go on", node=membership.name)
            finally:
                bus.close()
    except (NotJoined, BackendError, ValueError) as e:
        raise click.ClickException(str(e)) from e


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@_state
def status(state: Path, as_json: bool) -> None:
    """Who this host is, whether its node manager runs, whether the bus can be reached. Exit status 1 if not both."""
    home = Home(state)
    try:
        membership, _ = _membership(home)
        is_reached = _is_reached(home, membership)
    except (NotJoined, ValueError) as e:
        raise click.ClickException(str(e)) from e
    pid = _runs(home)
    if as_json:
        said = {"name": membership.name, "bus": membership.bus, "bus_reached": is_reached, "pid": pid}
        click.echo(json.dumps(said, indent=2))
    else:
        click.echo(f"name:          {membership.name}")
        click.echo(f"node manager:  {'does not run' if pid is None else f'runs, process {pid}'}")
        click.echo(f"bus:           {membership.bus}, {'reached' if is_reached else 'NOT REACHED'}")
    sys.exit(0 if is_reached and pid is not None else 1)


@main.group("image", cls=ImageGroup)
@_state
@click.pass_context
def image(context: click.Context, state: Path) -> None:
    """The disk images of this host, from which its machines begin."""
    context.obj = lambda: _library(Home(state))


def _library(home: Home) -> FolderLibrary:
    try:
        _, settings = _membership(home)
    except (NotJoined, ValueError) as e:
        raise click.ClickException(str(e)) from e
    return FolderLibrary(settings, home.folder)


def _membership(home: Home) -> tuple[Membership, NodeSettings]:
    """Raises NotJoined; ValueError with a sentence for each wrong setting."""
    membership = home.membership()
    return membership, read({**membership.settings, "offer": membership.name}, NodeSettings)


def _connected(home: Home, membership: Membership) -> Bus:
    inbox = enrolment.node_inbox(membership.prefix, membership.name)
    return connect(membership.bus, home.folder, inbox=inbox)


def _is_reached(home: Home, membership: Membership) -> bool:
    reached = threading.Event()
    bus = _connected(home, membership)
    try:
        bus.on_connection(lambda is_there: reached.set() if is_there else None)
        return reached.wait(_WAIT_FOR_BUS)
    finally:
        bus.close()


@contextmanager
def _sole_user_of(home: Home) -> Iterator[None]:
    """Hold the folder for this process. Raises NotJoined; the system lets go when the process ends."""
    lock = os.open(_lock_of(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise NotJoined(f"{home.folder} is in use by another node manager; stop that one first") from e
        os.ftruncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
        yield
    finally:
        os.close(lock)


def _runs(home: Home) -> int | None:
    """The process that holds the folder."""
    try:
        with _lock_of(home).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except OSError:
        return int(_lock_of(home).read_text() or 0)
    return None


def _lock_of(home: Home) -> Path:
    return home.folder / "lock"


def program() -> None:
    """The program."""
    main()
