"""From bytes to the root element of an RSpec, safely; and the namespaces that RSpecs use."""

import re

from lxml import etree

from rspec.errors import Malformed, WrongVersion

GENI3 = "http://www.geni.net/resources/rspec/3"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
USER = "http://www.geni.net/resources/rspec/ext/user/1"
OPSTATE = "http://www.geni.net/resources/rspec/ext/opstate/1"

LARGEST = 16 * 1024 * 1024
"""Bytes. 10,000 nodes with interfaces and addresses have about 4 MiB."""

MOST_ELEMENTS = 500_000

_KNOWN = {
    "http://www.protogeni.net/resources/rspec/2": "ProtoGENI version 2",
    "http://www.protogeni.net/resources/rspec/0.1": "ProtoGENI version 0.1",
    "http://www.protogeni.net/resources/rspec/0.2": "ProtoGENI version 0.2",
}


def parser() -> etree.XMLParser:
    """An XML parser that fetches nothing, expands nothing, and stays within bounds."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def root_of(document: str | bytes, expected: str) -> etree._Element:
    """The root element of a GENI version 3 RSpec of type `expected`. Raises Malformed, WrongVersion."""
    root = parse(document)
    name = etree.QName(root)
    if name.namespace != GENI3 or name.localname != "rspec":
        raise WrongVersion(f"{_found(root)} was sent; a GENI version 3 {expected} is expected (namespace {GENI3})")
    kind = (root.get("type") or "").strip()
    if kind != expected:
        sent = f"type={kind!r:.40}" if kind else "no type"
        raise WrongVersion(f"line {root.sourceline}: the RSpec has {sent}; type={expected!r} is expected")
    return root


def parse(document: str | bytes) -> etree._Element:
    """The root element of any XML document. Raises Malformed."""
    octets = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
    if len(octets) > LARGEST:
        raise Malformed(f"the document has {len(octets)} bytes; at most {LARGEST} are read")
    if isinstance(document, str):
        # The text was decoded once already: what its declaration says of an encoding is no longer so.
        octets = re.sub(rb"^\s*<\?xml[^>]*\?>", _only_newlines, octets)
    try:
        root = etree.fromstring(octets, parser())
    except etree.XMLSyntaxError as e:
        raise Malformed(f"not well-formed XML: {e.msg}") from e
    except ValueError as e:
        raise Malformed(f"not well-formed XML: {e}") from e
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("document type declarations are not accepted")
    if sum(1 for _ in root.iter()) > MOST_ELEMENTS:
        raise Malformed(f"the document has more than {MOST_ELEMENTS} elements")
    return root


def _only_newlines(declaration: re.Match[bytes]) -> bytes:
    return b"\n" * declaration.group().count(b"\n")


def _found(root: etree._Element) -> str:
    name = etree.QName(root)
    if name.namespace in _KNOWN:
        return f"an RSpec of {_KNOWN[name.namespace]}"
    if name.localname.lower() == "rspec":
        return f"an RSpec of namespace {ascii(name.namespace)[:100]}"
    return f"<{ascii(name.localname)[1:-1][:60]}>"
