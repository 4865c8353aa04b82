"""Records of a registry as SFA tools print and write them."""

from collections.abc import Iterable, Mapping
from typing import Any

from sfi_tool import output
from sfi_tool.errors import Unreadable

Record = Mapping[str, Any]

_BANNER = "=" * 40
_MORE = {"keys": "reg-keys", "researcher": "reg-researchers", "pi": "reg-pis"}
"""Lists that have two names: the record's own counts."""


def line(record: Record, *, verbose: bool = False) -> str:
    """One record on a line: `plc.site.alice (User)  [IN slices plc.site.demo]  [has 1 key]`."""
    parts = [f"{record['hrn']} ({str(record['type']).capitalize()})"]
    if record["type"] == "slice" and record.get("reg-researchers"):
        parts.append(f"[USERS {_and(record['reg-researchers'])}]")
    if record["type"] == "authority" and record.get("reg-pis"):
        parts.append(f"[PIS {_and(record['reg-pis'])}]")
    if record["type"] == "user":
        if record.get("reg-pi-authorities"):
            parts.append(f"[PI at {_and(record['reg-pi-authorities'])}]")
        if slices := record.get("reg-slices"):
            parts.append(f"[IN slice{'s' if len(slices) > 1 else ''} {_and(slices)}]")
        keys = record.get("reg-keys") or []
        parts.append(f"[has {len(keys)} key{'' if len(keys) == 1 else 's'}]")
        if verbose and record.get("email"):
            parts.append(f"email: {record['email']}")
        parts += [str(key) for key in keys] if verbose else []
    return "  ".join(parts)


def block(record: Record) -> str:
    """All of a record."""
    lines = [_BANNER, "RECORD"]
    lines += [f"    {key}: {_shown(key, value)}" for key, value in sorted(record.items())]
    return "\n".join(lines)


def as_xml(record: Record) -> str:
    """A record as SFA tools keep it: scalars in attributes, lists in repeated elements. Ends with a newline."""
    from lxml import etree

    root = etree.Element("record")
    for key, value in sorted(record.items()):
        if isinstance(value, list):
            for one in value:
                etree.SubElement(root, key).text = str(one)
        elif value is not None:
            root.set(key, str(output.plain(value)))
    return etree.tostring(root, pretty_print=True, encoding="unicode")


def as_xml_list(records: Iterable[Record]) -> str:
    """Names and types alone."""
    from lxml import etree

    root = etree.Element("recordlist")
    for record in records:
        etree.SubElement(root, "record", hrn=str(record["hrn"]), type=str(record["type"]))
    return etree.tostring(root, pretty_print=True, encoding="unicode")


def from_xml(content: bytes, name: str) -> dict[str, Any]:
    """A record from a file. Raises Unreadable, which says `name`."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as e:
        raise Unreadable(f"{name} is not well-formed XML: {ascii(str(e))[1:-1]:.200}") from e
    if root.tag != "record":
        raise Unreadable(f"{name} holds <{root.tag}>, not a <record>")
    record: dict[str, Any] = {str(key): str(value) for key, value in root.attrib.items()}
    for element in root.iterchildren(etree.Element):
        key = _MORE.get(str(element.tag), str(element.tag))
        record.setdefault(key, [])
        if not isinstance(record[key], list):
            raise Unreadable(f"{name}: {key} is an attribute and an element")
        record[key].append((element.text or "").strip())
    return record


def _and(names: Iterable[object]) -> str:
    return " and ".join(map(str, names))


def _shown(key: str, value: object) -> str:
    if key in ("gid", "geni_certificate") and value:
        return f"{str(value).count('BEGIN CERTIFICATE')} certificates"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(output.plain(value))
