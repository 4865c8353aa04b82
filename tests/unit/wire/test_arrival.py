"""Connections as they arrive: what the first byte decides, who is counted together, and what may take how long."""

import pytest
from structlog.testing import capture_logs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from sfa_am.wire.arrival import Arrivals

HELLO_SECONDS = 5


class Recorder(Protocol):
    """What stands behind: keeps what it gets."""

    def __init__(self):
        self.got, self.is_lost = b"", False

    def dataReceived(self, data):  # noqa: N802
        self.got += data

    def connectionLost(self, reason=None):  # noqa: N802
        self.is_lost = True


class Behind(Factory):
    def __init__(self):
        self.made = []

    def buildProtocol(self, addr):  # noqa: N802
        self.made.append(Recorder())
        return self.made[-1]


class Wire(StringTransportWithDisconnection):
    """A transport that can be half closed."""

    is_half_closed = False

    def loseWriteConnection(self):  # noqa: N802
        self.is_half_closed = True


class Port:
    def __init__(self, *, per_peer=2, most=100):
        self.clock, self.behind = Clock(), Behind()
        self.arrivals = Arrivals(self.behind, self.clock, hello_seconds=HELLO_SECONDS, per_peer=per_peer, most=most)

    def connect(self, host="192.0.2.1"):
        """The transport of a new connection, or None."""
        kind = IPv6Address if ":" in host else IPv4Address
        protocol = self.arrivals.buildProtocol(kind("TCP", host, 4711))
        if protocol is None:
            return None
        wire = Wire()
        wire.protocol = protocol
        protocol.makeConnection(wire)
        return wire


@pytest.fixture
def port():
    return Port()


def test_tls_goes_on_to_what_stands_behind_and_so_does_its_end(port):
    wire = port.connect()
    for piece in (b"\x16\x03", b"\x01", b"GET"):
        wire.protocol.dataReceived(piece)
    wire.loseConnection()
    assert (port.behind.made[0].got, port.behind.made[0].is_lost) == (b"\x16\x03\x01GET", True)


def test_what_stands_behind_sets_the_time_after_the_first_byte(port):
    wire = port.connect()
    wire.protocol.dataReceived(b"\x16")
    port.clock.advance(HELLO_SECONDS * 10)
    assert wire.connected


def test_plain_http_gets_one_sentence_once_and_time_to_read_it(port):
    wire = port.connect()
    wire.protocol.dataReceived(b"POST /RPC2 HTTP/1.0\r\n")
    wire.protocol.dataReceived(b"\x16 more of it")
    head, _, body = wire.value().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert body.count(b"\n") == 1
    assert b"https://" in body
    assert (wire.is_half_closed, wire.connected) == (True, True)
    port.clock.advance(3)
    assert not wire.connected
    assert port.behind.made == []


def test_neither_tls_nor_http_is_cut_off(port):
    wire = port.connect()
    wire.protocol.dataReceived(b"\x80\x2e\x01")
    assert (wire.connected, wire.value()) == (False, b"")


def test_who_says_nothing_is_cut_off(port):
    wire = port.connect()
    port.clock.advance(HELLO_SECONDS - 1)
    assert wire.connected
    port.clock.advance(1)
    assert not wire.connected


def test_one_address_holds_so_many_connections_and_others_do_not_mind(port):
    held = [port.connect(), port.connect()]
    assert port.connect() is None
    assert port.connect("192.0.2.2") is not None
    held[0].loseConnection()
    assert port.connect() is not None
    assert port.connect() is None


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_a_network_of_ipv6_counts_as_one(first, second, together):
    port = Port(per_peer=1)
    assert port.connect(first) is not None
    assert (port.connect(second) is None) == together


def test_all_together_hold_so_many_connections():
    port = Port(per_peer=2, most=3)
    held = [port.connect(f"192.0.2.{n}") for n in range(3)]
    assert port.connect("192.0.2.9") is None
    held[1].loseConnection()
    assert port.connect("192.0.2.9") is not None


def test_the_log_tells_of_refusals_once_a_minute():
    port = Port(per_peer=1)
    port.connect()
    with capture_logs() as lines:
        for _ in range(50):
            port.connect()
        port.clock.advance(60)  # which ends the one that was open, too
        port.connect()
        port.connect()
    assert [line["number"] for line in lines] == [1, 50]
