"""A thousand malformed requests against a running server, while somebody else works with it as if nothing were."""

import http.client
import random
import sqlite3
import statistics
import threading
import time
import xmlrpc.client
from collections import Counter
from contextlib import closing

import pytest
from clients.simulated_server import SimulatedServer
from clients.wire import Wire

from bench.barrage import Barrage, dawdle

pytestmark = pytest.mark.alone

HEADERS_SECONDS, BODY_SECONDS, IDLE_SECONDS = 2, 3, 4
LIMIT_KIB = 4096
PER_PEER = 48
REQUEST = '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="one"/></rspec>'
ROUND = 500
LEEWAY = 3.0
"""Seconds by which a busy machine may be late; the server's own goodbye is part of it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = {
        "server.headers_seconds": HEADERS_SECONDS,
        "server.body_seconds": BODY_SECONDS,
        "server.idle_seconds": IDLE_SECONDS,
        "server.request_limit_kib": LIMIT_KIB,
        "server.connections_per_peer": PER_PEER,
    }
    with SimulatedServer(tmp_path_factory.mktemp("server"), settings=settings) as running:
        yield running
    text = running.log.read_text()
    assert "Traceback" not in text
    assert "[error" not in text


@pytest.fixture(scope="module")
def held(server):
    """Alice's slice, which holds a sliver that everybody else would like to have."""
    slice_ = server.slice("held", "alice")
    wire = Wire(server)
    assert wire("Allocate", slice_.urn, slice_.credentials, REQUEST, {})["code"]["geni_code"] == 0
    options = {"geni_rspec_version": {"type": "GENI", "version": "3"}}
    assert wire("Provision", [slice_.urn], slice_.credentials, options)["code"]["geni_code"] == 0
    server.wait_for(lambda: states(wire, slice_) == {"geni_ready"})
    return slice_


@pytest.fixture(scope="module")
def tls(server):
    """Mallory's: a certificate from here, and no right to anything."""
    return Wire(server, "mallory").context


@pytest.fixture(scope="module")
def barrage(server, held, tls):
    return Barrage(
        server.am_port,
        tls,
        slice_urn=held.urn,
        credentials=held.credentials,
        limit=LIMIT_KIB * 1024,
        source="127.0.0.3",
    )


class Honest:
    """Somebody who calls Status on a kept connection and GetVersion on new ones, from another address; a context."""

    def __init__(self, server, slice_):
        self._port = server.am_port
        self._tls = Wire(server).context
        self._status = xmlrpc.client.dumps(([slice_.urn], slice_.credentials, {}), "Status").encode()
        self._version = xmlrpc.client.dumps((), "GetVersion").encode()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.seconds, self.codes, self.failures = [], Counter(), []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _work(self):
        kept = self._connect()
        while not self._over.is_set():
            for connection, body in ((kept, self._status), (self._connect(), self._version)):
                began = time.monotonic()
                try:
                    connection.request("POST", "/am/3", body, {"Content-Type": "text/xml"})
                    answer = xmlrpc.client.loads(connection.getresponse().read())[0][0]
                    self.codes[answer["code"]["geni_code"]] += 1
                except (OSError, http.client.HTTPException, xmlrpc.client.Error) as e:
                    self.failures.append(repr(e))
                self.seconds.append(time.monotonic() - began)
                if connection is not kept:
                    connection.close()
        kept.close()

    def _connect(self):
        return http.client.HTTPSConnection(
            "localhost", self._port, context=self._tls, timeout=30, source_address=("127.0.0.2", 0)
        )

    @property
    def report(self):
        usual, late = (1000 * statistics.quantiles(self.seconds, n=20)[place] for place in (9, 18))
        return f"{len(self.seconds)} calls, median {usual:.1f} ms, 95% within {late:.1f} ms"


def states(wire, slice_):
    slivers = wire("Status", [slice_.urn], slice_.credentials, {})["value"]["geni_slivers"]
    return {one["geni_operational_status"] for one in slivers}


def rows(server):
    """All that the server keeps, but what it writes down of its own accord."""
    with closing(sqlite3.connect(f"file:{server.state / 'store.sqlite'}?mode=ro", uri=True)) as store:
        names = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(store.execute(f"SELECT * FROM {name}"), key=repr) for name in names}  # noqa: S608


def test_honest_calls_are_answered_and_nothing_changes_while_a_thousand_malformed_ones_come(
    server, held, barrage, capsys
):
    with Honest(server, held) as idle:
        time.sleep(1)
    before = rows(server)
    memory = []
    with Honest(server, held) as busy:
        sent = []
        for seed in (1, 2):
            sent += barrage.fire(ROUND, seed=seed)
            memory.append(server.memory_kib())
    assert (busy.failures, set(busy.codes)) == ([], {0})
    assert rows(server) == before
    for one in sent:
        assert b"Traceback" not in one.answer, one
        assert not one.answer.startswith(b"HTTP/1.1 500 "), one
        if one.answer.startswith(b"HTTP/1.1 200 "):
            assert (
                b"<name>geni_code</name>\n<value><int>0</int>" not in one.answer or b"geni_api_versions" in one.answer
            )
    by_kind = Counter(one.kind for one in sent)
    assert len(by_kind) == 10  # one of each at least
    server.wait_for(lambda: server.open_files() < 64)
    assert memory[1] - memory[0] < 32 * 1024, memory
    with capsys.disabled():
        print(f"\nhonest client, nobody else: {idle.report}\nhonest client in a barrage:  {busy.report}")
        print(f"memory after each half: {memory} KiB; sent: {dict(by_kind)}")


@pytest.mark.parametrize(
    ("beginning", "seconds"),
    [
        (b"", HEADERS_SECONDS),
        (b"POST /am/3 HTT", HEADERS_SECONDS),
        (b"POST /am/3 HTTP/1.1\r\nX: ", HEADERS_SECONDS),
        (b"POST /am/3 HTTP/1.1\r\nContent-Length: 100000\r\n\r\n<methodCall>", BODY_SECONDS),
        (b"POST /am/3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r", BODY_SECONDS),
    ],
    ids=["nothing", "request line", "headers", "body", "chunks"],
)
def test_who_dawdles_is_cut_off_in_time_and_nobody_else_notices(server, held, barrage, tls, beginning, seconds):
    with Honest(server, held) as honest:
        borne = dawdle(barrage, tls, beginning, PER_PEER - 8, longest=seconds + LEEWAY + 5)
    assert len(borne) == PER_PEER - 8
    assert max(borne) < seconds + LEEWAY
    assert (honest.failures, set(honest.codes)) == ([], {0})


def test_a_kept_connection_has_its_time_for_each_request_anew(server, held):
    wire = Wire(server)
    sockets = set()
    end = time.monotonic() + HEADERS_SECONDS + BODY_SECONDS + 1
    while time.monotonic() < end:
        assert states(wire, held) == {"geni_ready"}
        sockets.add(wire.proxy("transport")._connection[1].sock)
        time.sleep(0.4)
    assert len(sockets) == 1


def test_an_idle_connection_is_closed_after_its_own_time(server, held):
    wire = Wire(server)
    states(wire, held)
    secured = wire.proxy("transport")._connection[1].sock
    secured.settimeout(IDLE_SECONDS + LEEWAY)
    began = time.monotonic()
    assert secured.recv(1) == b""
    assert time.monotonic() - began > HEADERS_SECONDS


def test_connections_beyond_the_limit_are_closed_and_others_are_served(server, held, barrage):
    held_open = [barrage.connect() for _ in range(PER_PEER)]
    try:
        with barrage.connect() as beyond:
            assert _ended(beyond)
        assert states(Wire(server), held) == {"geni_ready"}  # from another address
    finally:
        for one in held_open:
            one.close()
    server.wait_for(lambda: barrage.plain(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 400"))


def _ended(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"POST /am/3 HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST /am/3 HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"400"),
        (b"POST /am/3 HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET /am/3 HTTP/1.1\r\nConnection: close\r\n\r\n", b"405"),
        (b"POST /nowhere HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", b"404"),
    ],
)
def test_what_http_has_a_word_for_is_said_in_http(barrage, octets, status):
    assert barrage.over_tls(octets).split(b" ")[1] == status


@pytest.mark.parametrize("seed", [1, 2], ids=["its length said", "in chunks"])
def test_a_body_that_is_too_large_is_refused_at_once(barrage, seed):
    began = time.monotonic()
    answer = barrage.oversize(random.Random(seed))  # noqa: S311 - repeatable is what matters
    assert answer.split(b" ")[1] == b"413"
    assert time.monotonic() - began < LEEWAY


def test_a_body_is_never_read_as_a_form(barrage):
    body = xmlrpc.client.dumps((), "GetVersion").encode()
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data", "application/x-www-form-urlencoded", ";"):
        assert b"geni_api_versions" in barrage.post(body, headers=f"Content-Type: {kind}\r\n")


@pytest.mark.parametrize(
    ("kind", "says"),
    [("nested", "inside each other"), ("crowded", "elements"), ("compressed_bomb", "not an XML-RPC call")],
)
def test_bombs_are_refused_with_a_fault(barrage, kind, says):
    answer = getattr(barrage, kind)(random.Random(1))  # noqa: S311 - repeatable is what matters
    with pytest.raises(xmlrpc.client.Fault, match=says) as fault:
        xmlrpc.client.loads(answer.partition(b"\r\n\r\n")[2])
    assert fault.value.faultCode == -32700
