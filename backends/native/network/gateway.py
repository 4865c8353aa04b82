"""A link's way out: its server's second foot, on the control network. Behind it the link's machines share one address.

Links of different slices use the same addresses; so they are translated in the server's own namespace, to an address
that only this link has. On the control network the server is a guest like any machine: it sends from that address
alone, reaches no other guest, and is translated again where the control network has its way out.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pyroute2 import IPRoute

from backends.native.names import Names
from backends.native.network import bridge
from backends.protocol import SliverId

_INSIDE = "out"

_SCRIPT = """\
ip link set {inside} address {mac} up
ip address add {address}/{prefix} dev {inside}
ip route add default via {host} dev {inside}
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<'END'
table inet way-out {{
    chain input {{
        type filter hook input priority filter;
        iifname "{inside}" ct state established,related accept
        iifname "{inside}" drop
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        iifname "lan" oifname "{inside}" accept
        iifname "{inside}" oifname "lan" ct state established,related accept
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        oifname "{inside}" masquerade
    }}
}}
END
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Where a link's server stands on the control network."""

    outside: str
    mac: str
    address: IPv4Address

    @classmethod
    def of(cls, names: Names, link: SliverId, address: IPv4Address) -> "Gateway":
        """The link's, at an address that nobody else has."""
        mac = ":".join(f"{octet:02x}" for octet in (0x02, 0x00, *address.packed))
        return cls(outside=names.way_out(link), mac=mac, address=address)

    def script(self, network: IPv4Network) -> str:
        """What is done in the server's namespace before it begins."""
        return _SCRIPT.format(
            inside=_INSIDE,
            mac=self.mac,
            address=self.address,
            prefix=network.prefixlen,
            host=next(network.hosts()),
        )

    def plug(self, names: Names, process: int) -> None:
        """Give the namespace of a process its foot on the control network."""
        bridge.remove(self.outside)
        with IPRoute() as netlink:
            netlink.link("add", ifname=self.outside, kind="veth", peer={"ifname": _INSIDE, "net_ns_pid": process})
            (master,) = netlink.link_lookup(ifname=names.control_bridge)
            (index,) = netlink.link_lookup(ifname=self.outside)
            netlink.link("set", index=index, master=master, state="up")
