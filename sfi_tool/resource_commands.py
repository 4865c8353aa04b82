"""Commands about RSpecs that the aggregate gives: what it offers, and what a slice has."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from sfi_tool import output
from sfi_tool.errors import Unreachable
from sfi_tool.identity import Session
from sfi_tool.invocation import pass_session
from sfi_tool.options import file_option, refused, slice_argument
from sfi_tool.slices import Slice

if TYPE_CHECKING:
    from rspec import Advertisement, Node

F = TypeVar("F", bound=Callable[..., object])


def _version(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, str] | None:
    """Callback: "GENI 3" as the API wants it."""
    if value is None:
        return None
    kind, _, number = value.rpartition(" ")
    if not kind or not number.replace(".", "").isdigit():
        raise click.BadParameter(f"{value!r}: a type and a version are expected, such as 'GENI 3'")
    return {"type": kind, "version": number}


def _rspec_options(command: F) -> F:
    """What `resources` and `describe` share."""
    options = (
        click.option(
            "-r",
            "--rspec-version",
            "version",
            metavar="'TYPE VER'",
            callback=_version,
            help="'GENI 3', 'ProtoGENI 2', 'SFA 1' or what else the aggregate speaks.",
        ),
        click.option("-i", "--info", metavar="WORDS", help="A filter that the testbed knows."),
        click.option("-l", "--list_leases", "--list-leases", type=click.Choice(["all", "resources", "leases"])),
        click.option("-c", "--nocache", "is_fresh", is_flag=True, help="Not from the aggregate's cache."),
        file_option("the RSpec"),
        refused("-d", "--delegate", because="aggregates are called directly"),
        refused("-C", "--credential", because="`sfi credential show` shows what is sent"),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_rspec_options
@click.option("--rspec", "as_rspec", is_flag=True, help="Print the advertisement itself: -f xml.")
@click.option("--available", is_flag=True, help="Only what is free.")
@click.option("-f", "--format", "form", type=click.Choice(["xml", "dns", "ip"]), help="Instead of a table.")
@output.json_option
@pass_session
def resources(
    session: Session,
    version: dict[str, str] | None,
    info: str | None,
    list_leases: str | None,
    is_fresh: bool,
    out: Path | None,
    as_rspec: bool,
    available: bool,
    form: str | None,
    as_json: bool,
) -> None:
    """What the aggregate offers."""
    options = _options(version, info, list_leases, is_fresh)
    if available:
        options["geni_available"] = True
    advertisement = session.am.list_resources(session.user_credential(), options)
    if out is not None:
        output.text(advertisement, out, suffix=".rspec")
    elif form == "xml" or as_rspec or (version is not None and form is None and not as_json):
        output.text(advertisement, None)
    elif form is not None:
        click.echo("\n".join(_addresses(advertisement, form)))
    else:
        _print_offers(_read(advertisement), as_json)


@click.command()
@slice_argument
@_rspec_options
@click.option("-f", "--format", "form", type=click.Choice(["xml", "dns", "ip"]), default="xml", show_default=True)
@output.json_option
@pass_session
def describe(
    session: Session,
    slice_name: str,
    version: dict[str, str] | None,
    info: str | None,
    list_leases: str | None,
    is_fresh: bool,
    out: Path | None,
    form: str,
    as_json: bool,
) -> None:
    """Print a slice's manifest."""
    it = Slice(session, slice_name)
    described = session.am.describe(it.urn, [it.credential], _options(version, info, list_leases, is_fresh))
    if as_json:
        output.print_json({"slivers": described.states, "manifest": described.manifest})
    elif form != "xml" and out is None:
        click.echo("\n".join(_addresses(described.manifest, form)))
    else:
        output.text(described.manifest, out, suffix=".rspec")


@dataclass(frozen=True)
class _Offer:
    """A node of an advertisement, in short. `free`: None when it isn't said."""

    component: str
    free: bool | None
    sliver_types: list[str]
    disk_images: list[str]

    @classmethod
    def of(cls, node: "Node") -> "_Offer":
        images = [image for kind in node.sliver_types for image in kind.disk_images]
        return cls(
            component=node.component_name or node.component_id or "",
            free=node.is_available,
            sliver_types=[kind.name for kind in node.sliver_types],
            disk_images=list(dict.fromkeys((image.name or image.url or "").rpartition("+")[2] for image in images)),
        )


COMMANDS: tuple[click.Command, ...] = (resources, describe)


def _options(
    version: dict[str, str] | None, info: str | None, list_leases: str | None, is_fresh: bool
) -> dict[str, object]:
    said = {"geni_rspec_version": version, "info": info, "list_leases": list_leases}
    options: dict[str, object] = {name: value for name, value in said.items() if value is not None}
    return {**options, "cached": False} if is_fresh else options


def _read(advertisement: str) -> "Advertisement":
    from rspec import RSpecError, read_advertisement

    try:
        return read_advertisement(advertisement)
    except RSpecError as e:
        raise Unreachable(f"the aggregate's advertisement can't be read: {e}; -f xml prints it as it is") from e


def _print_offers(advertisement: "Advertisement", as_json: bool) -> None:
    offers = [_Offer.of(node) for node in advertisement.nodes]
    if as_json:
        output.print_json([asdict(offer) for offer in offers])
        return
    free = {True: "yes", False: "no", None: "?"}
    rows = [(one.component, free[one.free], "\n".join(one.sliver_types), "\n".join(one.disk_images)) for one in offers]
    output.table(("component", "free", "sliver types", "disk images"), rows)


def _addresses(document: str, form: str) -> list[str]:
    """Host names (dns) or addresses (ip) in an advertisement or manifest, where it says them."""
    from rspec import read

    found: list[str] = []
    for node in read(document).nodes:
        if form == "dns":
            found += [host.name for host in node.hosts if host.name] or [node.component_name or ""]
        else:
            found += [ip.address for interface in node.interfaces for ip in interface.ips if ip.address]
    return [one for one in dict.fromkeys(found) if one]
