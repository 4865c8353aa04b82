"""Bridges: one between the host and its slivers, one for each link. Made and found through netlink."""

import errno
import socket
import subprocess
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from socket import AF_INET

from pyroute2 import IPRoute, NetlinkError

from backends.protocol import Unavailable


def ensure_link_bridge(name: str, mtu: int) -> None:
    """A bridge that only its ports are on: the host has no address there and takes no part."""
    _ensure(name)
    with IPRoute() as netlink:
        netlink.link("set", index=_index(netlink, name), mtu=mtu)
    # Otherwise the host would give itself a link-local IPv6 address on every researcher's link.
    _write(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "1")
    _set_up(name)


def ensure_control_bridge(name: str, network: IPv4Network) -> None:
    """The bridge between host and slivers, on which the host has the first address of `network`.

    Raises Unavailable when something else on this host uses the network.
    """
    _ensure(name)
    _write(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "1")
    # Logins published on a loopback address leave through here with a loopback source until they are translated.
    _write(f"/proc/sys/net/ipv4/conf/{name}/route_localnet", "1")
    with IPRoute() as netlink:
        index = _index(netlink, name)
        host = next(network.hosts())
        if (holder := holder_of(host)) not in (None, name):
            raise Unavailable(
                f"the control network {network} is in use on this host, by its interface {holder}; "
                "set another control_network"
            )
        try:
            netlink.addr("add", index=index, address=str(host), prefixlen=network.prefixlen)
        except NetlinkError as e:
            if e.code != errno.EEXIST:
                raise
    _set_up(name)


def remove(name: str) -> None:
    """Delete a bridge or any interface; absent is fine."""
    with IPRoute() as netlink:
        found = netlink.link_lookup(ifname=name)
        if not found:
            return
        try:
            netlink.link("del", index=found[0])
        except NetlinkError as e:
            if e.code not in (errno.ENODEV, errno.EINVAL):
                raise


def exists(name: str) -> bool:
    """Whether there is an interface of this name."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def holder_of(address: IPv4Address) -> str | None:
    """The interface of this host that has an address."""
    with IPRoute() as netlink:
        for one in netlink.get_addr(family=AF_INET):
            if one.get_attr("IFA_LOCAL") == str(address):
                return socket.if_indextoname(one["index"])
    return None


def let_through(name: str) -> None:
    """Have this host forward what comes in by an interface; what it forwards is for the rules to say."""
    _write(f"/proc/sys/net/ipv4/conf/{name}/forwarding", "1")


def names_beginning(prefix: str) -> list[str]:
    """All interfaces whose names begin so."""
    return sorted(name for _, name in socket.if_nameindex() if name.startswith(prefix))


def limit(ports: Iterable[str], kbps: int) -> None:
    """Let no more than so much through to each of these ports. Raises OSError."""
    for port in ports:
        rate = ["rate", f"{kbps}kbit", "burst", str(max(1600, kbps * 125 // 100)), "latency", "50ms"]
        subprocess.run(
            ["tc", "qdisc", "replace", "dev", port, "root", "tbf", *rate], check=True, capture_output=True, timeout=10
        )


def _ensure(name: str) -> None:
    if exists(name):
        return
    with IPRoute() as netlink:
        try:
            # A fixed hardware address, or the bridge would take over that of its lowest port, again and again.
            netlink.link("add", ifname=name, kind="bridge", br_mcast_snooping=0, address=_mac(name))
        except NetlinkError as e:
            if e.code != errno.EEXIST:
                raise


def _mac(name: str) -> str:
    octets = name.encode().ljust(5, b"\0")[-5:]
    return ":".join(f"{octet:02x}" for octet in (0x02, *octets))


def _set_up(name: str) -> None:
    with IPRoute() as netlink:
        netlink.link("set", index=_index(netlink, name), state="up")


def _index(netlink: IPRoute, name: str) -> int:
    found = netlink.link_lookup(ifname=name)
    if not found:
        raise Unavailable("a network of this host went away while it was set up; it will be tried again")
    index: int = found[0]
    return index


def _write(path: str, value: str) -> None:
    if Path(path).exists():
        Path(path).write_text(value)
