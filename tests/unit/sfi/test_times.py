"""Ends of leases as people write them."""

from datetime import UTC, datetime

import click
import pytest

from sfi_tool.times import end_time

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("+5d", "2026-06-06T12:00:00Z"),
        ("+3w", "2026-06-22T12:00:00Z"),
        ("+2m", "2026-07-27T12:00:00Z"),  # months of four weeks, as SFAWrap counts them
        ("+36h", "2026-06-03T00:00:00Z"),
        ("+90min", "2026-06-01T13:30:00Z"),
        ("+1.5d", "2026-06-03T00:00:00Z"),
        ("2026-12-31", "2026-12-31T00:00:00Z"),
        ("2026-12-31T14:00:00Z", "2026-12-31T14:00:00Z"),
        ("2026-12-31T14:00:00", "2026-12-31T14:00:00Z"),
        ("2026-12-31T14:00:00+02:00", "2026-12-31T12:00:00Z"),
    ],
)
def test_spans_dates_and_times_are_read(written, meant):
    assert end_time(written, now=NOW) == meant


@pytest.mark.parametrize("written", ["tomorrow", "+5", "+5y", "5d", "", "2026-13-01", "+9999999999w"])
def test_anything_else_is_refused(written):
    with pytest.raises(click.BadParameter):
        end_time(written, now=NOW)
