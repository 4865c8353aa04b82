"""From stock to an advertisement RSpec, with the operational states printed from their table."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from backends.protocol import Form, Offer
from rspec import (
    Advertisement,
    Available,
    DiskImage,
    HardwareType,
    Location,
    Node,
    OpAction,
    OpState,
    OpStates,
    OpWait,
    SliverType,
    write,
)
from sfa_am.slices.identity import Identity
from sfa_am.slices.replies import packed
from sfa_am.slices.states import ACTIONS, CONSOLE_LOG, LEADS_TO, Action, Operational
from sfa_am.store import Store, offers
from sfa_am.store.offers import Stock

_GOOD_FOR = timedelta(minutes=10)
"""How long a client may keep an advertisement; what is free changes all the time."""

_TRUE_FOR = timedelta(seconds=5)
"""How long the last one is handed out again: another process may have changed what is offered."""

_WAITS = {
    Operational.CONFIGURING: (("geni_success", Operational.READY), ("geni_failure", Operational.FAILED)),
    Operational.READY_BUSY: (("geni_success", Operational.READY), ("geni_failure", Operational.FAILED)),
    Operational.STOPPING: (("geni_success", Operational.NOTREADY), ("geni_failure", Operational.FAILED)),
}

_DESCRIPTIONS = {
    Operational.CONFIGURING: "The machine is being made or started.",
    Operational.READY: "The machine runs and accepts logins.",
    Operational.READY_BUSY: "The machine is being changed as asked.",
    Operational.STOPPING: "The machine is being stopped.",
    Operational.NOTREADY: "The machine is off.",
    Operational.FAILED: "The machine could not be made or started; geni_error says why.",
}


@dataclass(frozen=True, eq=False)
class Advertised:
    """An advertisement as text; `compressed` as the option geni_compressed asks, made once."""

    text: str

    @cached_property
    def compressed(self) -> str:
        """zlib and base64."""
        return packed(self.text)


class Advertiser:
    """Writes advertisements, and hands out the last one while it is true.

    With many thousand nodes writing and packing one takes a tenth of a second and more; handing it out takes none.
    """

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self._identity = identity
        self._lock = threading.Lock()
        self._last: dict[bool, tuple[int, datetime, Advertised]] = {}

    def advertised(self, *, available_only: bool, now: datetime) -> Advertised:
        """All that is offered; only what could take a sliver now when `available_only`."""
        with self._lock:
            generation = self._store.offers_generation
            last = self._last.get(available_only)
            if last is not None and last[0] == generation and timedelta(0) <= now - last[1] < _TRUE_FOR:
                return last[2]
            with self._store.reading() as tx:
                stocks = offers.stocks(tx)
            made = Advertised(advertisement_of(stocks, self._identity, available_only=available_only, now=now))
            self._last[available_only] = (generation, now, made)
            return made


def advertisement_of(stocks: Sequence[Stock], identity: Identity, *, available_only: bool, now: datetime) -> str:
    """The advertisement of these stocks."""
    nodes = [_node(stock, identity) for stock in stocks]
    kinds = dict.fromkeys(kind.name for stock in stocks for kind in stock.offer.sliver_types)
    return write(
        Advertisement(
            nodes=tuple(node for node in nodes if node.is_available or not available_only),
            extensions=(_states(tuple(kinds), identity),) if kinds else (),
            generated=now,
            expires=now + _GOOD_FOR,
        )
    )


def _images(offer: Offer, form: Form, identity: Identity) -> tuple[DiskImage, ...]:
    """Those for machines of one form; the first is what a request gets that names none."""
    return tuple(
        DiskImage(
            name=str(identity.image(image.name)),
            os=image.os or None,
            version=image.version or None,
            description=image.description or None,
            default="true" if number == 0 else None,
        )
        for number, image in enumerate(image for image in offer.images if form in image.forms)
    )


def _node(stock: Stock, identity: Identity) -> Node:
    offer = stock.offer
    locations: tuple[Location, ...] = ()
    if offer.location is not None:
        country, longitude, latitude = offer.location
        locations = (Location(country=country, longitude=str(longitude), latitude=str(latitude)),)
    return Node(
        component_id=str(identity.component(offer.name)),
        component_manager_id=str(identity.manager),
        component_name=offer.name,
        exclusive=False,
        hardware_types=tuple(HardwareType(name=name) for name in offer.hardware_types),
        sliver_types=tuple(
            SliverType(name=kind.name, disk_images=_images(offer, kind.form, identity)) for kind in offer.sliver_types
        ),
        available=(Available(now=stock.is_open and any(stock.fits(kind) for kind in offer.sliver_types)),),
        locations=locations,
    )


def _states(kinds: tuple[str, ...], identity: Identity) -> OpStates:
    return OpStates.of(
        aggregate_manager_id=str(identity.manager),
        sliver_types=kinds,
        start=Operational.CONFIGURING.value,
        states=tuple(
            OpState(
                name=state.value,
                description=description,
                actions=(
                    *(
                        OpAction(name=action.value, next=LEADS_TO[action].value)
                        for action in Action
                        if state in ACTIONS[action]
                    ),
                    OpAction(name=CONSOLE_LOG, next=state.value),
                ),
                waits=tuple(OpWait(type=kind, next=to.value) for kind, to in _WAITS.get(state, ())),
            )
            for state, description in _DESCRIPTIONS.items()
        ),
    )
