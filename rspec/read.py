"""Read RSpecs: GENI version 3, ProtoGENI version 2 and SFA version 1, into the values of `model`.

Requests are read strictly: what is accepted makes sense, and what is refused says where and why. Advertisements and
manifests come from other aggregates, which write more than the schema knows and less than it asks; a client that
refused them would be of no use, so they are read for what is there. `check` judges any of them strictly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from lxml import etree

from rspec import sense, sfa1
from rspec.document import Sort, expect, parse, sort_of
from rspec.errors import Invalid, Odd
from rspec.extensions import read_extension
from rspec.model import Advertisement, Document, Element, Link, Manifest, Node, Request, Services
from rspec.namespaces import GENI3, SFA1, XSI
from rspec.schema import rules, violations
from rspec.schema.rules import Rule
from rspec.vocabulary import DOCUMENTS, SERVICES, Form

_new, _set = object.__new__, object.__setattr__
_SCHEMA_LOCATION = f"{{{XSI}}}schemaLocation"


def read(document: str | bytes) -> Document:
    """A Request, Manifest or Advertisement of any version, leniently. Raises Malformed, WrongVersion."""
    root = parse(document)
    return read_parsed(root, sort_of(root))


def read_request(document: str | bytes) -> Request:
    """A request. Raises Malformed, WrongVersion, and Invalid with all that is wrong."""
    root = parse(document)
    sort = sort_of(root)
    expect(sort, "request")
    return _checked(root, sort)


def read_manifest(document: str | bytes) -> Manifest:
    """A manifest, leniently. Raises Malformed, WrongVersion."""
    root = parse(document)
    sort = sort_of(root)
    expect(sort, "manifest")
    return cast(Manifest, read_parsed(root, sort))


def read_advertisement(document: str | bytes) -> Advertisement:
    """An advertisement, leniently. Raises Malformed, WrongVersion."""
    root = parse(document)
    sort = sort_of(root)
    expect(sort, "advertisement")
    return cast(Advertisement, read_parsed(root, sort))


def read_parsed(root: etree._Element, sort: Sort) -> Document:
    """What a document says, unjudged: what makes no sense is passed over."""
    if sort.version == SFA1:
        return sfa1.read(root, sort.type).document
    return cast(Document, _Reading().element(root, _plan(sort)))


def read_node(source: str) -> Node:
    """A node again, from what `write_node` made of it. Raises Malformed."""
    return cast(Node, _Reading().element(parse(source), _plan(_MANIFEST).children[f"{{{GENI3}}}node"][1]))


def read_link(source: str) -> Link:
    """A link again, from what `write_link` made of it. Raises Malformed."""
    return cast(Link, _Reading().element(parse(source), _plan(_MANIFEST).children[f"{{{GENI3}}}link"][1]))


def _checked(root: etree._Element, sort: Sort) -> Request:
    reading = _Reading()
    if sort.version == SFA1:
        reading.is_odd, request = True, cast(Request, read_parsed(root, sort))
    else:
        request = cast(Request, reading.element(root, _plan(sort)))
    # The plan has the schema's rules: only what strays from them is put before the schema, which takes its time.
    if (reading.is_odd or _has_text(root)) and (problems := violations(root, sort)):
        raise Invalid(problems)
    if problems := sense.problems(request):
        raise Invalid(problems)
    return request


def _has_text(root: etree._Element) -> bool:
    """Whether there is more than white space between the tags, anywhere."""
    return not etree.tostring(root, method="text", encoding="unicode").isspace()


@dataclass(eq=False)
class _Plan:
    """How an element of one kind is read in one sort of document.

    attributes: name -> field, of those that the schema allows here
    stray:      name -> field, of those that stand in other sorts of document
    children:   full name -> (field, plan)
    required, one_of: fields of the attributes that must be there; sets of which one must
    """

    form: Form
    rule: Rule
    namespace: str
    attributes: dict[str, str]
    stray: dict[str, str]
    children: dict[str, tuple[str, "_Plan"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kind = self.form.kind
        self.required = tuple(to for name, to in self.attributes.items() if self.rule.attributes[name].required)
        self.one_of = tuple(tuple(self.attributes[name] for name in names) for names in self.rule.one_of)
        self.has_more = bool(self.form.typed or self.one_of or set(self.form.required) - set(self.required))


_NOTHING = Rule(is_open=True)
_MANIFEST = Sort(GENI3, "manifest")


@cache
def _plan(sort: Sort) -> _Plan:
    """The plan of a whole document, from what the schema says and from what the model has room for."""
    known = rules(sort)

    def made(form: Form, name: str) -> _Plan:
        rule = known.get(name, _NOTHING)
        plan = _Plan(
            form=form,
            rule=rule,
            namespace=f"{{{sort.version}}}",
            attributes={name: to for name, to in form.attributes.items() if name in rule.attributes},
            stray={name: to for name, to in form.attributes.items() if name not in rule.attributes},
        )
        for tag, (to, below) in form.children.items():
            plan.children[f"{plan.namespace}{tag}"] = (to, made(below, rule.children.get(tag, "")))
        return plan

    return made(DOCUMENTS[sort.type], "rspec")


class _Reading:
    """One pass over a document. `is_odd`: whether something was met that the schema may forbid."""

    def __init__(self) -> None:
        self.is_odd = False

    def element(self, element: etree._Element, plan: _Plan) -> Element:
        """What an element says."""
        attributes: Mapping[Any, str] = plan.attributes
        values: dict[str, Any]
        try:
            values = {attributes[name]: value for name, value in element.items()}
        except KeyError:
            values = self._attributes(element, plan)
        values["line"] = element.sourceline
        for to in plan.required:
            if to not in values:
                self._missing(to, plan, values)
        if plan.has_more:
            self._more(plan, values)
        if len(element):
            known = plan.children
            lists: dict[str, list[Any]] = {}
            for child in element:
                if (found := known.get(child.tag)) is not None:
                    to, below = found
                    one: Any = self.element(child, below)
                elif not isinstance(child.tag, str):  # a comment
                    continue
                else:
                    to, one = self._other(child, plan)
                if to in lists:
                    lists[to].append(one)
                else:
                    lists[to] = [one]
            for to, several in lists.items():
                values[to] = tuple(several)
        # Frozen dataclasses set their fields one by one, each at a price: with thousands of elements this takes longer
        # than parsing. What isn't given is found in the class, as its default.
        made = _new(plan.kind)
        _set(made, "__dict__", values)
        return made

    def _more(self, plan: _Plan, values: dict[str, Any]) -> None:
        """What is more than text, and what must be there for the model if not for the schema."""
        for to, reader in plan.form.typed:
            if to in values:
                self._typed(to, reader, values)
        for fields in plan.one_of:
            if values.keys().isdisjoint(fields):
                self.is_odd = True
        for to in plan.form.required:
            if to not in values:
                self._missing(to, plan, values)

    def _missing(self, to: str, plan: _Plan, values: dict[str, Any]) -> None:
        self.is_odd = True
        if to in plan.form.required:
            values[to] = False if to == "now" else ""

    def _attributes(self, element: etree._Element, plan: _Plan) -> dict[str, Any]:
        """Attributes of which the schema doesn't name all: they are of other namespaces, or of other documents."""
        values: dict[str, Any] = {}
        foreign: list[tuple[str, str]] = []
        for name, value in element.attrib.items():
            if name in plan.attributes:
                values[plan.attributes[str(name)]] = value
            elif name[0] == "{":
                foreign.append((str(name), str(value)))
            elif name != "type":  # of the document, which was looked at before
                self.is_odd = True
                if name in plan.stray:
                    values[plan.stray[str(name)]] = value
        foreign = [one for one in foreign if one[0] != _SCHEMA_LOCATION]
        if foreign:
            values["attributes"] = tuple(foreign)
            self.is_odd = self.is_odd or not plan.rule.is_open
        return values

    def _typed(self, to: str, reader: Callable[[str], Any], values: dict[str, Any]) -> None:
        try:
            values[to] = reader(values[to])
        except Odd:
            self.is_odd = True
            del values[to]

    def _other(self, child: etree._Element, plan: _Plan) -> tuple[str, Any]:
        """A child that the model has no field for here."""
        tag = str(child.tag)
        if not tag.startswith(plan.namespace):
            self.is_odd = self.is_odd or not plan.rule.is_open or tag[0] != "{"
            return "extensions", read_extension(child)
        self.is_odd = True
        name = tag[len(plan.namespace) :]
        if plan.form.kind is Node and name in SERVICES.children:
            # A service that stands in a node by itself gets the <services> it should have.
            to, form = SERVICES.children[name]
            below = _Plan(form, _NOTHING, plan.namespace, {}, dict(form.attributes))
            return "services", Services(**{to: (self.element(child, below),)})  # type: ignore[arg-type]
        return "extensions", read_extension(child)
