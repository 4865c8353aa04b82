"""Looking up: the options `match` and `filter` of the API, applied to objects.

A list in `match` means any of its values; fields of one match must all fit. `filter` names the fields to be told; none
named means all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from credentials import URN
from sfa_am.errors import BadArgs
from sfa_am.wire import arguments
from sfa_am.wire.chapi.fields import Fields, Value

Row = Mapping[str, Value]
"""An object: its fields' names and values. A field that the caller may not see is not in it."""

MOST_VALUES = 2000
"""Of one field in a match: a longer list is no client's."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a client asks for. match: any of these for each field; shown: names of fields, in order."""

    match: Mapping[str, tuple[Value, ...]]
    shown: tuple[str, ...]

    @classmethod
    def read(cls, fields: Fields, options: Mapping[str, object]) -> "Query":
        """From the options of a call. Raises BadArgs: a field that isn't there or can't be matched, a wrong value."""
        return cls(_match(fields, options.get("match")), _filter(fields, options.get("filter")))

    def urns(self, name: str) -> tuple[URN, ...] | None:
        """The names that a field must be among; None where any will do."""
        wanted = self.match.get(name)
        return None if wanted is None else tuple(value for value in wanted if isinstance(value, URN))

    def matches(self, row: Row) -> bool:
        """Whether an object fits. What the caller may not see of it never does: else they could guess it."""
        return all(name in row and row[name] in wanted for name, wanted in self.match.items())

    def select(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Those that fit."""
        return (row for row in rows if self.matches(row))

    def shape(self, row: Row) -> dict[str, object]:
        """One object as it is told."""
        return {name: written(row[name]) for name in self.shown if name in row}


def indexed(fields: Fields, query: Query, rows: Iterable[Row]) -> dict[str, dict[str, object]]:
    """The answer of most lookups: objects under their key, which is there whether it is shown or not."""
    return {str(row[fields.key]): query.shape(row) for row in query.select(rows)}


def whole(fields: Fields, row: Row) -> dict[str, object]:
    """An object with all its fields, as the answer to its creation."""
    return {field.name: written(row[field.name]) for field in fields.fields if field.name in row}


def written(value: Value) -> object:
    """A value as it travels: times as RFC 3339 text, nothing as empty text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bool):
        return value
    return "" if value is None else str(value)


def _match(fields: Fields, given: object) -> dict[str, tuple[Value, ...]]:
    if given in (None, "", []):
        return {}
    if not isinstance(given, dict):
        raise BadArgs("option match must be a struct of fields and the values wanted")
    match: dict[str, tuple[Value, ...]] = {}
    for name, value in given.items():
        field = fields.named(name, "option match")
        if not field.match:
            possible = ", ".join(one.name for one in fields.fields if one.match)
            raise BadArgs(f"option match: {field.name} can't be matched; {possible} can")
        values = value if isinstance(value, list) else [value]
        if len(values) > MOST_VALUES:
            raise BadArgs(f"option match: {len(values)} values of {field.name}; at most {MOST_VALUES} are looked for")
        match[field.name] = tuple(field.read(one) for one in values)
    return match


def _filter(fields: Fields, given: object) -> tuple[str, ...]:
    if given in (None, "", [], {}):
        return tuple(fields.by_name)
    names = arguments.texts(given, "option filter")
    return tuple(dict.fromkeys(fields.named(name, "option filter").name for name in names))
