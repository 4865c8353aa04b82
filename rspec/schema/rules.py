"""A RELAX NG schema of this folder read as rules: which attributes and children an element has, and the words on them.

This is for telling people what is wrong with a document that the schema has refused already; it knows the patterns that
our schemas use and no others.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

_RNG = "http://relaxng.org/ns/structure/1.0"
_DOCUMENTED = "{http://relaxng.org/ns/compatibility/annotations/1.0}documentation"
_VALUES = {"dateTime": r"\s*-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?\s*"}


@dataclass(frozen=True)
class Attribute:
    """What is said of one attribute. `pattern`: of its values; None for any; `hint`: what would work."""

    required: bool
    pattern: str | None
    hint: str

    def allows(self, value: str) -> bool:
        """Whether the value may be so."""
        return self.pattern is None or re.fullmatch(self.pattern, value) is not None


@dataclass
class Rule:
    """What is said of one element.

    children:       name -> name of the rule for it there
    one_of:         sets of attributes of which one must be there
    is_open:        whether elements and attributes of other namespaces may stand in it
    holds_anything: whether nothing at all is said of what is in it
    has_any_attribute: whether attributes may have any name
    """

    attributes: dict[str, Attribute] = field(default_factory=dict)
    children: dict[str, str] = field(default_factory=dict)
    one_of: list[frozenset[str]] = field(default_factory=list)
    is_open: bool = False
    holds_anything: bool = False
    has_any_attribute: bool = False


def read_rules(path: Path) -> Mapping[str, Rule]:
    """The rules of a schema file and those it includes, by the names of their patterns."""
    defines: dict[str, list[etree._Element]] = defaultdict(list)
    for define in _defines(path):
        defines[str(define.get("name"))].append(define)
    elements = {
        name: element
        for name, (first, *_) in defines.items()
        if (element := first.find(_tag("element"))) is not None and element.get("name")
    }
    return {name: _Reader(defines, elements).rule(element) for name, element in elements.items()}


def _defines(path: Path) -> Iterator[etree._Element]:
    grammar = etree.parse(str(path)).getroot()
    for include in grammar.iterchildren(_tag("include")):
        yield from _defines(path.parent / str(include.get("href")))
    yield from grammar.iterchildren(_tag("define"))


class _Reader:
    """Gathers what one element's pattern says, following references."""

    def __init__(self, defines: Mapping[str, list[etree._Element]], elements: Mapping[str, etree._Element]) -> None:
        self._defines = defines
        self._elements = elements
        self._rule = Rule()

    def rule(self, element: etree._Element) -> Rule:
        """What an element's pattern says."""
        self._content(element, required=True)
        return self._rule

    def _content(self, pattern: etree._Element, *, required: bool) -> None:
        for part in pattern.iterchildren(etree.Element):
            kind = etree.QName(part).localname
            if kind == "attribute" and part.get("name"):
                self._rule.attributes[str(part.get("name"))] = self._attribute(part, required)
            elif kind == "attribute":
                self._rule.has_any_attribute = True
            elif kind == "ref":
                self._reference(str(part.get("name")), required)
            elif kind in ("optional", "choice"):
                self._content(part, required=False)
                first = [one if one.tag == _tag("attribute") else one.find(_tag("attribute")) for one in part]
                if kind == "choice" and all(one is not None for one in first):
                    self._rule.one_of.append(frozenset(str(one.get("name")) for one in first if one is not None))
            elif kind in ("zeroOrMore", "group", "interleave"):
                self._content(part, required=required)

    def _reference(self, name: str, required: bool) -> None:
        if name in ("open", "foreign"):
            self._rule.is_open = True
        elif name == "anything":
            self._rule.holds_anything = True
        elif name in self._elements:
            self._rule.children[str(self._elements[name].get("name"))] = name
        else:
            for define in self._defines[name]:
                self._content(define, required=required)

    def _attribute(self, pattern: etree._Element, required: bool) -> Attribute:
        value: etree._Element = pattern
        if (reference := pattern.find(_tag("ref"))) is not None:
            value = self._defines[str(reference.get("name"))][0]
        data = value.find(_tag("data"))
        written = None if data is None else data.findtext(_tag("param")) or _VALUES.get(str(data.get("type")))
        if (fixed := value.findtext(_tag("value"))) is not None:
            written = rf"\s*{re.escape(fixed)}\s*"
        return Attribute(required, written, pattern.findtext(_DOCUMENTED) or "")


def _tag(name: str) -> str:
    return f"{{{_RNG}}}{name}"
