"""Calls per second of a whole server with simulated slivers, beside bare Twisted XML-RPC over the same TLS."""

import json
import multiprocessing
import socket
import ssl
import statistics
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.row import Row
from bench.server import HOME, PROGRAMS, free_port, wait_for_port
from sfi_tool.folder import Folder
from sfi_tool.identity import Session, as_struct
from sfi_tool.slices import Slice

SECONDS = 3.0
ROUNDS = 3
RSPEC_VERSION = {"type": "GENI", "version": "3"}
NODES = 1000
"""In the advertisement."""


@dataclass(frozen=True)
class Target:
    """What to call. body: XML-RPC."""

    port: int
    path: str
    body: bytes


class SimulatedServer:
    """`sfa-am serve` with the simulated backend; a context. Everything else is as always, SQLite on disk included.

    offers: nodes in the advertisement; capacity: slivers that each of them holds
    """

    def __init__(self, *, offers: int, capacity: int) -> None:
        self._backend = f"{{offers = {offers}, capacity = {capacity}}}"

    def __enter__(self) -> "SimulatedServer":
        import shutil

        self.state = HOME / "simulated"
        shutil.rmtree(self.state, ignore_errors=True)
        self.am_port, self.registry_port = free_port(), free_port()
        changes = (f"server.am_port={self.am_port}", f"server.registry_port={self.registry_port}", "log.level=warning")
        sets = [part for change in changes for part in ("--set", change)]
        subprocess.run([PROGRAMS / "sfa-am", "--state", self.state, "init", *sets], check=True, capture_output=True)
        settings = self.state / "sfa-am.toml"
        text = settings.read_text().replace('plugin = "native"', 'plugin = "simulated"')
        settings.write_text(text.replace("settings = {}", f"settings = {self._backend}"))
        self._process = subprocess.Popen([PROGRAMS / "sfa-am", "--state", self.state, "serve"])
        wait_for_port(self.am_port)
        self.session = Session(Folder.open(self.state / "operator"))
        while not self._is_up():
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)

    def _is_up(self) -> bool:
        done = subprocess.run(
            [PROGRAMS / "sfa-am", "--state", self.state, "status", "--json"], check=True, capture_output=True
        )
        return any(offer["up"] for offer in json.loads(done.stdout)["offers"])

    def slice(self, name: str) -> Slice:
        """A new slice of the operator's."""
        command = [PROGRAMS / "sfi", "-d", self.state / "operator", "slice", "add", name]
        subprocess.run(command, check=True, capture_output=True)
        return Slice(self.session, name)


@contextmanager
def _echo(state: Path) -> Iterator[int]:
    port = free_port()
    keys = (state / "authority" / "am.key", state / "authority" / "am.gid")
    process = subprocess.Popen([sys.executable, "-m", "bench.echo", str(port), *keys])
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def measure() -> list[Row]:
    """Calls one by one, then whole lives."""
    with SimulatedServer(offers=NODES, capacity=10) as server, _echo(server.state) as echo_port:
        slice_ = server.slice("rates")
        server.session.aggregate.call_am("Allocate", slice_.urn, slice_.credentials, _request(1), {})
        user = [as_struct(server.session.user_credential())]
        targets = {
            "echo": Target(echo_port, "/", _call("echo", "x")),
            "GetVersion": Target(server.am_port, "/am/3", _call("GetVersion")),
            "Status": Target(server.am_port, "/am/3", _call("Status", [slice_.urn], slice_.credentials, {})),
            f"ListResources, {NODES} nodes, compressed": Target(
                server.am_port,
                "/am/3",
                _call("ListResources", user, {"geni_rspec_version": RSPEC_VERSION, "geni_compressed": True}),
            ),
        }
        found: dict[tuple[str, int], float] = {}
        for clients in (1, 8):
            taken: dict[str, list[float]] = {name: [] for name in targets}
            for _ in range(ROUNDS):
                for name, target in targets.items():
                    taken[name].append(_rate(server, [target] * clients))
            found |= {(name, clients): statistics.median(rates) for name, rates in taken.items()}
    with SimulatedServer(offers=10, capacity=1000) as server:
        lives = _lives(server, [server.slice(f"life{number}") for number in range(8)])
    rows = []
    aims = {"GetVersion": 0.6}
    for (name, clients), rate in found.items():
        if name != "echo":
            words = f"{name}, {clients} kept-alive client{'s' if clients > 1 else ''}"
            floor = found["echo", clients]
            rows.append(Row(words, rate, "bare Twisted XML-RPC echo", floor, "per second", aims.get(name, 0)))
    rows.append(Row("whole lives of a sliver, 8 clients", lives, "bare echo", found["echo", 8], "per second"))
    return rows


def _request(nodes: int) -> str:
    elements = "".join(f'<node client_id="n{number}"/>' for number in range(nodes))
    return f'<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">{elements}</rspec>'


def _call(method: str, *arguments: Any) -> bytes:
    return xmlrpc.client.dumps(arguments, method, allow_none=True).encode()


def _lives(server: SimulatedServer, slices: Sequence[Slice]) -> float:
    """Allocate, Provision, Status, Delete, again and again, each client on a slice of its own."""
    options = {"geni_rspec_version": RSPEC_VERSION, "geni_users": slices[0].users()}
    bodies = [
        (
            _call("Allocate", one.urn, one.credentials, _request(1), {}),
            _call("Provision", [one.urn], one.credentials, options),
            _call("Status", [one.urn], one.credentials, {}),
            _call("Delete", [one.urn], one.credentials, {}),
        )
        for one in slices
    ]
    return _rate(server, [[Target(server.am_port, "/am/3", body) for body in four] for four in bodies]) / 4


def _rate(server: SimulatedServer, targets: Sequence[Target | Sequence[Target]]) -> float:
    """Calls per second of all clients together, a process for every four."""
    folder = server.session.folder
    files = (str(folder.key), str(folder.gid), str(folder.roots))
    with multiprocessing.get_context("spawn").Pool(len(targets)) as pool:
        counts = pool.starmap(_caller, [(target, *files) for target in targets])
    return sum(counts) / SECONDS


def _caller(target: Target | Sequence[Target], key: str, gid: str, roots: str) -> int:
    """Call for some seconds over one connection, as bare as can be; returns how often."""
    targets = [target] if isinstance(target, Target) else target
    context = ssl.create_default_context(cafile=roots)
    context.load_cert_chain(gid, key)
    with socket.create_connection(("127.0.0.1", targets[0].port), timeout=30) as bare:
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(bare, server_hostname="localhost") as connection:
            asks = [_asking(connection, one) for one in targets]
            for ask in asks:
                answer = ask()
                if b"<fault>" in answer or (b"<int>0</int>" not in answer and len(asks) > 1):
                    raise RuntimeError(f"refused: {answer[:500]!r}")
            end = time.monotonic() + SECONDS
            count = 0
            while time.monotonic() < end:
                for ask in asks:
                    ask()
                count += len(asks)
    return count


def _asking(connection: ssl.SSLSocket, target: Target) -> Callable[[], bytes]:
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n"
        f"Content-Length: {len(target.body)}\r\n\r\n"
    )
    message = head.encode() + target.body

    def ask() -> bytes:
        connection.sendall(message)
        got = connection.recv(65536)
        while (end := got.find(b"\r\n\r\n")) < 0:
            got += connection.recv(65536)
        mark = got.lower().index(b"content-length:") + 15
        length = int(got[mark : got.index(b"\r\n", mark)])
        while len(got) < end + 4 + length:
            got += connection.recv(1 << 20)
        return got[end + 4 :]

    return ask
