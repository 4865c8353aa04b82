"""Write RSpecs: GENI version 3 and ProtoGENI version 2 from text pieces, since documents may have many thousand nodes.

What a value doesn't say is left out. Extensions and foreign attributes are written as they came.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from xml.sax.saxutils import quoteattr

from rspec import sfa1
from rspec.model import Document, Element, Link, Node
from rspec.namespaces import GENI3, PREFIXES, SFA1, XSI
from rspec.vocabulary import DOCUMENTS, LINK, NODE, Form

_TYPES = {form.kind: kind for kind, form in DOCUMENTS.items()}
_SCHEMAS = {"request": "request", "manifest": "manifest", "advertisement": "ad"}

_RISKY = re.compile(r'[&<>"\t\n\r]')
"""What can't stand in an attribute as it is; most values have none of it."""


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
    outside = [f"<{form.tag}"]
    inside: list[str] = []
    pieces = form.pieces
    for field, value in vars(element).items():
        if value is None or value == () or (piece := pieces.get(field)) is None:
            continue
        if value.__class__ is tuple:
            inside.extend([_element(child, piece) for child in value])
        elif value.__class__ is str:
            if value != "" or piece[0]:
                outside.append(f'{piece[1]}{_escaped(value) if _RISKY.search(value) else value}"')
        else:
            outside.append(f'{piece[1]}{_written(value)}"')
    if element.attributes:
        outside.append(_foreign(element))
    inside.extend([f"{extension.source}\n" for extension in element.extensions])
    if inside:
        return f"{''.join(outside)}>\n{''.join(inside)}</{form.tag}>\n"
    return f"{''.join(outside)}/>\n"


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
