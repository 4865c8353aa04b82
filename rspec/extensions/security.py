"""Ours: what may come in to a machine, and as whom it may send on its links."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from lxml import etree

from rspec.extensions.reading import empty_element, local, others, source_of
from rspec.model import Extension
from rspec.namespaces import PREFIXES, SECURITY

_OF_A_RULE = ("action", "protocol", "ports", "source", "interface")


@dataclass(frozen=True, kw_only=True)
class SecurityRule(Extension):
    """In a security group: what may come in, or may not. Values are as sent.

    action:    "allow" or "deny"
    protocol:  "tcp", "udp", "icmp" or "any"; None for any
    ports:     "80" or "8000-8080"; None for all
    source:    a prefix such as "192.0.2.0/24"; None for anywhere
    interface: client_id of an interface of the node; None for the control interface
    odd:       names of attributes and elements that are not understood: who passes over them lets in too much
    """

    action: str
    protocol: str | None = None
    ports: str | None = None
    source_prefix: str | None = None
    interface: str | None = None
    odd: tuple[str, ...] = ()

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <rule>."""
        action, protocol, ports, prefix, interface = map(element.get, _OF_A_RULE)
        return cls(
            source=source_of(element),
            action=action or "",
            protocol=protocol,
            ports=ports,
            source_prefix=prefix,
            interface=interface,
            odd=(*others(element, _OF_A_RULE), *map(local, element.iterchildren(etree.Element))),
        )

    @classmethod
    def of(
        cls,
        action: str,
        *,
        protocol: str | None = None,
        ports: str | None = None,
        source_prefix: str | None = None,
        interface: str | None = None,
    ) -> Self:
        """Anew."""
        said = dict(zip(_OF_A_RULE, (action, protocol, ports, source_prefix, interface), strict=True))
        return cls(
            source=empty_element(SECURITY, "rule", said),
            action=action,
            protocol=protocol,
            ports=ports,
            source_prefix=source_prefix,
            interface=interface,
        )


@dataclass(frozen=True, kw_only=True)
class SecurityGroup(Extension):
    """On a node: rules, the first that fits decides; and as whom the node may send on its links.

    spoofing: "deny" (from its own addresses only), "mac" (under its own hardware address only) or "allow"; None for
              "mac"
    odd:      as in `SecurityRule`
    """

    spoofing: str | None
    rules: tuple[SecurityRule, ...]
    odd: tuple[str, ...] = ()

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <security_group>."""
        children = list(element.iterchildren(etree.Element))
        rules = [child for child in children if child.tag == f"{{{SECURITY}}}rule"]
        return cls(
            source=source_of(element),
            spoofing=element.get("spoofing"),
            rules=tuple(map(SecurityRule.read, rules)),
            odd=(*others(element, ("spoofing",)), *(local(child) for child in children if child not in rules)),
        )

    @classmethod
    def of(cls, rules: Iterable[SecurityRule], *, spoofing: str | None = None) -> Self:
        """Anew."""
        rules = tuple(rules)
        prefix = PREFIXES[SECURITY]
        empty = empty_element(SECURITY, "security_group", {"spoofing": spoofing})
        inside = "".join(rule.source for rule in rules)
        source = f"{empty.removesuffix('/>')}>{inside}</{prefix}:security_group>" if rules else empty
        return cls(source=source, spoofing=spoofing, rules=rules)


READERS = {f"{{{SECURITY}}}security_group": SecurityGroup.read}
