"""What may stand where in an RSpec, by the schemas of this folder (RELAX NG), told in words.

The schemas say the same as the published ones of GENI, but for the tolerances that docs/reference/rspec.md lists. When
a document breaks one, libxml2 says little that helps; so the document is walked along the schema, as `rules` reads it,
to say which element has what that it shouldn't, and what could be meant.
"""

import copy
import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import as_file, files

from lxml import etree

from rspec.document import Sort, line_of
from rspec.errors import Problem
from rspec.namespaces import GENI3, PREFIXES, PROTOGENI2, SFA1, VERSIONS, XSI
from rspec.schema.rules import Rule, read_rules

_FILES = {GENI3: "geni3-{}.rng", PROTOGENI2: "geni3-{}.rng", SFA1: "sfa1.rng"}
_MOST_TOLD = 100
"""Problems. Somebody who has more of them starts with these."""


def rules(sort: Sort) -> Mapping[str, Rule]:
    """What the schema says of each element, by the name of its pattern; that of the root is "rspec"."""
    return _rules(_FILES[sort.version].format(sort.type))


def violations(root: etree._Element, sort: Sort) -> tuple[Problem, ...]:
    """What of a document the schema forbids, in the order of the document; empty when it is valid."""
    if sort.version == PROTOGENI2:
        root = _as_geni3(root)
    schema = _schema(sort)
    if schema.validate(root):
        return ()
    found = list(_Walk(sort).element(root, "rspec"))
    if not found:  # something that the rules, which are for words only, don't know of
        found = [Problem(error.line, ascii(error.message)[1:-1]) for error in schema.error_log][:1]
    return tuple(found[:_MOST_TOLD]) or (Problem(0, f"not a {VERSIONS[sort.version]} {sort.type}"),)


@cache
def _schema(sort: Sort) -> etree.RelaxNG:
    with as_file(files(__name__)) as folder:
        return etree.RelaxNG(file=str(folder / _FILES[sort.version].format(sort.type)))


@cache
def _rules(file: str) -> Mapping[str, Rule]:
    with as_file(files(__name__)) as folder:
        return read_rules(folder / file)


def _as_geni3(root: etree._Element) -> etree._Element:
    """A ProtoGENI version 2 document with its elements in the namespace of their successors, which are the same."""
    renamed = copy.deepcopy(root)
    for element in renamed.iter(f"{{{PROTOGENI2}}}*"):
        element.tag = f"{{{GENI3}}}{etree.QName(element).localname}"
    return renamed


class _Walk:
    """One document along the rules of its schema."""

    def __init__(self, sort: Sort) -> None:
        self._rules = rules(sort)
        self._what = f"a {VERSIONS[sort.version]} {sort.type}"
        self._namespace = None if sort.version == SFA1 else GENI3

    def element(self, element: etree._Element, name: str) -> Iterator[Problem]:
        """What is wrong with an element that stands where the rule `name` holds, and inside it."""
        rule = self._rules[name]
        if rule.holds_anything:
            return
        yield from self._attributes(element, rule)
        for node, text in ((element, element.text), *((child, child.tail) for child in element)):
            if text and text.strip():
                where = _described(element)
                yield Problem(
                    line_of(node), f"{where} has the text {text.strip()!a:.40} in it", "nothing but elements may be"
                )
        for child in element.iterchildren(etree.Element):
            yield from self._child(child, element, rule)

    def _child(self, child: etree._Element, parent: etree._Element, rule: Rule) -> Iterator[Problem]:
        tag = etree.QName(child)
        if tag.namespace == self._namespace:
            if tag.localname in rule.children:
                yield from self.element(child, rule.children[tag.localname])
            else:
                where = f"<{tag.localname}> can't stand in <{_local(parent)}> of {self._what}"
                yield Problem(line_of(child), where, _meant(tag.localname, rule.children, "<{}>"))
        elif tag.namespace is None:
            hint = "an element of an extension needs the extension's namespace, one of ours no other than the root's"
            yield Problem(line_of(child), f"<{_local(child)}> has no namespace", hint)
        elif not rule.is_open:
            yield Problem(line_of(child), f"<{_local(child)}> of an extension can't stand in <{_local(parent)}>")

    def _attributes(self, element: etree._Element, rule: Rule) -> Iterator[Problem]:
        where, line = _described(element), line_of(element)
        for name, value in _items(element):
            if name[0] == "{":
                if not rule.is_open and etree.QName(name).namespace != XSI:
                    yield Problem(line, f"{where} has the attribute {_prefixed(name)}, which can't be there")
            elif rule.has_any_attribute and name not in rule.attributes:
                continue
            elif name not in rule.attributes:
                hint = _meant(name, rule.attributes, "{}")
                yield Problem(
                    line, f"{where} has the attribute {name!a:.60}, which {self._what} doesn't have there", hint
                )
            elif not rule.attributes[name].allows(value):
                yield Problem(line, f"{where}: {name}={value!a:.60} can't be read", rule.attributes[name].hint)
        for name, attribute in rule.attributes.items():
            if attribute.required and element.get(name) is None:
                yield Problem(line, f"{where} needs the attribute {name}", attribute.hint)
        for names in rule.one_of:
            if not any(element.get(name) is not None for name in names):
                yield Problem(line, f"{where} needs the attribute {' or '.join(sorted(names))}")


def _meant(name: str, known: Iterable[str], form: str) -> str:
    names = sorted(known)
    if alike := difflib.get_close_matches(name, names, n=1):
        return f"is {form.format(alike[0])} meant?"
    return f"what can: {', '.join(form.format(one) for one in names)}" if names else "nothing can"


def _items(element: etree._Element) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in element.items()]


def _described(element: etree._Element) -> str:
    """The element with what its writer calls it by."""
    for attribute in ("client_id", "component_id", "name"):
        if value := element.get(attribute):
            return f"<{_local(element)} {attribute}={ascii(value)[1:-1][:80]!r}>"
    return f"<{_local(element)}>"


def _prefixed(name: str) -> str:
    tag = etree.QName(name)
    return f"{PREFIXES.get(tag.namespace or '', tag.namespace)}:{tag.localname}"


def _local(element: etree._Element) -> str:
    return ascii(etree.QName(element).localname)[1:-1][:60]
