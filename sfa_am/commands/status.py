"""What there is, for the operator."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from sfa_am.commands.opened import Installation
from sfa_am.store import events, offers, slivers
from sfa_am.store.offers import Wanted


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def status(state: Path, as_json: bool) -> None:
    """What there is to give out, what is given out, what happened last."""
    installation = Installation(state)
    with installation.store.reading() as tx:
        stocks = offers.stocks(tx)
        counts = slivers.counts(tx)
        latest = events.latest(tx, most=10)
    if as_json:
        summary = {
            "offers": [
                {
                    "backend": stock.backend,
                    "name": stock.offer.name,
                    "up": stock.is_up,
                    "wanted": stock.wanted.value,
                    "total": dict(stock.offer.capacity),
                    "used": dict(stock.used),
                }
                for stock in stocks
            ],
            "slivers": [{"allocation": a, "seen": s, "number": n} for (a, s), n in sorted(counts.items())],
            "events": [
                {
                    "at": e.at.isoformat(),
                    "actor": e.actor,
                    "spoken_by": str(e.spoken_by) if e.spoken_by else None,
                    "what": e.what,
                    "detail": e.detail,
                }
                for e in latest
            ],
        }
        click.echo(json.dumps(summary, indent=2))
        return
    console = Console()
    table = Table("backend", "offer", "state", "resource", "used", "total", title="Capacity", title_justify="left")
    for stock in stocks:
        for resource, total in stock.offer.capacity.items():
            state_word = "up" if stock.is_up else "away"
            if stock.wanted is not Wanted.UP:
                state_word += f", {stock.wanted.value}"
            used = str(stock.used.get(resource, 0))
            table.add_row(stock.backend, stock.offer.name, state_word, resource, used, str(total))
    console.print(table)
    table = Table("allocation", "seen", "slivers", title="Slivers", title_justify="left")
    for (allocation, seen), number in sorted(counts.items()):
        table.add_row(allocation, seen, str(number))
    console.print(table)
    table = Table("at (UTC)", "actor", "what", "detail", title="Last events", title_justify="left")
    for event in latest:
        actor = f"{event.actor} (by {event.spoken_by})" if event.spoken_by else event.actor
        table.add_row(f"{event.at:%Y-%m-%d %H:%M:%S}", actor, event.what, event.detail)
    console.print(table)
