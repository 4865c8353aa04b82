"""From stock to an advertisement RSpec."""

from collections.abc import Sequence
from datetime import datetime

from rspec import AdNode, write_advertisement
from sfa_am.slices.identity import Identity
from sfa_am.store.offers import Stock


def advertisement_of(stocks: Sequence[Stock], identity: Identity, *, available_only: bool, now: datetime) -> str:
    """All that is offered; only what could take a sliver now when `available_only`."""
    raise RuntimeError
