"""Who may talk to whom on the control network, as whom a machine may speak on it and on links, and which published port
leads where: one nftables table in family inet and one in family bridge, with everything that belongs to a sliver in a
set or map.

Connection tracking does not work in family bridge on all kernels, so what needs it stands in family inet.
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network

from backends.native.names import Names
from backends.native.network.gateway import Gateway
from backends.native.network.guests import Guest, LinkEnd, add, forget, forget_ends, replace
from backends.protocol import Unavailable

_TIMEOUT = 30


class Filter:
    """The rules of one backend."""

    def __init__(self, names: Names, network: IPv4Network, publish_address: IPv4Address, uplink: str) -> None:
        self._names = names
        self._network = network
        self._publish_address = publish_address
        self._uplink = uplink
        self._known: dict[str, IPv4Address] = {}
        """Guests that may be in the tables, by their control interface: exchanging one takes three times as long."""

    def install(self, guests: Iterable[Guest], gateways: Iterable[Gateway] = ()) -> None:
        """Make the tables anew, in one step, with these guests in them."""
        guests = list(guests)
        added = [add(self._names, self._publish_address, guest) for guest in guests]
        elements = "\n".join([*added, *map(self._speaks, gateways)])
        table, bridge, network = self._names.table, self._names.control_bridge, self._network
        ports, ends = self._names.control_ports, self._names.link_ports
        servers, tunnels = self._names.link_servers, self._names.link_tunnels
        uplink = (
            f"""
            iifname "{bridge}" oifname "{self._uplink}" accept
            iifname "{self._uplink}" oifname "{bridge}" ct state established,related accept"""
            if self._uplink
            else ""
        )
        translate = f'oifname "{self._uplink}" ip saddr {network} masquerade' if self._uplink else ""
        _nft(f"""
            table inet {table} {{}}
            delete table inet {table}
            table inet {table} {{
                map visitors {{ type ipv4_addr : verdict; }}
                map logins {{ type ipv4_addr . inet_service : ipv4_addr . inet_service; }}
                map openings {{ type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }}
                chain prerouting {{
                    type nat hook prerouting priority dstnat;
                    dnat ip to ip daddr . tcp dport map @logins
                    meta l4proto {{ tcp, udp }} dnat ip to meta l4proto . ip daddr . th dport map @openings
                }}
                chain output {{
                    type nat hook output priority -100;
                    dnat ip to ip daddr . tcp dport map @logins
                    meta l4proto {{ tcp, udp }} dnat ip to meta l4proto . ip daddr . th dport map @openings
                }}
                chain postrouting {{
                    type nat hook postrouting priority srcnat;
                    oifname "{bridge}" ip saddr 127.0.0.0/8 masquerade
                    {translate}
                }}
                chain published {{
                    type filter hook output priority filter;
                    ct status dnat ct state new ip daddr vmap @visitors
                }}
                chain input {{
                    type filter hook input priority filter;
                    iifname != "{bridge}" accept
                    ct state established,related accept
                    icmp type echo-request accept
                    drop
                }}
                chain forward {{
                    type filter hook forward priority filter;
                    iifname "{bridge}" oifname "{bridge}" drop
                    {uplink}
                    oifname "{bridge}" ct state established,related accept
                    oifname "{bridge}" ip daddr vmap @visitors
                    oifname "{bridge}" ct status dnat accept
                    iifname "{bridge}" ct state established,related accept
                    iifname "{bridge}" drop
                    oifname "{bridge}" drop
                }}
            }}
            table bridge {table} {{}}
            delete table bridge {table}
            table bridge {table} {{
                set guests {{ type ifname . ether_addr . ipv4_addr; }}
                set members {{ type ifname . ether_addr; }}
                set anybody {{ type ifname; }}
                map receivers {{ type ifname : verdict; }}
                map senders {{ type ifname : verdict; }}
                chain ends {{
                    iifname @anybody accept
                    iifname . ether saddr != @members drop
                    ether type arp iifname . arp saddr ether != @members drop
                    iifname vmap @senders
                    accept
                }}
                chain prerouting {{
                    type filter hook prerouting priority -300;
                    iifname "{ends}*" goto ends
                    iifname != "{ports}*" accept
                    ether type ip iifname . ether saddr . ip saddr @guests accept
                    ether type arp iifname . ether saddr . arp saddr ip @guests accept
                    drop
                }}
                chain forward {{
                    type filter hook forward priority -200;
                    iifname "{ports}*" oifname "{ports}*" drop
                    iifname "{servers}*" oifname "{tunnels}*" drop
                    iifname "{tunnels}*" oifname "{servers}*" drop
                    iifname "{servers}*" ether type ip udp sport {{ 53, 67 }} accept
                    oifname vmap @receivers
                }}
            }}
            {elements}
        """)
        self._known = {guest.outside: guest.address for guest in guests}

    def begin_to_put(self, guest: Guest) -> Callable[[], None]:
        """Let a machine be reached, and speak as what it is now. Returns at once: call the result to be sure of it.

        The change takes as long as a machine's own start does to get going, so the two are done side by side.
        """
        put = replace if guest.outside in self._known else add
        self._known[guest.outside] = guest.address
        return _begin(put(self._names, self._publish_address, guest))

    def remove(self, guest: Guest) -> None:
        """Forget a machine; nothing happens when it is."""
        _nft(forget(self._names, self._publish_address, guest))
        self._known.pop(guest.outside, None)

    def remove_ends(self, ends: Iterable[LinkEnd]) -> None:
        """Forget ends on links of a machine that stays; nothing happens when they are."""
        _nft(forget_ends(self._names, ends))

    def put_gateway(self, gateway: Gateway) -> None:
        """Let a link's server speak on the control network, as itself alone."""
        _nft(self._speaks(gateway))

    def remove_gateway(self, gateway: Gateway) -> None:
        """Forget it; nothing happens when it is."""
        speaks = self._speaks(gateway)
        _nft(f"{speaks}\n{speaks.replace('add element', 'delete element')}")

    def addresses(self) -> Iterable[IPv4Address]:
        """Those of machines on the control network."""
        return tuple(self._known.values())

    def _speaks(self, gateway: Gateway) -> str:
        end = f"{gateway.outside} . {gateway.mac} . {gateway.address}"
        return f"add element bridge {self._names.table} guests {{ {end} }}"

    def uninstall(self) -> None:
        """Delete the tables."""
        for family in ("inet", "bridge"):
            _nft(f"table {family} {self._names.table} {{}}\ndelete table {family} {self._names.table}")


def tables_beginning(prefix: str) -> list[str]:
    """Tables of all families whose names begin so, as "family name"."""
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=10, check=True).stdout
    tables = (line.removeprefix("table ") for line in listed.splitlines())
    return [table for table in tables if table.split()[1].startswith(prefix)]


def _nft(script: str) -> None:
    """Change the tables, all of the script or nothing. Raises Unavailable."""
    _begin(script)()


def _begin(script: str) -> Callable[[], None]:
    """Start changing the tables; the result waits for the end and raises Unavailable."""
    with tempfile.TemporaryFile("w+") as file:  # a pipe would have to be fed while nobody waits
        file.write(script)
        file.seek(0)
        process = subprocess.Popen(["nft", "-f", "-"], stdin=file, stderr=subprocess.PIPE, text=True)

    def finish() -> None:
        with process:
            try:
                _, said = process.communicate(timeout=_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                said = "timed out"
        if process.returncode != 0:
            problem = Unavailable("the network of this host can't be changed now; it will be tried again")
            problem.add_note(said.strip()[-2000:])
            raise problem

    return finish
