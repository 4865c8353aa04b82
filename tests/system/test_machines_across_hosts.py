"""Containers and virtual machines of one slice on several hosts, on links that lead across these."""

import pytest
from system.cluster import request
from system.machines import shell
from system.server import allocate, provision, states

from rspec import read_manifest

pytestmark = [
    pytest.mark.needs("root", "lxc", "nats-server", "libvirtd", "qemu-img", "xorrisofs"),
    pytest.mark.timeout(600),
]

LANS = {"red": (1, 2, 3, 4), "green": (3, 4, 5), "blue": (1, 6)}
"""Machines by number on each LAN; number n is on host 1 + n modulo 3."""
VIRTUAL = (1, 3)


@pytest.fixture
def made(hosts_with_vms):
    """A slice with all of them, ready; nothing is left of it on any host afterwards."""
    server = hosts_with_vms.server
    slice_ = server.add_slice("six", "alice")
    allocate(slice_, request(LANS, VIRTUAL))
    provision(slice_)
    server.wait_for(lambda: set(states(slice_).values()) == {"geni_ready"}, 300)
    yield slice_
    slice_.call("Delete", {})
    server.wait_for(lambda: hosts_with_vms.left() == [])
    assert server.used() == 0


def answering(slice_, name: str, addresses: set[str]) -> set[str]:
    """Those of the addresses that answer a machine's pings; all are asked at once."""
    ask = "; ".join(f"(ping -c 3 -i 0.3 -W 2 {one} >/dev/null && echo {one}) &" for one in sorted(addresses))
    return set(shell(slice_, name, f"{ask.replace('&;', '&')} wait", timeout=60).split())


def test_machines_of_both_forms_reach_each_other_across_hosts_and_nobody_else(made):
    nodes = {node.client_id: node for node in read_manifest(made.describe()["geni_rspec"]).nodes}
    assert len({node.component_id for node in nodes.values()}) == 3
    assert {node.component_id for node in nodes.values() if node.sliver_type == "vm-small"} == {
        nodes["m1"].component_id,
        nodes["m3"].component_id,
    }, "virtual machines are on two of them"
    for name in nodes:
        assert shell(made, name, "hostname", timeout=60) == f"{name}\n"

    for name in nodes:
        number = int(name.removeprefix("m"))
        own = {position for position, members in enumerate(LANS.values()) if number in members}
        everybody = {f"10.20.{position}.{n}" for position, members in enumerate(LANS.values()) for n in members}
        wanted = {address for address in everybody if int(address.split(".")[2]) in own}
        assert answering(made, name, everybody) == wanted, name
