"""From bytes to the root element of an RSpec, safely; and which version and type of RSpec it is."""

import re
from dataclasses import dataclass

from lxml import etree

from rspec.errors import Malformed, Problem, WrongVersion
from rspec.namespaces import GENI3, PROTOGENI2, SFA1, VERSIONS

LARGEST = 16 * 1024 * 1024
"""Bytes. 10,000 nodes with interfaces and addresses have about 4 MiB."""

MOST_ELEMENTS = 500_000

_TYPES = ("request", "manifest", "advertisement")

_KNOWN = {
    "http://www.protogeni.net/resources/rspec/0.1": "ProtoGENI version 0.1",
    "http://www.protogeni.net/resources/rspec/0.2": "ProtoGENI version 0.2",
}


@dataclass(frozen=True, slots=True)
class Sort:
    """Which RSpec a document is.

    version: GENI3, PROTOGENI2 or SFA1, of `namespaces`
    type:    "request", "manifest" or "advertisement"
    """

    version: str
    type: str

    @property
    def name(self) -> str:
        """The version as GetVersion names it, such as "GENI 3"."""
        return VERSIONS[self.version]


def parser() -> etree.XMLParser:
    """An XML parser that fetches nothing, expands nothing, and stays within bounds."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def parse(document: str | bytes) -> etree._Element:
    """The root element of any XML document. Raises Malformed."""
    octets = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
    if len(octets) > LARGEST:
        raise Malformed(f"the document has {len(octets)} bytes; at most {LARGEST} are read")
    if isinstance(document, str):
        # The text was decoded once already: what its declaration says of an encoding is no longer so.
        octets = re.sub(rb"^\s*<\?xml[^>]*\?>", _only_newlines, octets)
    elif octets[:1].isspace():
        octets = _declaration_first(octets)
    try:
        root = etree.fromstring(octets, parser())
    except (etree.XMLSyntaxError, ValueError) as e:
        line = getattr(e, "lineno", None) or 0
        said = ascii(getattr(e, "msg", str(e)))[1:-1][:200]
        problem = Problem(line, f"not well-formed XML: {said}")
        raise Malformed(str(problem), (problem,)) from e
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("document type declarations are not accepted")
    if int(root.xpath("count(//node())")) > MOST_ELEMENTS:  # type: ignore[arg-type]  # a number, for count()
        raise Malformed(f"the document has more than {MOST_ELEMENTS} elements")
    return root


def _only_newlines(declaration: re.Match[bytes]) -> bytes:
    return b"\n" * declaration.group().count(b"\n")


def _declaration_first(octets: bytes) -> bytes:
    """White space before the XML declaration, as editors leave it, goes behind it, so that lines keep their numbers."""
    begun = octets.lstrip()
    declaration = re.match(rb"<\?xml[^>]*\?>", begun)
    space = octets[: len(octets) - len(begun)]
    if declaration is None:
        return octets
    return declaration.group() + space + begun[declaration.end() :]


def sort_of(root: etree._Element) -> Sort:
    """Which RSpec a document is. Raises WrongVersion: none that is read here."""
    name = etree.QName(root)
    if name.localname == "RSpec" and name.namespace is None and (root.get("type") or "").strip() == "SFA":
        return Sort(SFA1, _sfa1_type(root))
    if name.localname != "rspec" or name.namespace not in (GENI3, PROTOGENI2):
        raise WrongVersion(f"{_found(root)} was sent; a GENI version 3 RSpec is expected (namespace {GENI3})")
    kind = (root.get("type") or "").strip()
    if kind not in _TYPES:
        sent = f"type={kind!a:.40}" if kind else "no type"
        problem = Problem(line_of(root), f"the RSpec has {sent}", 'type="request" says what it is')
        raise WrongVersion(str(problem), (problem,))
    return Sort(name.namespace, kind)


def _sfa1_type(root: etree._Element) -> str:
    """SFA version 1 doesn't say: what names a slice is a manifest, what asks for slivers a request."""
    if any(network.get("slice") for network in root.iter("network")):
        return "manifest"
    return "request" if next(root.iter("sliver"), None) is not None else "advertisement"


def expect(sort: Sort, *types: str) -> None:
    """Raises WrongVersion unless the document is of one of these types."""
    if sort.type not in types:
        wanted = " or ".join(f'type="{kind}"' for kind in types)
        raise WrongVersion(f"the RSpec is of type {sort.type!r}; {wanted} is expected")


def line_of(element: etree._Element) -> int:
    """The line on which an element begins, from 1; 0 when it was read from no document."""
    line: int = element.sourceline or 0  # type: ignore[assignment]  # the stubs leave it open
    return line


def _found(root: etree._Element) -> str:
    name = etree.QName(root)
    if name.namespace in _KNOWN:
        return f"an RSpec of {_KNOWN[name.namespace]}"
    if name.localname.lower() == "rspec":
        return f"an RSpec of namespace {ascii(name.namespace)[:100]}"
    return f"<{ascii(name.localname)[1:-1][:60]}>"
