"""A machine as the rules of its host see it: its ends on the control network and on links, and what follows for each.

Which address belongs to which end stands in sets, one look-up for a packet however many machines there are. What only
some machines have asked for stands in a chain of that end's own, reached by a map.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from backends.native.names import Names
from backends.protocol import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEnd:
    """The host's end of a machine's port on a link, and as whom the machine may send there."""

    outside: str
    mac: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    sender: Sender = Sender.OWN_MAC


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A machine: the host's end of its control interface, its addresses there, its published port, its ends on links."""

    outside: str
    mac: str
    address: IPv4Address
    port: int
    ends: tuple[LinkEnd, ...] = ()


def put(names: Names, publish_address: IPv4Address, guest: Guest) -> str:
    """Have the rules be as this guest is now, whatever was known of it before under the same addresses."""
    lines = [*_forget_wishes(names, guest), *_elements(names, publish_address, guest)]
    for end in guest.ends:
        if end.sender is Sender.ANYBODY:
            lines.append(f"add element bridge {names.table} anybody {{ {end.outside} }}")
        elif end.sender is Sender.OWN_ADDRESSES:
            lines += _chain(names, _sender(end), "senders", end.outside, _own_addresses_only(end))
    return "\n".join(lines)


def forget(names: Names, publish_address: IPv4Address, guest: Guest) -> str:
    """Have nothing of this guest in the rules; nothing happens when there is nothing."""
    added = list(_elements(names, publish_address, guest))
    deleted = [line.replace("add element", "delete element") for line in added]
    return "\n".join([*_forget_wishes(names, guest), *added, *deleted])  # deleting what is not there would be an error


def _elements(names: Names, publish_address: IPv4Address, guest: Guest) -> Iterator[str]:
    table = names.table
    login = f"{publish_address} . {guest.port} : {guest.address} . 22"
    yield f"add element inet {table} logins {{ {login} }}"
    yield f"add element bridge {table} guests {{ {guest.outside} . {guest.mac} . {guest.address} }}"
    for end in guest.ends:
        yield f"add element bridge {table} members {{ {end.outside} . {end.mac} }}"


# Chains of ends that have asked for something


def _sender(end: LinkEnd) -> str:
    return f"from-{end.outside}"


def _chain(names: Names, chain: str, of: str, key: str, rules: list[str]) -> list[str]:
    """A chain that the map `of` leads to from its key."""
    where = f"bridge {names.table}"
    return [
        f"add chain {where} {chain}",
        *(f"add rule {where} {chain} {rule}" for rule in rules),
        f"add element {where} {of} {{ {key} : goto {chain} }}",
    ]


def _forget_wishes(names: Names, guest: Guest) -> Iterator[str]:
    """What is not there is made first, since deleting it would be an error."""
    where = f"bridge {names.table}"
    for end in guest.ends:
        yield f"add element {where} anybody {{ {end.outside} }}"
        yield f"delete element {where} anybody {{ {end.outside} }}"
        yield f"add chain {where} {_sender(end)}"
        yield f"add element {where} senders {{ {end.outside} : goto {_sender(end)} }}"
        yield f"delete element {where} senders {{ {end.outside} }}"
        yield f"flush chain {where} {_sender(end)}"
        yield f"delete chain {where} {_sender(end)}"


def _own_addresses_only(end: LinkEnd) -> list[str]:
    """Packets and answers about addresses must be from its own; all else, such as frames with a tag, does not pass.

    A machine that looks whether its address is free, or asks for one, has none to send from yet.
    """
    old = [str(one.ip) for one in end.addresses if one.version == 4]
    new = [one.ip for one in end.addresses if isinstance(one, IPv6Interface)]
    rules = [f"arp saddr ip {{ {', '.join(['0.0.0.0', *old])} }} accept"]
    rules.append("ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept")
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
