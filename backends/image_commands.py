"""The commands about the images of a host: the same for who operates the server and for who operates one host."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from backends.image_library import Edition, Format, ImageLibrary, ImageRefused, Source
from backends.protocol import BackendError, Form

Open = Callable[[], ImageLibrary]
"""What a group of these commands has as its context's object. Raises ClickException, ImageRefused."""

_MIB = 1024 * 1024


class ImageGroup(click.Group):
    """The commands; refusals are one line, and what a builder has said."""

    def __init__(self, *arguments: object, **settings: object) -> None:
        super().__init__(*arguments, **settings)  # type: ignore[arg-type]  # whatever a group takes
        for command in (_build, _list, _import, _delete):
            self.add_command(command)

    def invoke(self, context: click.Context) -> object:
        """As click does."""
        try:
            return super().invoke(context)
        except (ImageRefused, BackendError) as e:
            raise click.ClickException("\n".join([str(e), *getattr(e, "__notes__", [])])) from e
        except OSError as e:  # a full disk, somebody who may not write there
            raise click.ClickException(f"images can't be changed or read: {e}") from e


@click.command("build")
@click.option("--form", "forms", multiple=True, type=click.Choice([str(form) for form in Form]), help="For such only.")
@click.pass_obj
def _build(library: Open, forms: tuple[str, ...]) -> None:
    """Build the built-in images that are missing, from Debian's packages; otherwise the first start does.

    Without --form, for all machines that the settings say are made here.
    """
    for edition in library().build([Form(form) for form in forms]):
        click.echo(f"{edition.edition} is there.")


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def _list(library: Open, as_json: bool) -> None:
    """All images that are here, the newest first.

    Those that are "kept" are not offered: they were deleted, or followed by a newer edition, and stay until the last
    machine that began from them is gone.
    """
    editions = library().editions()
    if as_json:
        click.echo(json.dumps([_plain(one) for one in editions], indent=2))
        return
    table = Table("name", "for", "state", "MiB", "made (UTC)", "os", "from", "edition")
    for one in editions:
        table.add_row(
            one.name,
            str(one.form),
            "offered" if one.is_offered else "kept",
            str(round(one.size / _MIB)) if one.size else "",
            f"{one.made_at:%Y-%m-%d %H:%M}",
            f"{one.os} {one.version}".strip(),
            one.source or "built here",
            one.edition,
        )
    Console().print(table)


@click.command("import")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--format",
    "format_",
    type=click.Choice([str(one) for one in Format]),
    required=True,
    help="A disk with its own boot loader for virtual machines, or a container's files, plain or compressed.",
)
@click.option("--os", "os_name", default="", help="As shown to researchers, for example Linux.")
@click.option("--os-version", "version", default="", help="As shown to researchers.")
@click.option("--description", default="", help="As shown to researchers.")
@click.option("--sha256", default="", help="Refuse the file when this is not its digest (hexadecimal).")
@click.pass_obj
def _import(
    library: Open, name: str, file: Path, format_: str, os_name: str, version: str, description: str, sha256: str
) -> None:
    """Offer FILE as the image NAME.

    Where there is an imported image of this name, this is its newer edition: machines begin from it from now on, and
    those that run stay with theirs. A server that runs offers it within moments.

    \b
    A disk     reads a NoCloud seed, as cloud images with cloud-init do
    A root     has sshd, a group sudo, and an init (sbin/init, or busybox with
    file system  etc/inittab); packed with its owners: tar --numeric-owner -C ROOT -cf FILE .
    """
    source = Source(
        name=name,
        file=file,
        format=Format(format_),
        os=os_name,
        version=version,
        description=description,
        sha256=sha256,
    )
    made = library().take(source)
    click.echo(f"{made.name} is offered, as {made.edition}, {max(1, round(made.size / _MIB))} MiB.")


@click.command("delete")
@click.argument("name")
@click.pass_obj
def _delete(library: Open, name: str) -> None:
    """Offer the imported image NAME no more.

    Machines that began from it go on, and may be restarted and reloaded: what they need stays until the last of them
    is gone.
    """
    kept = library().delete(name)
    click.echo(f"{name} is not offered any more.")
    if kept:
        click.echo("Kept until the last machine that began from it is gone:")
        for edition in kept:
            click.echo(f"  {edition.edition}")


def _plain(edition: Edition) -> dict[str, object]:
    return asdict(edition) | {"form": str(edition.form), "made_at": edition.made_at.isoformat()}
