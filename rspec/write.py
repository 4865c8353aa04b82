"""Write RSpecs: GENI version 3 and ProtoGENI version 2 from text pieces, since documents may have many thousand nodes.

What a value doesn't say is left out. Extensions and foreign attributes are written as they came.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any
from xml.sax.saxutils import quoteattr

from rspec import sfa1
from rspec.model import Document, Element, Link, Node
from rspec.namespaces import GENI3, PREFIXES, SFA1, XSI
from rspec.vocabulary import DOCUMENTS, LINK, NODE, Form

_TYPES = {form.kind: kind for kind, form in DOCUMENTS.items()}
_SCHEMAS = {"request": "request", "manifest": "manifest", "advertisement": "ad"}


def write(document: Document, *, version: str = GENI3) -> str:
    """The text of a document, in a version of `namespaces`."""
    if version == SFA1:
        return sfa1.write(document).text
    form = DOCUMENTS[_TYPES[type(document)]]
    pieces = [_element(one, child) for _, (field, child) in form.children.items() for one in getattr(document, field)]
    return assemble(document, pieces, version=version)


def assemble(document: Document, pieces: Iterable[str], *, version: str = GENI3) -> str:
    """A document of pieces that were written before, each by `fragment`; what `document` has itself is left aside."""
    kind = _TYPES[type(document)]
    known = {"generated": document.generated, "expires": document.expires}
    times = "".join(f' {name}="{_time(at)}"' for name, at in known.items() if at is not None)
    by = f" generated_by={quoteattr(document.generated_by)}" if document.generated_by is not None else ""
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<rspec xmlns="{version}" xmlns:xsi="{XSI}" '
        f'xsi:schemaLocation="{version} {version}/{_SCHEMAS[kind]}.xsd" '
        f'type="{kind}"{times}{by}{_foreign(document)}>\n'
    )
    extensions = [f"{extension.source}\n" for extension in document.extensions]
    return "".join((head, *extensions, *pieces, "</rspec>\n"))


def fragment(element: Node | Link) -> str:
    """A node or link as it stands in a document, whose namespace it takes on."""
    return _element(element, NODE if isinstance(element, Node) else LINK)


def write_node(node: Node) -> str:
    """A node by itself, for `read_node`. GENI version 3."""
    return _alone(node, NODE)


def write_link(link: Link) -> str:
    """A link by itself, for `read_link`. GENI version 3."""
    return _alone(link, LINK)


def _alone(element: Node | Link, form: Form) -> str:
    name = form.tag
    return f'<{name} xmlns="{GENI3}"{_element(element, form)[len(name) + 1 : -1]}'


def _element(element: Element, form: Form) -> str:
    said = element.__dict__
    shape = _shape(form, tuple(said))
    values = shape.values(said)
    if shape.has_typed:
        values = tuple([value if value.__class__ is str else _written(value) for value in values])
    opening = shape.opening % values
    # One look at the whole: most values have nothing in them that can't stand in an attribute as it is.
    if "&" in opening or "<" in opening or not opening.isprintable() or opening.count('"') != shape.quotes:
        opening = shape.opening % tuple(map(_escaped, values))
    if shape.is_leaf:
        return f"<{shape.tag}{opening}/>\n"
    inside = ""
    for field, below in shape.children:
        for child in said[field]:
            inside += _element(child, below)
    if shape.has_foreign:
        opening += _foreign(element)
        inside += "".join([f"{extension.source}\n" for extension in element.extensions])
    return f"<{shape.tag}{opening}>\n{inside}</{shape.tag}>\n" if inside else f"<{shape.tag}{opening}/>\n"


@dataclass(frozen=True, slots=True)
class _Shape:
    """How elements are written that say the same things, each its own.

    opening: the attributes, with %s for their values; `values`: gets these; `quotes`: how many are in it
    """

    tag: str
    opening: str
    values: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    quotes: int
    has_typed: bool
    children: tuple[tuple[str, Form], ...]
    has_foreign: bool
    is_leaf: bool


@lru_cache(maxsize=1024)
def _shape(form: Form, said: tuple[str, ...]) -> _Shape:
    attributes = [(name, field) for name, field in form.attributes.items() if field in said]
    typed = {field for field, _ in form.typed}
    children = tuple((field, below) for field, below in form.children.values() if field in said)
    has_foreign = "extensions" in said or "attributes" in said
    return _Shape(
        tag=form.tag,
        opening="".join(f' {name}="%s"' for name, _ in attributes),
        values=_getter([field for _, field in attributes]),
        quotes=2 * len(attributes),
        has_typed=any(field in typed for _, field in attributes),
        children=children,
        has_foreign=has_foreign,
        is_leaf=not children and not has_foreign,
    )


def _getter(fields: list[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(fields) > 1:
        return itemgetter(*fields)
    return lambda said: tuple([said[field] for field in fields])


def _foreign(element: Element) -> str:
    """Attributes of other namespaces, with prefixes declared on the spot."""
    said = []
    for number, (name, value) in enumerate(element.attributes):
        namespace, _, local = name[1:].partition("}")
        if namespace == "http://www.w3.org/XML/1998/namespace":
            said.append(f' xml:{local}="{_escaped(value)}"')
            continue
        prefix = f"{PREFIXES.get(namespace, 'a')}{number}"
        said.append(f' xmlns:{prefix}="{_escaped(namespace)}" {prefix}:{local}="{_escaped(value)}"')
    return "".join(said)


def _written(value: bool | datetime) -> str:
    return _time(value) if isinstance(value, datetime) else str(value).lower()


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


def _escaped(value: str) -> str:
    return value.translate(_ESCAPES)
