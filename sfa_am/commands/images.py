"""The images of the host that the server runs on: `sfa-am image`."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import click

from backends.image_commands import ImageGroup
from backends.image_library import ENTRY_POINTS, ImageLibrary
from backends.protocol import Context
from sfa_am.commands.opened import Installation
from sfa_am.config import Backend, Config


@click.group("image", cls=ImageGroup)
@click.option("--backend", help="Whose images, where several backends have some on this host.")
@click.pass_context
def image(context: click.Context, backend: str | None) -> None:
    """The disk images of this host, from which machines begin.

    On hosts that joined by a bus, `sfa-node image` has the same commands.
    """
    state: Path = context.obj
    context.obj = lambda: _library(state, backend)


def _library(state: Path, wanted: str | None) -> ImageLibrary:
    installation = Installation(state)
    installation.store.close()
    known = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    one = _backend(installation.config, wanted, known)
    folder = state / "backends" / one.name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        open_library: Callable[[Mapping[str, object], Context], ImageLibrary] = known[one.plugin].load()
        return open_library(one.settings, Context(name=one.name, state=folder))
    except ImportError as e:
        raise click.ClickException(f"backend {one.name!r}: plugin {one.plugin!r} lacks a package: {e}") from e
    except ValueError as e:
        raise click.ClickException(f"backend {one.name!r}: {e}") from e


def _backend(config: Config, wanted: str | None, known: Mapping[str, object]) -> Backend:
    """The one with images here. Raises ClickException."""
    there = {one.name: one for one in config.backend if one.plugin in known}
    if wanted is None and len(there) == 1:
        return next(iter(there.values()))
    if wanted in there:
        return there[wanted]
    names = f"there are {', '.join(there)}; say which with --backend" if there else "there is none in the settings"
    raise click.ClickException(f"images belong to a backend that keeps some on this host, and {names}")
