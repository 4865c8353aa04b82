"""What a link's server answers, in the words of dnsmasq: which port gets which address, which name has which. Pure."""

from ipaddress import IPv4Interface

from backends.protocol import Segment


def addresses_table(segment: Segment) -> str:
    """A line for each port that has an address of version 4."""
    lines = []
    for member in segment.members:
        first = next((one for one in member.addresses if isinstance(one, IPv4Interface)), None)
        if first is not None:
            lines.append(f"{member.mac},{first.ip}\n")
    return "".join(lines)


def names_table(segment: Segment) -> str:
    """A line for each address; whoever asks is on this link, so each name stands for the address here."""
    lines = [
        f"{address.ip} {member.hostname} {member.hostname}-{segment.name}\n"
        for member in segment.members
        for address in member.addresses
    ]
    return "".join(lines)
