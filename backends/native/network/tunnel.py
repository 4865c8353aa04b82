"""A link's way to other hosts: a VXLAN device on its bridge (RFC 7348) that floods to just the hosts concerned.

Nothing is learned from what comes in: which machine is where is known, and a stranger's packet must not change it.
"""

import errno
from collections.abc import Iterable
from ipaddress import IPv4Address
from socket import AF_BRIDGE

from pyroute2 import IPRoute, NetlinkError

from backends.native.messages import Neighbour
from backends.native.network import bridge
from backends.protocol import Unavailable

PORT = 4789
"""UDP port that IANA gave to VXLAN."""

OVERHEAD = 50
"""Bytes that a frame grows by: Ethernet, IPv4, UDP and VXLAN headers."""

_EVERYBODY = "00:00:00:00:00:00"
"""The entry that broadcasts and frames for unknown addresses follow, once for each host."""

_NTF_SELF = 0x02
_NUD_NOARP_PERMANENT = 0xC0


def ensure(name: str, on: str, *, number: int, local: IPv4Address, neighbours: Iterable[Neighbour], mtu: int) -> None:
    """Have the tunnel `name` on the bridge `on` lead to these hosts and no others. Raises Unavailable."""
    with IPRoute() as netlink:
        if not bridge.exists(name):
            _make(netlink, name, number=number, local=local)
        index = _index(netlink, name)
        netlink.link("set", index=index, master=_index(netlink, on), mtu=mtu, state="up")
        wanted = {(_EVERYBODY, str(one.address)) for one in neighbours}
        wanted |= {(mac, str(one.address)) for one in neighbours for mac in one.macs}
        there = _entries(netlink, index)
        for mac, address in sorted(wanted - there):
            # One host of several for everybody's entry, the only one for a machine's.
            how = "append" if mac == _EVERYBODY else "replace"
            netlink.fdb(how, ifindex=index, lladdr=mac, dst=address, flags=_NTF_SELF, state=_NUD_NOARP_PERMANENT)
        for mac, address in sorted(there - wanted):
            if mac == _EVERYBODY or mac not in {m for m, _ in wanted}:  # replacing a machine's entry has moved it
                _forget(netlink, index, mac, address)


def mtu_of(address: IPv4Address | None) -> int:
    """The largest frame's payload that fits a link of hosts whose tunnels end at `address`. Raises Unavailable."""
    if address is None:
        return 1500
    with IPRoute() as netlink:
        for one in netlink.get_addr(family=2):
            if one.get_attr("IFA_LOCAL") == str(address):
                carrier = netlink.get_links(one["index"])[0]
                mtu: int = carrier.get_attr("IFLA_MTU")
                return min(mtu, 9000) - OVERHEAD
    raise Unavailable(f"this host has no address {address}: set `underlay` to one that it has")


def _make(netlink: IPRoute, name: str, *, number: int, local: IPv4Address) -> None:
    try:
        netlink.link(
            "add",
            ifname=name,
            kind="vxlan",
            vxlan_id=number,
            vxlan_local=str(local),
            vxlan_port=PORT,
            vxlan_learning=0,
        )
    except NetlinkError as e:
        if e.code != errno.EEXIST or not bridge.exists(name):
            problem = Unavailable("a link can't be led to other places now; it will be tried again")
            problem.add_note(f"vxlan {number} on {local}: {e}")
            raise problem from e


def _entries(netlink: IPRoute, index: int) -> set[tuple[str, str]]:
    """(hardware address, host) of the entries that say on which host something is."""
    found = set()
    for one in netlink.fdb("dump", family=AF_BRIDGE):
        address = one.get_attr("NDA_DST")
        if one["ifindex"] == index and address:
            found.add((one.get_attr("NDA_LLADDR"), address))
    return found


def _forget(netlink: IPRoute, index: int, mac: str, address: str) -> None:
    try:
        netlink.fdb("del", ifindex=index, lladdr=mac, dst=address, flags=_NTF_SELF)
    except NetlinkError as e:
        if e.code != errno.ENOENT:
            raise


def _index(netlink: IPRoute, name: str) -> int:
    found = netlink.link_lookup(ifname=name)
    if not found:
        raise Unavailable("a network of this host went away while it was set up; it will be tried again")
    index: int = found[0]
    return index
