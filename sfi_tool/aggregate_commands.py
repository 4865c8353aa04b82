"""Commands about what a slice holds at the aggregate: from reserving it to giving it back."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from sfi_tool import output, refusals, waiting
from sfi_tool.am_v2 import AggregateV2
from sfi_tool.errors import Refusal
from sfi_tool.identity import Session, Stopwatch
from sfi_tool.invocation import pass_session
from sfi_tool.options import file_option, read_request, refused, request_argument, slice_argument
from sfi_tool.slices import Slice
from sfi_tool.slivers import RSPEC_VERSION, Described, State
from sfi_tool.state_text import print_described, print_logins, print_states
from sfi_tool.times import end_time

__all__ = ["COMMANDS", "RSPEC_VERSION", "Slice"]

_ACTIONS = ("start", "stop", "restart", "reload", "update_users")
_NO_DELEGATION = "aggregates are called directly; `sfi delegate` passes a credential on to somebody"
_NO_CREDENTIALS = "`sfi credential show` shows what is sent"

_timeout_option = click.option(
    "--timeout", type=click.FloatRange(min=0), default=300, show_default=True, help="Seconds to wait."
)
_delegate_refused = refused("-d", "--delegate", because=_NO_DELEGATION)
_credential_refused = refused("-C", "--credential", because=_NO_CREDENTIALS)


@click.command()
@slice_argument
@request_argument
@click.option("--dry-run", is_flag=True, help="Only say whether it would be granted.")
@file_option("the manifest")
@output.json_option
@_delegate_refused
@_credential_refused
@pass_session
def allocate(session: Session, slice_name: str, request: Path, dry_run: bool, out: Path | None, as_json: bool) -> None:
    """Reserve what REQUEST describes, for some minutes."""
    it = Slice(session, slice_name)
    if dry_run:
        answer = _try(it, read_request(request))
        print_described(answer, out, as_json)
        if not as_json:
            click.echo("This would be granted now; nothing was reserved.")
        return
    print_described(_allocate(it, read_request(request), {}), out, as_json)
    output.hint(f"sfi provision {slice_name}", as_json=as_json)


@click.command()
@slice_argument
@click.argument("slivers", metavar="[SLIVER...]", nargs=-1)
@file_option("the manifest")
@output.json_option
@_delegate_refused
@_credential_refused
@pass_session
def provision(session: Session, slice_name: str, slivers: tuple[str, ...], out: Path | None, as_json: bool) -> None:
    """Have what is allocated made, with accounts for the slice's members: all of it, or SLIVERs by name or URN."""
    it = Slice(session, slice_name)
    print_described(session.am.provision(it.urns_of(slivers) or [it.urn], [it.credential], it.users()), out, as_json)
    output.hint(f"sfi wait {slice_name}", as_json=as_json)


@click.command()
@slice_argument
@request_argument
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=300,
    show_default=True,
    help="Seconds to wait until it is ready.",
)
@output.json_option
@pass_session
def create(session: Session, slice_name: str, request: Path, timeout: float, as_json: bool) -> None:
    """Allocate, provision and wait until everything is ready."""
    it = Slice(session, slice_name)
    watch, took = Stopwatch(), {}

    def reached(what: str) -> None:
        took[what] = str(watch)
        if not as_json:
            click.echo(f"{what:<12} {watch}")

    am = session.am
    if isinstance(am, AggregateV2):
        am.create(it.urn, [it.credential], read_request(request), it.users())
    else:
        _allocate(it, read_request(request), {})
        reached("allocated")
        am.provision([it.urn], [it.credential], it.users())
    reached("provisioned")
    states = waiting.until_settled(it, timeout)
    reached("ready")
    manifest = it.manifest()
    if as_json:
        output.print_json({"took": took, "slivers": states, "manifest": manifest})
        return
    print_states(states, manifest)
    print_logins(manifest, slice_name)


@click.command()
@slice_argument
@click.option("--wait", is_flag=True, help="Until nothing is under way any more; fails when something has failed.")
@_timeout_option
@output.json_option
@_credential_refused
@pass_session
def status(session: Session, slice_name: str, wait: bool, timeout: float, as_json: bool) -> None:
    """The states of a slice's slivers."""
    it = Slice(session, slice_name)
    states = waiting.until_settled(it, timeout) if wait else it.states()
    if as_json:
        output.print_json(states)
        return
    manifest = it.manifest()
    print_states(states, manifest)
    print_logins(manifest, slice_name)


@click.command()
@slice_argument
@click.option("--for", "what", type=click.Choice(["ready", "deleted"]), default="ready", show_default=True)
@_timeout_option
@output.json_option
@pass_session
def wait(session: Session, slice_name: str, what: str, timeout: float, as_json: bool) -> None:
    """Wait until all slivers of a slice are ready, or gone. Exits with 4 when that takes too long."""
    it, watch = Slice(session, slice_name), Stopwatch()
    states = waiting.until_ready(it, timeout) if what == "ready" else waiting.until_deleted(it, timeout)
    sentence = f"{it.hrn}: {waiting.summary(states) if states else 'nothing is left'}, after {watch}."
    output.done(sentence, states, as_json=as_json)


@click.command()
@slice_argument
@click.argument("words", metavar="[SLIVER...] END", nargs=-1, required=True)
@click.option("-l", "--as-long-as-possible", is_flag=True, help="Take what is possible when END is too far.")
@output.json_option
@_credential_refused
@pass_session
def renew(session: Session, slice_name: str, words: tuple[str, ...], as_long_as_possible: bool, as_json: bool) -> None:
    """Move the end of a slice's slivers, or of SLIVERs.

    END is a date or time (2026-12-31, 2026-12-31T12:00:00Z), or a span from now: +5d, +3w, +2m (days, weeks, months of
    four weeks), +36h, +90min.
    """
    it, end = Slice(session, slice_name), end_time(words[-1], now=datetime.now(UTC))
    states = session.am.renew(
        it.urn, it.urns_of(words[:-1]), [it.credential], end, as_long_as_possible=as_long_as_possible
    )
    if as_json:
        output.print_json(states)
    else:
        print_states(states, it.manifest())


@click.command()
@slice_argument
@click.argument("words", metavar="ACTION [NODE...]", nargs=-1, required=True)
@output.json_option
@_delegate_refused
@_credential_refused
@pass_session
def action(session: Session, slice_name: str, words: tuple[str, ...], as_json: bool) -> None:
    """Do start, stop, restart, reload or update_users to NODEs, or to all. ACTION may also come last."""
    it = Slice(session, slice_name)
    name, nodes = _action_of(words)
    options = {"geni_users": it.users()} if name == "geni_update_users" else {}
    states = session.am.act(it.urn, it.urns_of(nodes), [it.credential], name, options)
    if as_json:
        output.print_json(states)
    else:
        print_states(states, it.manifest())


@click.command()
@slice_argument
@click.argument("nodes", metavar="[SLIVER...]", nargs=-1)
@output.json_option
@_credential_refused
@pass_session
def delete(session: Session, slice_name: str, nodes: tuple[str, ...], as_json: bool) -> None:
    """End the slivers of a slice: SLIVERs by name or URN, or all."""
    it = Slice(session, slice_name)
    states = session.am.delete(it.urn, it.urns_of(nodes), [it.credential])
    count = f"{len(states)} sliver{'' if len(states) == 1 else 's'}"
    output.done(f"Deleted {count} of {it.hrn}.", states, as_json=as_json)


@click.command()
@slice_argument
@click.confirmation_option(prompt="Nobody but an operator can undo this. Go on?")
@output.json_option
@_credential_refused
@pass_session
def shutdown(session: Session, slice_name: str, as_json: bool) -> None:
    """Stop a misbehaving slice for an operator to look at."""
    it = Slice(session, slice_name)
    session.am.shutdown(it.urn, [it.credential])
    output.done(f"{it.hrn} is shut down.", {"slice": it.hrn}, as_json=as_json)


@click.command()
@output.json_option
@pass_session
def slices(session: Session, as_json: bool) -> None:
    """The slices you are a member of, with the states of what they hold at the aggregate."""
    mine = next((r for r in session.resolve(session.folder.user) if r["type"] == "user"), {})
    found: list[tuple[str, list[State] | Refusal]] = []
    for hrn in mine.get("reg-slices") or []:
        try:
            found.append((hrn, Slice(session, hrn).states_if_any()))
        except Refusal as e:  # one that has expired or was shut down must not hide the others
            found.append((hrn, e))
    if as_json:
        output.print_json(
            [
                {"hrn": hrn, "error": told.message} if isinstance(told, Refusal) else {"hrn": hrn, "slivers": told}
                for hrn, told in found
            ]
        )
        return
    rows = [(hrn, told.message, "") if isinstance(told, Refusal) else (hrn, *_at_a_glance(told)) for hrn, told in found]
    output.table(("slice", "slivers", "first end"), rows)


COMMANDS: tuple[click.Command, ...] = (
    create,
    allocate,
    provision,
    status,
    wait,
    renew,
    action,
    delete,
    shutdown,
    slices,
)


def _allocate(it: Slice, request: str, options: Mapping[str, object]) -> Described:
    """Reserve, or keep why not."""
    am = it.session.am
    more = it.sfa_options() if am.is_sfawrap else {}
    with refusals.kept(it.session.folder, it.hrn):
        return am.allocate(it.urn, [it.credential], request, {**more, **options})


def _try(it: Slice, request: str) -> Described:
    """Ask whether a request would be granted. An aggregate that doesn't know the question reserves: that is undone."""
    before = {state["geni_sliver_urn"] for state in it.states_if_any()}
    answer = _allocate(it, request, {"sfa_dry_run": True})
    said = {state["geni_sliver_urn"] for state in answer.states} - before
    if made := [state["geni_sliver_urn"] for state in it.states_if_any() if state["geni_sliver_urn"] in said]:
        it.session.am.delete(it.urn, made, [it.credential])
        raise click.ClickException(
            "this aggregate has no dry run: it granted the request and reserved, which was undone at once"
        )
    return answer


def _action_of(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The action and what it is done to. SFAWrap has it last."""

    def is_action(word: str) -> bool:
        return word in _ACTIONS or word.startswith("geni_")

    if not is_action(words[0]) and is_action(words[-1]):
        name, nodes = words[-1], words[:-1]
    else:
        name, nodes = words[0], words[1:]
    return (f"geni_{name}" if name in _ACTIONS else name), nodes


def _at_a_glance(states: list[State]) -> tuple[str, str]:
    ends = [end for state in states if (end := state.get("geni_expires"))]
    return (waiting.summary(states) if states else "none"), min(ends, default="")
