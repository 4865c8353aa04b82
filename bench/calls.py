"""Calls per second over kept-alive connections: GetVersion and Status beside a bare echo."""

import http.client
import multiprocessing
import ssl
import statistics
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass

from bench.server import BenchServer, free_port, wait_for_port

CONNECTIONS = 2
SECONDS = 3.0
ROUNDS = 3


@dataclass(frozen=True)
class Target:
    """What to call: name shown, port, path, body."""

    name: str
    port: int
    path: str
    body: bytes


def measure(server: BenchServer) -> dict[str, float]:
    """Calls per second by name; the median of some rounds, the targets in turn so that noise meets all alike."""
    echo_port = free_port()
    authority = server.state / "authority"
    command = [sys.executable, "-m", "bench.echo", str(echo_port), authority / "am.key", authority / "am.gid"]
    echo = subprocess.Popen(command)
    try:
        wait_for_port(echo_port)
        slice_ = server.slice("calls")
        server.allocate(slice_, 2)
        status = xmlrpc.client.dumps(([slice_.urn], slice_.credentials, {}), "Status", allow_none=True).encode()
        targets = [
            Target("echo", echo_port, "/", xmlrpc.client.dumps(("x",), "echo").encode()),
            Target("GetVersion", server.am_port, "/am/3", xmlrpc.client.dumps((), "GetVersion").encode()),
            Target("Status", server.am_port, "/am/3", status),
        ]
        rates: dict[str, list[float]] = {target.name: [] for target in targets}
        for _ in range(ROUNDS):
            for target in targets:
                rates[target.name].append(_rate(server, target))
        slice_.call("Delete", {})
        return {name: statistics.median(found) for name, found in rates.items()}
    finally:
        echo.terminate()
        echo.wait()


def _rate(server: BenchServer, target: Target) -> float:
    folder = server.session.folder
    arguments = (target, str(folder.key), str(folder.gid), str(folder.roots))
    with multiprocessing.get_context("spawn").Pool(CONNECTIONS) as pool:
        counts = pool.starmap(_caller, [arguments] * CONNECTIONS)
    return sum(counts) / SECONDS


def _caller(target: Target, key: str, gid: str, roots: str) -> int:
    """Call for some seconds over one connection; returns how often."""
    context = ssl.create_default_context(cafile=roots)
    context.load_cert_chain(gid, key)
    connection = http.client.HTTPSConnection("localhost", target.port, context=context, timeout=30)
    ask: Callable[[], bytes] = lambda: _ask(connection, target)  # noqa: E731
    if b"<fault>" in ask():
        raise RuntimeError(f"{target.name} was answered with a fault")
    end = time.monotonic() + SECONDS
    count = 0
    while time.monotonic() < end:
        ask()
        count += 1
    connection.close()
    return count


def _ask(connection: http.client.HTTPSConnection, target: Target) -> bytes:
    connection.request("POST", target.path, target.body, {"Content-Type": "text/xml"})
    return connection.getresponse().read()
