"""A machine as the rules of its host see it: its ends on the control network and on links, and what follows for each.

Which address belongs to which end stands in sets, one look-up for a packet however many machines there are. What only
some machines have asked for stands in a chain of that end's own, reached by a map.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from backends.native.names import Names
from backends.protocol import Rule, Sender, Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEnd:
    """The host's end of a machine's port on a link: as whom the machine may send there, and what may come in."""

    outside: str
    mac: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    sender: Sender = Sender.OWN_MAC
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A machine: the host's end of its control interface, its addresses there, its published port, what may come in by
    it; and its ends on links.

    doors:  other published ports, by (traffic, the host's port, the machine's port)
    former: those by which nobody comes in any more
    """

    outside: str
    mac: str
    address: IPv4Address
    port: int
    rules: tuple[Rule, ...] = ()
    ends: tuple[LinkEnd, ...] = ()
    doors: tuple[tuple[Traffic, int, int], ...] = ()
    former: tuple[tuple[Traffic, int, int], ...] = ()


def replace(names: Names, publish_address: IPv4Address, guest: Guest) -> str:
    """Have the rules be as this guest is now, whatever was known of it before under the same addresses."""
    shut = _absent(_doors(names, publish_address, guest, guest.former))
    return "\n".join([*_forget_wishes(names, guest), *shut, add(names, publish_address, guest)])


def add(names: Names, publish_address: IPv4Address, guest: Guest) -> str:
    """Have a guest in the rules of which nothing is there."""
    lines = list(_elements(names, publish_address, guest))
    if guest.rules:
        # About published ports alone: who has a route to the control network is let in by no rule.
        lines += _visitors(names, guest).made(f"ct status dnat {_text(rule)}" for rule in guest.rules)
    for end in guest.ends:
        if end.sender is Sender.ANYBODY:
            lines.append(f"add element bridge {names.table} anybody {{ {end.outside} }}")
        elif end.sender is Sender.OWN_ADDRESSES:
            lines += _senders(names, end).made(_own_addresses_only(end))
        if end.rules:
            lines += _receivers(names, end).made([*_ALWAYS, *(_text(rule) for rule in end.rules), "accept"])
    return "\n".join(lines)


def forget(names: Names, publish_address: IPv4Address, guest: Guest) -> str:
    """Have nothing of this guest in the rules; nothing happens when there is nothing."""
    shut = _absent(_doors(names, publish_address, guest, guest.former))
    return "\n".join([*_forget_wishes(names, guest), *shut, *_absent(_elements(names, publish_address, guest))])


def forget_ends(names: Names, ends: Iterable[LinkEnd]) -> str:
    """Have nothing of a machine's ends on links in the rules."""
    ends = tuple(ends)
    members = (_member(names, end) for end in ends)
    return "\n".join([*(line for end in ends for line in _forget_end(names, end)), *_absent(members)])


def _absent(elements: Iterable[str]) -> list[str]:
    """Have these not be there: added first, since deleting what is not there would be an error."""
    added = list(elements)
    return [*added, *(line.replace("add element", "delete element") for line in added)]


def _elements(names: Names, publish_address: IPv4Address, guest: Guest) -> Iterator[str]:
    table = names.table
    login = f"{publish_address} . {guest.port} : {guest.address} . 22"
    yield f"add element inet {table} logins {{ {login} }}"
    yield f"add element bridge {table} guests {{ {guest.outside} . {guest.mac} . {guest.address} }}"
    yield from _doors(names, publish_address, guest, guest.doors)
    for end in guest.ends:
        yield _member(names, end)


def _doors(
    names: Names, publish_address: IPv4Address, guest: Guest, doors: Iterable[tuple[Traffic, int, int]]
) -> Iterator[str]:
    for traffic, public, port in doors:
        door = f"{traffic.value} . {publish_address} . {public} : {guest.address} . {port}"
        yield f"add element inet {names.table} openings {{ {door} }}"


def _forget_wishes(names: Names, guest: Guest) -> Iterator[str]:
    yield from _visitors(names, guest).deleted()
    for end in guest.ends:
        yield from _forget_end(names, end)


def _member(names: Names, end: LinkEnd) -> str:
    return f"add element bridge {names.table} members {{ {end.outside} . {end.mac} }}"


def _forget_end(names: Names, end: LinkEnd) -> Iterator[str]:
    yield f"add element bridge {names.table} anybody {{ {end.outside} }}"
    yield f"delete element bridge {names.table} anybody {{ {end.outside} }}"
    yield from _senders(names, end).deleted()
    yield from _receivers(names, end).deleted()


@dataclass(frozen=True, slots=True)
class _Chain:
    """A chain of rules for one end, to which a map leads from a key."""

    table: str
    name: str
    of: str
    key: str

    def made(self, rules: Iterable[str]) -> Iterator[str]:
        yield f"add chain {self.table} {self.name}"
        yield from (f"add rule {self.table} {self.name} {rule}" for rule in rules)
        yield f"add element {self.table} {self.of} {{ {self.key} : jump {self.name} }}"

    def deleted(self) -> Iterator[str]:
        """What is not there is made first, since deleting it would be an error."""
        yield f"add chain {self.table} {self.name}"
        yield f"add element {self.table} {self.of} {{ {self.key} : jump {self.name} }}"
        yield f"delete element {self.table} {self.of} {{ {self.key} }}"
        yield f"flush chain {self.table} {self.name}"
        yield f"delete chain {self.table} {self.name}"


def _visitors(names: Names, guest: Guest) -> _Chain:
    return _Chain(f"inet {names.table}", f"to-{guest.outside}", "visitors", str(guest.address))


def _senders(names: Names, end: LinkEnd) -> _Chain:
    return _Chain(f"bridge {names.table}", f"from-{end.outside}", "senders", end.outside)


def _receivers(names: Names, end: LinkEnd) -> _Chain:
    return _Chain(f"bridge {names.table}", f"to-{end.outside}", "receivers", end.outside)


_ALWAYS = (
    "ether type arp accept",
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept",
    # Nothing here knows of connections: all of TCP that opens none passes, and so does what tells of errors.
    "tcp flags & (syn | ack) != syn accept",
    "icmp type { destination-unreachable, time-exceeded, parameter-problem } accept",
    "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept",
    # The parts of a packet after the first have no ports, and are of no use without the first.
    "ip frag-off & 0x1fff != 0 accept",
)
"""What comes in on a link whatever the rules say."""


def _text(rule: Rule) -> str:
    """The words of nftables for a rule."""
    words = []
    if rule.source is not None:
        words.append(f"{'ip' if rule.source.version == 4 else 'ip6'} saddr {rule.source}")
    if rule.ports is not None:
        words.append(f"{rule.traffic.value} dport {rule.ports[0]}-{rule.ports[1]}")
    elif rule.traffic is Traffic.ICMP:
        words.append("meta l4proto { icmp, ipv6-icmp }")
    elif rule.traffic is not Traffic.ANY:
        words.append(f"meta l4proto {rule.traffic.value}")
    return " ".join([*words, "accept" if rule.allows else "drop"])


_NONE_YET = str(IPv4Address(0))


def _own_addresses_only(end: LinkEnd) -> list[str]:
    """Packets and answers about addresses must be from its own; all else, such as frames with a tag, does not pass.

    A machine that looks whether its address is free, or asks for one, has none to send from yet.
    """
    old = [str(one.ip) for one in end.addresses if one.version == 4]
    new = [one.ip for one in end.addresses if isinstance(one, IPv6Interface)]
    rules = [f"arp saddr ip {{ {', '.join([_NONE_YET, *old])} }} accept"]
    rules.append(f"ip saddr {_NONE_YET} udp sport 68 udp dport 67 accept")
    if old:
        rules.append(f"ip saddr {{ {', '.join(old)} }} accept")
    if new:
        own = [*new, _link_local(end.mac)]
        targets = ", ".join(f"{int(address):#034x}" for address in own)
        # The address that an advertisement is about: the first field after its header's eight bytes.
        rules.append(f"icmpv6 type nd-neighbor-advert @th,64,128 != {{ {targets} }} drop")
        rules.append("icmpv6 type { nd-router-advert, nd-redirect } drop")
        rules.append(f"ip6 saddr {{ {', '.join(map(str, own))} }} accept")
        rules.append("ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld2-listener-report } accept")
    return [*rules, "drop"]


def _link_local(mac: str) -> IPv6Address:
    """The address that an interface gives itself (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return IPv6Address(b"\xfe\x80" + bytes(6) + bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:])
