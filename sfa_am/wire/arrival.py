"""Connections as they arrive: TLS goes on to what serves it, all else is told why not, and nobody may hold too many.

The first byte decides. A TLS handshake begins with 0x16; old tools that were given `http://` for a port that speaks TLS
begin with the name of an HTTP method, and would otherwise see nothing but a broken connection.
"""

from collections import Counter
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import structlog
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure

log = structlog.get_logger()

_TLS_HANDSHAKE = b"\x16"
_GOODBYE_SECONDS = 2.0
"""A client may be sending still when it has been answered. Closing at once would take the answer from it."""

_SECONDS_BETWEEN_LINES = 60.0

_SENTENCE = b"This port speaks HTTPS, not plain HTTP: write https:// in the address, and show a client certificate.\n"
_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=us-ascii\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SENTENCE), _SENTENCE)
)


class Arrivals(WrappingFactory):
    """A factory of connections in front of one that speaks TLS."""

    def __init__(self, over_tls: Any, clock: Any, *, hello_seconds: float, per_peer: int, most: int) -> None:
        """over_tls: the factory behind; clock: an IReactorTime

        hello_seconds: how long the first byte may take
        per_peer:      connections that one address may hold, or one /64 network of IPv6
        most:          connections of all together
        """
        super().__init__(over_tls)
        self.clock = clock
        self.hello_seconds = hello_seconds
        self._per_peer = per_peer
        self._most = most
        self._held: Counter[str] = Counter()
        self._turned_away = 0
        self._tell_from = 0.0

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - Twisted's name
        """A connection, or None: it is closed at once."""
        peer = _peer(addr)
        if self._held[peer] >= self._per_peer or self._held.total() >= self._most:
            self._refused(peer)
            return None
        self._held[peer] += 1
        return _Arrival(self, addr, peer)

    def behind(self, addr: IAddress) -> Any:
        """A connection of the factory that speaks TLS."""
        return self.wrappedFactory.buildProtocol(addr)

    def _refused(self, peer: str) -> None:
        """Log it, but not as often as somebody may wish who wants to fill the disk."""
        self._turned_away += 1
        now = self.clock.seconds()
        if now >= self._tell_from:
            log.warning("connections refused: too many are open", number=self._turned_away, latest_peer=peer)
            self._turned_away, self._tell_from = 0, now + _SECONDS_BETWEEN_LINES

    def gone(self, peer: str) -> None:
        """A connection has ended."""
        self._held[peer] -= 1
        if not self._held[peer]:
            del self._held[peer]


class _Arrival(Protocol):
    """Looks at the first byte, then is out of the way: what follows goes straight to the connection behind."""

    transport: Any

    def __init__(self, arrivals: Arrivals, addr: IAddress, peer: str) -> None:
        self._arrivals = arrivals
        self._addr = addr
        self._peer = peer
        self._behind: Any = None
        self._late: Any = None

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self._end_in(self._arrivals.hello_seconds)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        if data.startswith(_TLS_HANDSHAKE):
            self._in_time()
            self._behind = self._arrivals.behind(self._addr)
            # An attribute of its own, so that what follows costs no call more; mypy takes it for a method forever.
            self.dataReceived = self._behind.dataReceived  # type: ignore[method-assign]
            self._behind.makeConnection(self.transport)
            self._behind.dataReceived(data)
        elif data[:1].isalpha():
            self.dataReceived = _ignore  # type: ignore[method-assign,assignment]  # as above
            self._end_in(_GOODBYE_SECONDS)
            self.transport.write(_ANSWER)
            self.transport.loseWriteConnection()
        else:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802 - Twisted's name
        self._in_time()
        self._arrivals.gone(self._peer)
        if self._behind is not None:
            self._behind.connectionLost(reason)

    def _end_in(self, seconds: float) -> None:
        self._in_time()
        self._late = self._arrivals.clock.callLater(seconds, self.transport.abortConnection)

    def _in_time(self) -> None:
        if self._late is not None and self._late.active():
            self._late.cancel()


def _ignore(_: bytes) -> None:
    """What comes after the answer."""


def _peer(addr: Any) -> str:
    """Who is counted as one."""
    address = ip_address(addr.host.partition("%")[0])
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return str(address)
