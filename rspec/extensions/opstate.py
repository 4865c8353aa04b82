"""Operational states and what can be done in them: the GENI AM API's "sliver operational states" extension."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from rspec.extensions.reading import source_of
from rspec.model import Extension
from rspec.namespaces import OPSTATE


@dataclass(frozen=True, slots=True, kw_only=True)
class OpAction:
    """An operational action possible in a state, and the state it leads to."""

    name: str
    next: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpWait:
    """A state that is left by itself: to `next`, when `type` ("geni_success", "geni_failure") happens."""

    type: str
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpState:
    """One operational state."""

    name: str
    description: str = ""
    actions: tuple[OpAction, ...] = ()
    waits: tuple[OpWait, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OpStates(Extension):
    """In an advertisement: the operational states of some sliver types, after Provision beginning with `start`."""

    aggregate_manager_id: str
    sliver_types: tuple[str, ...]
    start: str
    states: tuple[OpState, ...]

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <rspec_opstate>."""
        return cls(
            source=source_of(element),
            aggregate_manager_id=element.get("aggregate_manager_id") or "",
            sliver_types=tuple(one.get("name") or "" for one in element.iterchildren(_tag("sliver_type"))),
            start=element.get("start") or "",
            states=tuple(_read_state(one) for one in element.iterchildren(_tag("state"))),
        )

    @classmethod
    def of(
        cls, *, aggregate_manager_id: str, sliver_types: Sequence[str], start: str, states: Sequence[OpState]
    ) -> Self:
        """Anew."""
        types = "".join(f"  <sliver_type name={quoteattr(name)}/>\n" for name in sliver_types)
        source = (
            f'<rspec_opstate xmlns="{OPSTATE}" aggregate_manager_id={quoteattr(aggregate_manager_id)}'
            f" start={quoteattr(start)}>\n{types}{''.join(map(_state, states))}</rspec_opstate>"
        )
        return cls(
            source=source,
            aggregate_manager_id=aggregate_manager_id,
            sliver_types=tuple(sliver_types),
            start=start,
            states=tuple(states),
        )


def _read_state(element: etree._Element) -> OpState:
    return OpState(
        name=element.get("name") or "",
        description=_description(element),
        actions=tuple(
            OpAction(name=one.get("name") or "", next=one.get("next") or "", description=_description(one))
            for one in element.iterchildren(_tag("action"))
        ),
        waits=tuple(
            OpWait(type=one.get("type") or "", next=one.get("next") or "") for one in element.iterchildren(_tag("wait"))
        ),
    )


def _description(element: etree._Element) -> str:
    return (element.findtext(_tag("description")) or "").strip()


def _tag(name: str) -> str:
    return f"{{{OPSTATE}}}{name}"


def _state(state: OpState) -> str:
    actions = "".join(_action(action) for action in state.actions)
    waits = "".join(f"    <wait type={quoteattr(w.type)} next={quoteattr(w.next)}/>\n" for w in state.waits)
    description = f"    <description>{escape(state.description)}</description>\n" if state.description else ""
    return f"  <state name={quoteattr(state.name)}>\n{actions}{waits}{description}  </state>\n"


def _action(action: OpAction) -> str:
    described = f"<description>{escape(action.description)}</description>" if action.description else ""
    return f"    <action name={quoteattr(action.name)} next={quoteattr(action.next)}>{described}</action>\n"


READERS = {_tag("rspec_opstate"): OpStates.read}
