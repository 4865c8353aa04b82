"""From stock to an advertisement RSpec, with the operational states printed from their table."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rspec import (
    AdImage,
    AdNode,
    AdSliverType,
    OpAction,
    OpState,
    OpStateMachine,
    OpWait,
    ad_node_fragment,
    write_advertisement,
)
from sfa_am.slices.identity import Identity
from sfa_am.slices.states import ACTIONS, LEADS_TO, Action, Operational
from sfa_am.store.offers import Stock

_GOOD_FOR = timedelta(minutes=10)
"""How long a client may keep an advertisement; what is free changes all the time."""

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


def advertisement_of(stocks: Sequence[Stock], identity: Identity, *, available_only: bool, now: datetime) -> str:
    """All that is offered; only what could take a sliver now when `available_only`."""
    nodes = [_node(stock, identity) for stock in stocks]
    kinds = dict.fromkeys(kind.name for stock in stocks for kind in stock.offer.sliver_types)
    return write_advertisement(
        [ad_node_fragment(node) for node in nodes if node.available or not available_only],
        aggregate=identity.manager,
        opstates=[_states(tuple(kinds))] if kinds else [],
        generated=now,
        expires=now + _GOOD_FOR,
    )


def _node(stock: Stock, identity: Identity) -> AdNode:
    offer = stock.offer
    images = tuple(
        AdImage(
            name=str(identity.image(image.name)),
            os=image.os,
            version=image.version,
            description=image.description,
            default=number == 0,
        )
        for number, image in enumerate(offer.images)
    )
    return AdNode(
        component_id=identity.component(offer.name),
        component_manager_id=identity.manager,
        component_name=offer.name,
        exclusive=False,
        available=stock.is_up and any(stock.fits(kind) for kind in offer.sliver_types),
        hardware_types=offer.hardware_types,
        sliver_types=tuple(AdSliverType(name=kind.name, images=images) for kind in offer.sliver_types),
        location=offer.location,
    )


def _states(kinds: tuple[str, ...]) -> OpStateMachine:
    return OpStateMachine(
        sliver_types=kinds,
        start=Operational.CONFIGURING.value,
        states=tuple(
            OpState(
                name=state.value,
                description=description,
                actions=tuple(
                    OpAction(name=action.value, next=LEADS_TO[action].value)
                    for action in Action
                    if state in ACTIONS[action]
                ),
                waits=tuple(OpWait(type=kind, next=to.value) for kind, to in _WAITS.get(state, ())),
            )
            for state, description in _DESCRIPTIONS.items()
        ),
    )
