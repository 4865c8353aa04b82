"""Where the machines on a link ask for addresses (DHCP) and names (DNS): a dnsmasq for each link, on each host that has
machines there.

Each answers from the same table, under the same address, and only to the machines of its own host: nothing of it passes
a tunnel (see `filter`). So none has to be chosen, none is missed when a host is lost, and a machine that moves finds on
its new host what it had on the old one.

It lives in a network namespace of its own that ends with it, and its end on the link goes with that: whatever kills it
leaves nothing behind. It outlives the node manager, as machines do.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Protocol

from pyroute2 import IPRoute, NetlinkError

from backends.native.names import Names
from backends.native.network import bridge
from backends.native.network.answers import addresses_table, names_table
from backends.native.network.gateway import Gateway
from backends.native.settings import NodeSettings
from backends.native.trees import delete_tree
from backends.protocol import Segment, SliverId, Unavailable

PROGRAM = "dnsmasq"
_USER, _GROUP = "nobody", "nogroup"
_LEASE = "1h"
"""Of addresses that never change: how soon a machine hears of a new server."""
_PATIENCE = 10.0
_INSIDE = "lan"

_BEGIN = """\
echo ready
read -r go || exit 1
set -e
ip link set lo up
ip link set {inside} address {mac} mtu {mtu} up
ip address add {address} dev {inside}
{further}
exec "$@" >&2
"""
"""Waits in its namespace until its end of the link is there; goes when whoever should bring it has gone."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a server is started with; with another one it is started anew."""

    command: tuple[str, ...]
    script: str

    def digest(self) -> str:
        return hashlib.sha256(repr((self.command, self.script)).encode()).hexdigest()[:16]


class Rules(Protocol):
    """Let those speak on the control network who may."""

    def put_gateway(self, gateway: Gateway) -> None:
        """Let a link's server speak there."""

    def remove_gateway(self, gateway: Gateway) -> None:
        """Forget it; absent is fine."""

    def addresses(self) -> Iterable[IPv4Address]:
        """Those of machines on the control network."""


class Watching(Protocol):
    """Who is told which processes are servers, and notices when one ends by itself."""

    def begin(self, sliver: SliverId, first_process: int) -> None:
        """Watch a link's server."""

    def end(self, sliver: SliverId) -> None:
        """Watch it no more."""


class LinkServers:
    """Those of one node. The caller sees to it that there is one at a time for each link."""

    def __init__(self, names: Names, settings: NodeSettings, folder: Path, rules: Rules) -> None:
        """folder: for the tables, where others may read. rules: are told who has a way out."""
        self._settings = settings
        self._rules = rules
        self._names = names
        self._folder = folder
        self._watch: Watching | None = None

    def start(self, watch: Watching) -> None:
        """Begin to have them watched."""
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o711)
        self._watch = watch

    def stop(self) -> None:
        """They go on."""
        self._watch = None

    def ensure(self, link: SliverId, segment: Segment, mtu: int) -> None:
        """Have a link's server answer what the segment says; its bridge is there. Raises Unavailable."""
        if segment.server is None:
            self.remove(link)
            return
        own = self._folder / link
        own.mkdir(exist_ok=True)
        own.chmod(0o755)
        is_changed = _put(own / "addresses", addresses_table(segment)) | _put(own / "names", names_table(segment))
        gateway = self._gateway(link, own) if segment.gateway else None
        wish = self._wish(own, link, segment.server, mtu, gateway)
        pid = _process(own)
        if pid and bridge.exists(self._names.server(link)) and _read(own / "wish") == wish.digest():
            if is_changed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGHUP)  # it reads its tables again
        else:
            self._end(link, own)
            if gateway is not None:
                _put(own / "way-out", str(gateway.address))
                self._rules.put_gateway(gateway)
            pid = self._begin(link, own, wish, mtu, gateway)
        if self._watch is not None:
            self._watch.begin(link, pid)

    def is_there(self, link: SliverId) -> bool:
        """Whether a link's server runs."""
        return _process(self._folder / link) > 0

    def remove(self, link: SliverId) -> None:
        """Have none; absent is fine."""
        own = self._folder / link
        if own.is_dir():
            self._end(link, own)
            delete_tree(own)

    def remove_others(self, kept: Iterable[SliverId]) -> None:
        """End those of links that are not among these."""
        if self._folder.is_dir():
            links = {SliverId(own.name) for own in self._folder.iterdir()}
            for link in links.difference(kept):
                self.remove(link)

    def gateways(self) -> list[Gateway]:
        """The links' servers that have a way out, or had one until they ended."""
        found = []
        for own in self._folder.iterdir() if self._folder.is_dir() else ():
            if written := _read(own / "way-out"):
                found.append(Gateway.of(self._names, SliverId(own.name), IPv4Address(written)))
        return found

    def _gateway(self, link: SliverId, own: Path) -> Gateway:
        """At the address that it has, or at the last free one: machines have the first ones."""
        if written := _read(own / "way-out"):
            return Gateway.of(self._names, link, IPv4Address(written))
        last = int(self._settings.control_network.broadcast_address) - 1
        taken = {int(one.address) for one in self.gateways()} | {int(address) for address in self._rules.addresses()}
        number = next(n for n in range(last, 0, -1) if n not in taken)
        if IPv4Address(number) not in self._settings.control_network:
            raise Unavailable("no more links can have a way out here now; it will be tried again")
        return Gateway.of(self._names, link, IPv4Address(number))

    def _wish(self, own: Path, link: SliverId, address: IPv4Interface, mtu: int, gateway: Gateway | None) -> _Wish:
        network = address.network
        forwards = [f"--server={server}" for server in self._settings.nameservers] if gateway else []
        command = (
            PROGRAM,
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            f"--user={_USER}",
            f"--group={_GROUP}",
            "--pid-file=",
            f"--interface={_INSIDE}",
            "--bind-interfaces",
            "--no-resolv",
            "--domain-needed",  # a name without a dot has no other address than those in the table
            "--no-hosts",
            f"--addn-hosts={own / 'names'}",
            f"--dhcp-hostsfile={own / 'addresses'}",
            f"--dhcp-range={network.network_address},static,{network.netmask},{_LEASE}",
            "--dhcp-ignore=tag:!known",
            "--dhcp-authoritative",
            f"--dhcp-option=option:router{f',{address.ip}' if gateway else ''}",
            *forwards,
            f"--dhcp-option=option:dns-server,{address.ip}",
            "--leasefile-ro",
            "--no-ping",
            "--log-facility=-",
            "--quiet-dhcp",
        )
        mac = self._names.mac(link)
        further = gateway.script(self._settings.control_network) if gateway else ""
        return _Wish(command, _BEGIN.format(inside=_INSIDE, mac=mac, mtu=mtu, address=address, further=further))

    def _begin(self, link: SliverId, own: Path, wish: _Wish, mtu: int, gateway: Gateway | None) -> int:
        command = ["unshare", "--net", "sh", "-c", wish.script, "sh", *wish.command]
        with (own / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                start_new_session=True,
            )
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        assert process.stdout is not None  # noqa: S101 - as well
        try:
            with process.stdin, process.stdout:
                if process.stdout.readline() != b"ready\n":
                    raise _failed(own, "no namespace")
                (own / "pid").write_text(f"{process.pid}\n")
                self._plug(link, process.pid, mtu)
                if gateway is not None:
                    gateway.plug(self._names, process.pid)
                process.stdin.write(b"go\n")
            _wait_until_it_answers(process.pid, own)
        except (OSError, NetlinkError, Unavailable) as e:
            process.kill()
            process.wait()
            if isinstance(e, Unavailable):
                raise
            raise _failed(own, str(e)) from e
        _put(own / "wish", wish.digest())
        return process.pid

    def _plug(self, link: SliverId, process: int, mtu: int) -> None:
        outside = self._names.server(link)
        bridge.remove(outside)
        with IPRoute() as netlink:
            peer = {"ifname": _INSIDE, "net_ns_pid": process}
            netlink.link("add", ifname=outside, kind="veth", peer=peer, mtu=mtu)
            (master,) = netlink.link_lookup(ifname=self._names.bridge(link))
            (index,) = netlink.link_lookup(ifname=outside)
            netlink.link("set", index=index, master=master, mtu=mtu, state="up")

    def _end(self, link: SliverId, own: Path) -> None:
        if self._watch is not None:
            self._watch.end(link)
        if pid := _process(own):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # it has nothing to put in order
            _reap(pid)
        bridge.remove(self._names.server(link))
        if written := _read(own / "way-out"):
            gateway = Gateway.of(self._names, link, IPv4Address(written))
            bridge.remove(gateway.outside)
            self._rules.remove_gateway(gateway)
        for name in ("pid", "wish", "way-out"):
            (own / name).unlink(missing_ok=True)


def end_all(folder: Path) -> None:
    """End all servers of a node and forget them, whoever has started them."""
    for own in folder.iterdir() if folder.is_dir() else ():
        if pid := _process(own):
            os.kill(pid, signal.SIGKILL)
            _reap(pid)
    delete_tree(folder)


def running(folder: Path) -> list[str]:
    """The links of a node that have a server."""
    return sorted(own.name for own in folder.iterdir() if _process(own)) if folder.is_dir() else []


def _process(own: Path) -> int:
    """A server's process; 0 when it has none. Numbers of processes come again: it must be one that has our folder."""
    try:
        pid = int(_read(own / "pid") or 0)
        said = Path(f"/proc/{pid}/cmdline").read_bytes() if pid else b""
    except (ValueError, OSError):
        return 0
    return pid if str(own).encode() + b"/" in said else 0


def _reap(pid: int) -> None:
    """Wait for its end: it may be a child of ours, or of a node manager that was before."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z"):
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.005)


def _wait_until_it_answers(pid: int, own: Path) -> None:
    """It listens for names as soon as it is ready for anything."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            sockets = Path(f"/proc/{pid}/net/udp").read_text()
        except OSError:
            break
        if any(line.split()[1].endswith(":0035") for line in sockets.splitlines()[1:]):
            return
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0]:
                break
        time.sleep(0.01)
    raise _failed(own, "it does not listen")


def _failed(own: Path, why: str) -> Unavailable:
    problem = Unavailable("a link's addresses and names can't be served now; it will be tried again")
    problem.add_note(f"{why}: {_read(own / 'log')[-2000:]}")
    return problem


def _put(path: Path, text: str) -> bool:
    """Write a file by rename; whether it was another."""
    if _read(path) == text:
        return False
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text)
    temporary.chmod(0o644)
    temporary.replace(path)
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
