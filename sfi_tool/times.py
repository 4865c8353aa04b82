"""Ends of leases as people write them."""

import re
from datetime import UTC, datetime, timedelta

import click

_AGES = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "m": timedelta(weeks=4),  # as in SFAWrap
}
_RELATIVE = re.compile(r"\+(\d+(?:\.\d+)?)(min|[hdwm])")


def end_time(written: str, *, now: datetime) -> str:
    """RFC 3339 in UTC, of `+5d` (min, h, d, w, m: months of four weeks), a date, or a time; without a zone it is UTC.

    Raises BadParameter.
    """
    if (relative := _RELATIVE.fullmatch(written)) is not None:
        try:
            return wire(now + float(relative[1]) * _AGES[relative[2]])
        except OverflowError:
            raise click.BadParameter(f"{written} is further than time is counted") from None
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise click.BadParameter(
            f"{written!r} is no time; 2026-12-31, 2026-12-31T12:00:00Z, +36h, +5d, +3w or +2m (months) is"
        ) from None
    return wire(at if at.tzinfo is not None else at.replace(tzinfo=UTC))


def wire(at: datetime) -> str:
    """A time as the APIs want it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
