"""Networks: filters, bridges, shaping, links between hosts. Tried in network namespaces that end with the trial."""

import shutil
from pathlib import Path

from sfa_am.doctor.finding import Answer, limited, missing, ok
from sfa_am.doctor.probe import Probe, succeeds_in_network_namespace

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")

# As the native backend writes them: logins by map, and who may speak on the bridge by set.
_RULES = """
table inet t {
  map m { type ipv4_addr . inet_service : ipv4_addr . inet_service; }
  chain o { type nat hook output priority -100; dnat ip to ip daddr . tcp dport map @m; }
  chain i { type filter hook input priority 0; ct state established accept; }
}
table bridge t {
  set s { type ifname . ether_addr . ipv4_addr; }
  chain p { type filter hook prerouting priority -300; iifname . ether saddr . ip saddr @s accept; }
}
"""
_STATEFUL = "table bridge u { chain c { type filter hook forward priority 0; ct state new accept; }; }"
_DISCIPLINES = {"tbf": "rate 1mbit burst 2k latency 50ms", "htb": "", "netem": "delay 1ms"}


def _nftables() -> Answer:
    if not shutil.which("nft"):
        return missing("no nft", "apt-get install nftables")
    if not succeeds_in_network_namespace(f"nft -f - <<'END'\n{_RULES}\nEND"):
        return missing("what is needed is refused", "a kernel with nf_tables, nft_nat and nf_tables_bridge")
    works = "address translation, maps and bridge filters work"
    if not succeeds_in_network_namespace(f"nft '{_STATEFUL}'"):
        works += "; no connection tracking on bridges, which is not needed"
    return ok(works)


def _bridges() -> Answer:
    pair = "ip link add v0 type veth peer name v1"
    if succeeds_in_network_namespace(f"ip link add br0 type bridge && {pair} && ip link set v0 master br0"):
        return ok("bridges and veth pairs can be made")
    return missing("can't be made", "a kernel with bridge and veth; apt-get install iproute2")


def _traffic_shaping() -> Answer:
    works = [
        kind
        for kind, words in _DISCIPLINES.items()
        if succeeds_in_network_namespace(
            f"ip link add v0 type veth peer name v1 && tc qdisc add dev v0 root {kind} {words}"
        )
    ]
    says = f"works: {', '.join(works) or 'nothing'} of {', '.join(_DISCIPLINES)}"
    if "tbf" not in works:
        return limited(says, "a kernel with sch_tbf, for the capacity of links")
    return ok(says)


def _vxlan() -> Answer:
    if succeeds_in_network_namespace("ip link add vx0 type vxlan id 7 dstport 4789 nolearning"):
        return ok("can be made")
    return missing("can't be made", "a kernel with vxlan, for links between hosts")


def _forwarding() -> Answer:
    if FORWARDING.read_text().strip() == "1":
        return ok("on")
    return limited(
        "off: logins published on an address other than 127.0.0.1 are not reached from other hosts",
        "sysctl net.ipv4.ip_forward=1, if that is wanted",
    )


PROBES = (
    Probe(subject="nftables", look=_nftables, needed=True, as_root=True),
    Probe(subject="bridges", look=_bridges, needed=True, as_root=True),
    Probe(subject="traffic shaping", look=_traffic_shaping, as_root=True),
    Probe(subject="VXLAN", look=_vxlan, as_root=True),
    Probe(subject="forwarding", look=_forwarding),
)
