"""Plugging a machine that shares the host's kernel into a link while it runs, and unplugging it.

Both ends of the cable are made in one step, the inner one in the machine's own network namespace and under its name
there: nothing is left on the host when that is cut short.
"""

import errno
import subprocess
from ipaddress import IPv4Interface, IPv6Interface

from pyroute2 import IPRoute, NetlinkError

from backends.native.network import bridge
from backends.protocol import BackendError, Unavailable

_TIMEOUT = 20


def plug(
    process: int,
    *,
    name: str,
    outside: str,
    on: str,
    mac: str,
    mtu: int,
    addresses: tuple[IPv4Interface | IPv6Interface, ...],
) -> None:
    """Have the namespace of a process an interface `name` on the bridge `on`. Raises BackendError, Unavailable.

    outside: name of the host's end; one that is there is made anew
    """
    bridge.remove(outside)
    with IPRoute() as netlink:
        peer = {"ifname": name, "net_ns_pid": process, "address": mac, "mtu": mtu}
        try:
            netlink.link("add", ifname=outside, kind="veth", peer=peer, mtu=mtu)
        except NetlinkError as e:
            if e.code == errno.EEXIST:
                raise BackendError(f"the machine has an interface {name} of its own making; rename it there") from e
            raise _failed(str(e)) from e
        found = netlink.link_lookup(ifname=on), netlink.link_lookup(ifname=outside)
        if not all(found):
            raise _failed("the bridge, or what was just made, is not there")
        (master,), (index,) = found
        netlink.link("set", index=index, master=master, state="up")
    _inside(process, "link", "set", name, "up")
    for address in addresses:
        _inside(process, "address", "replace", str(address), "dev", name)


def _inside(process: int, *words: str) -> None:
    """A change in the namespace of a process, by the host's own tool: the machine's may be anything."""
    command = ["nsenter", f"--net=/proc/{process}/ns/net", "ip", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    if done.returncode != 0:
        raise _failed(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")


def _failed(why: str) -> Unavailable:
    problem = Unavailable("the machine can't be plugged into a link now; it will be tried again")
    problem.add_note(why)
    return problem
