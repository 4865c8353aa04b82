"""What an honest client notices of a barrage of malformed requests: its latency beside the same client's in peace."""

import http.client
import multiprocessing
import ssl
import statistics
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.barrage import Barrage
from bench.rates import SimulatedServer
from bench.row import Row
from credentials import self_signed_user
from credentials.keys import new_ec_key, private_pem, write_private

SHOTS = 500
IN_PEACE_SECONDS = 4.0
_LIMIT = 20480 * 1024
"""Bytes of a body: the server's default."""


def measure() -> list[Row]:
    """The rows of this section."""
    with SimulatedServer(offers=10, capacity=100) as server, tempfile.TemporaryDirectory() as folder:
        slice_ = server.slice("hostile")
        request = '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="a"/></rspec>'
        server.session.aggregate.call_am("Allocate", slice_.urn, slice_.credentials, request, {})
        status = xmlrpc.client.dumps(([slice_.urn], slice_.credentials, {}), "Status").encode()
        version = xmlrpc.client.dumps((), "GetVersion").encode()
        peace_ends = time.monotonic() + IN_PEACE_SECONDS
        peace = _latencies(server, status, version, lambda: time.monotonic() < peace_ends)
        arguments = (server.am_port, _stranger(Path(folder)), slice_.urn, slice_.credentials)
        attack = multiprocessing.get_context("spawn").Process(target=_fire, args=arguments)
        attack.start()
        under_fire = _latencies(server, status, version, attack.is_alive)
        attack.join()
    rows = []
    for name, idle, busy in zip(("Status, kept alive", "GetVersion, connecting anew"), peace, under_fire, strict=True):
        for words, aim, place in (("median", 0.5, 9), ("the slowest twentieth", 0.0, 18)):
            before, after = (1 / statistics.quantiles(seconds, n=20)[place] for seconds in (idle, busy))
            rows.append(Row(f"{name} under fire: {words}", after, "the same in peace", before, "per second", aim))
    return rows


def _latencies(
    server: SimulatedServer, status: bytes, version: bytes, goes_on: Callable[[], bool]
) -> tuple[list[float], list[float]]:
    """Seconds of each Status on a kept connection, and of each GetVersion on one of its own."""
    folder = server.session.folder
    tls = ssl.create_default_context(cafile=str(folder.roots))
    tls.load_cert_chain(str(folder.gid), str(folder.key))

    def connection() -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "localhost", server.am_port, context=tls, timeout=30, source_address=("127.0.0.2", 0)
        )

    kept = connection()
    found: tuple[list[float], list[float]] = ([], [])
    while goes_on():
        for seconds, used, body in ((found[0], kept, status), (found[1], connection(), version)):
            begin = time.perf_counter()
            used.request("POST", "/am/3", body)
            if b"<name>geni_code</name>\n<value><int>0</int>" not in used.getresponse().read():
                raise RuntimeError("an honest call was refused")
            seconds.append(time.perf_counter() - begin)
            if used is not kept:
                used.close()
    kept.close()
    return found


def _stranger(folder: Path) -> str:
    """A PEM file with a key and a certificate that nobody vouches for."""
    key = new_ec_key()
    gid = self_signed_user("elsewhere.mallory", key, lifetime=timedelta(days=1), now=datetime.now(UTC))
    write_private(folder / "mallory.pem", private_pem(key) + gid.pem.encode())
    return str(folder / "mallory.pem")


def _fire(port: int, pem: str, slice_urn: str, credentials: list[Any]) -> None:
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.load_cert_chain(pem)
    barrage = Barrage(port, tls, slice_urn=slice_urn, credentials=credentials, limit=_LIMIT, source="127.0.0.3")
    barrage.fire(SHOTS, seed=1)
