"""What the readers of extensions share: an element's text, and numbers that may be odd."""

import copy
import re
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import quoteattr

from lxml import etree

from rspec.namespaces import PREFIXES

_MAY_NAME_A_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):")


def source_of(element: etree._Element) -> str:
    """The text of an element by itself, with no more namespace declarations than it may need.

    A prefix may be meant in a text or a value as well (as in xsi:type): those that could be are declared.
    """
    alone = copy.deepcopy(element)
    alone.tail = None
    said = [text for node in alone.iter() for text in (node.text, node.tail, *_values(node)) if text]
    meant = {prefix for text in said for prefix in _MAY_NAME_A_PREFIX.findall(text)}
    declared = {prefix: uri for prefix, uri in element.nsmap.items() if prefix in meant}
    if declared:
        # Declarations can't be added to an element: it moves into one that has them, and gets what is in scope.
        outer = etree.Element("outer", nsmap=declared)  # type: ignore[arg-type]  # the stubs forget None
        outer.append(alone)
    etree.cleanup_namespaces(alone, keep_ns_prefixes=sorted(meant))
    return etree.tostring(alone, encoding="unicode")


def _values(node: etree._Element) -> list[str]:
    return [str(value) for value in node.attrib.values()] if isinstance(node.tag, str) else []


def integer(text: str | None) -> int | None:
    """A whole number, or None for what is none: an odd extension is kept and not understood, never refused."""
    try:
        return int((text or "").strip())
    except ValueError:
        return None


def number(text: str | None) -> float | None:
    """A number, or None for what is none."""
    try:
        return float((text or "").strip())
    except ValueError:
        return None


def true(text: str | None) -> bool:
    """Whether a text says yes."""
    return (text or "").strip().lower() in ("true", "1")


def local(element: etree._Element) -> str:
    """The element's name without its namespace."""
    return etree.QName(element).localname


def others(element: etree._Element, known: Iterable[str]) -> list[str]:
    """The names of attributes that are none of these."""
    return [str(name) for name in element.attrib if str(name) not in known]


def empty_element(namespace: str, name: str, attributes: Mapping[str, object]) -> str:
    """The text of an element without content; attributes that are None are left out."""
    prefix = PREFIXES[namespace]
    said = "".join(f" {key}={quoteattr(_text(value))}" for key, value in attributes.items() if value is not None)
    return f"<{prefix}:{name} xmlns:{prefix}={quoteattr(namespace)}{said}/>"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
