"""What nobody honest sends: malformed calls, HTTP and TLS that are none, bodies that are bombs, and those who dawdle.

The same seed sends the same. Used by the tests, which look at what is answered and what is left of it, and by the
benchmark, which looks at what honest clients notice.
"""

import contextlib
import gzip
import random
import socket
import ssl
import struct
import time
import xmlrpc.client
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

AT_ONCE = 16
_PATIENCE = 30.0
_DEEP = 10_000
_MANY = 200_000

CALLS = ("Allocate", "Provision", "Renew", "Delete", "PerformOperationalAction", "Shutdown", "CreateSliver", "Status")


@dataclass(frozen=True)
class Sent:
    """One shot: what kind it was, and all that came back until the connection ended."""

    kind: str
    answer: bytes


class Barrage:
    """Fires at one port from one address of the loopback."""

    def __init__(
        self, port: int, tls: ssl.SSLContext, *, slice_urn: str, credentials: list[Any], limit: int, source: str
    ) -> None:
        """tls: with the certificate of somebody who may not do anything with `slice_urn`; credentials: for it,
        somebody else's; limit: of the server on bodies, in bytes."""
        self._port = port
        self._tls = tls
        self._slice = slice_urn
        self._credentials = credentials
        self._limit = limit
        self._source = source
        self._kinds: Sequence[tuple[int, Callable[[random.Random], bytes]]] = (
            (40, self.damaged_call),
            (25, self.wrong_shapes),
            (15, self.http_garbage),
            (10, self.tls_garbage),
            (3, self.no_certificate),
            (3, self.hung_up),
            (1, self.oversize),
            (1, self.compressed_bomb),
            (1, self.nested),
            (1, self.crowded),
        )

    def fire(self, count: int, *, seed: int) -> list[Sent]:
        """So many shots, some at once."""
        rng = random.Random(seed)  # noqa: S311 - repeatable is what matters
        weights, kinds = zip(*self._kinds, strict=True)
        shots = [(kind, rng.getrandbits(64)) for kind in rng.choices(kinds, weights, k=count)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda shot: self._shoot(*shot), shots))

    def _shoot(self, kind: Callable[[random.Random], bytes], seed: int) -> Sent:
        return Sent(kind.__name__, kind(random.Random(seed)))  # noqa: S311 - as above

    # Calls

    def damaged_call(self, rng: random.Random) -> bytes:
        """A call with bytes flipped, cut out, doubled or swapped for markup."""
        octets = bytearray(self._call(rng.choice(CALLS)))
        for _ in range(rng.randint(1, 8)):
            place = rng.randrange(len(octets))
            match rng.randrange(4):
                case 0:
                    octets[place] ^= 1 << rng.randrange(8)
                case 1:
                    del octets[place : place + rng.randint(1, 200)]
                case 2:
                    octets[place:place] = octets[place : place + rng.randint(1, 200)]
                case _:
                    octets[place:place] = rng.choice(_MARKUP)
            octets = octets or bytearray(b" ")
        return self.post(bytes(octets))

    def wrong_shapes(self, rng: random.Random) -> bytes:
        """A call whose arguments are of any type, in any number."""
        sent = tuple(_anything(rng, 4) for _ in range(rng.randrange(7)))
        name = rng.choice([*CALLS, "Nothing", "", "system.listMethods", "xmlrpc_Status", "__init__", "render.POST"])
        return self.post(xmlrpc.client.dumps(sent, name, allow_none=True).encode("utf-8", "surrogatepass"))

    def nested(self, rng: random.Random) -> bytes:
        """Arrays in arrays."""
        inside = b"<value><array><data>" * _DEEP + b"</data></array></value>" * _DEEP
        return self.post(_METHOD % (b"Status", inside))

    def crowded(self, rng: random.Random) -> bytes:
        """More values than any call has."""
        return self.post(
            _METHOD % (b"Status", b"<value><array><data>" + b"<value/>" * _MANY + b"</data></array></value>")
        )

    def compressed_bomb(self, rng: random.Random) -> bytes:
        """Small on the wire, large if somebody were to unpack it; or an entity that would grow."""
        if rng.random() < 0.5:
            packed = gzip.compress(b"<methodCall>" + b" " * 50_000_000, 9)
            return self.post(packed, headers="Content-Encoding: gzip\r\n")
        entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "lol"}">' for n in range(10))
        document = (
            f"<?xml version='1.0'?><!DOCTYPE m [{entities}]>{_METHOD.decode() % ('Status', '<value>&e9;</value>')}"
        )
        return self.post(document.encode())

    def oversize(self, rng: random.Random) -> bytes:
        """A body beyond the limit, its length said or not."""
        body = b"x" * (self._limit + 100_000)
        if rng.random() < 0.5:
            return self.post(body)
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:50_000], body[50_000:]))
        return self.over_tls(b"POST /am/3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")

    # HTTP

    def http_garbage(self, rng: random.Random) -> bytes:
        """What is no HTTP, or no HTTP that anybody here speaks."""
        return self.over_tls(rng.choice(_HTTP) + rng.randbytes(rng.randrange(64)) + b"\r\n\r\n\r\n")

    # TLS and below

    def tls_garbage(self, rng: random.Random) -> bytes:
        """What begins as a handshake, or not even that."""
        record = b"\x16\x03\x01" + struct.pack("!H", rng.randrange(1, 600))
        first = rng.choice([record, b"\x80\x2e\x01\x00\x02", b"\x15\x03\x03\x00\x02", b"\x00", b"\xff" * 5, b"GET "])
        return self.plain(first + rng.randbytes(rng.randrange(1, 2000)))

    def no_certificate(self, rng: random.Random) -> bytes:
        """A client that shows nothing."""
        bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
        return self.over_tls(b"GET / HTTP/1.0\r\n\r\n", tls=bare)

    def hung_up(self, rng: random.Random) -> bytes:
        """A client that is gone in the middle, without goodbye."""
        with contextlib.suppress(OSError), self.connect() as bare:
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if rng.random() < 0.5:
                with self._tls.wrap_socket(bare, server_hostname="localhost") as secured:
                    body = self._call(rng.choice(CALLS))
                    secured.sendall(_request(body)[: rng.randrange(1, len(body))])
                    secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return b""

    # How

    def connect(self) -> socket.socket:
        """A TCP connection."""
        return socket.create_connection(("127.0.0.1", self._port), timeout=_PATIENCE, source_address=(self._source, 0))

    def post(self, body: bytes, *, headers: str = "") -> bytes:
        """The answer to a body."""
        return self.over_tls(_request(body, headers))

    def over_tls(self, octets: bytes, *, tls: ssl.SSLContext | None = None) -> bytes:
        """The answer to octets after a handshake; empty if the other side has had enough before."""
        answer = b""
        with (
            contextlib.suppress(OSError),
            self.connect() as bare,
            (tls or self._tls).wrap_socket(bare, server_hostname="localhost") as secured,
        ):
            with contextlib.suppress(OSError):
                secured.sendall(octets)
            while piece := secured.recv(65536):
                answer += piece
        return answer

    def plain(self, octets: bytes) -> bytes:
        """The answer to octets without one."""
        answer = b""
        with contextlib.suppress(OSError), self.connect() as bare:
            bare.sendall(octets)
            bare.shutdown(socket.SHUT_WR)
            while piece := bare.recv(65536):
                answer += piece
        return answer

    def _call(self, name: str) -> bytes:
        target: Any = self._slice if name in ("Allocate", "Shutdown", "CreateSliver") else [self._slice]
        request = '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="x"/></rspec>'
        more: dict[str, tuple[Any, ...]] = {
            "Allocate": (request,),
            "CreateSliver": (request, []),
            "Renew": ("2036-01-01T00:00:00Z",),
            "PerformOperationalAction": ("geni_stop",),
        }
        options = {"geni_rspec_version": {"type": "GENI", "version": "3"}}
        sent = (target, self._credentials, *more.get(name, ()), options)
        return xmlrpc.client.dumps(sent, name).encode()


def dawdle(barrage: Barrage, tls: ssl.SSLContext, beginning: bytes, count: int, *, longest: float) -> list[float]:
    """Connections that send `beginning` and then a byte now and then; b"" stops before the handshake.

    Returns for how many seconds each was borne, at most `longest`.
    """
    began, borne, open_ = time.monotonic(), [], []
    for _ in range(count):
        with contextlib.suppress(OSError):
            bare = barrage.connect()
            if beginning:
                bare = tls.wrap_socket(bare, server_hostname="localhost")
                bare.sendall(beginning)
            bare.settimeout(0.001)
            open_.append((bare, time.monotonic()))
    while open_ and time.monotonic() - began < longest:
        for one in list(open_):
            if not (_dribble(one[0]) if beginning else not _is_closed(one[0])):
                borne.append(time.monotonic() - one[1])
                one[0].close()
                open_.remove(one)
        time.sleep(0.05)
    for bare, since in open_:
        borne.append(time.monotonic() - since)
        bare.close()
    return borne


def _dribble(connection: socket.socket) -> bool:
    """Send one byte more; False when nobody is there any more."""
    try:
        connection.sendall(b"a")
    except OSError:
        return False
    return not _is_closed(connection)


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(65536) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def _request(body: bytes, headers: str = "") -> bytes:
    return (
        f"POST /am/3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


def _anything(rng: random.Random, depth: int) -> Any:
    """A value of any type."""
    simple: list[Any] = [
        0,
        1,
        -1,
        2**31 - 1,
        0.5,
        True,
        None,
        "",
        "geni_sfa",
        "urn:publicid:IDN+plc+slice+x",
        "\u2028é",
    ]
    simple += ["<rspec/>", "x" * rng.randrange(20_000), xmlrpc.client.Binary(rng.randbytes(50))]
    simple += [xmlrpc.client.DateTime("20260101T00:00:00"), "urn:publicid:IDN+" + "a" * 5000]
    if depth == 0 or rng.random() < 0.4:
        return rng.choice(simple)
    if rng.random() < 0.5:
        return [_anything(rng, depth - 1) for _ in range(rng.randrange(6))]
    names = ["geni_type", "geni_version", "geni_value", "geni_users", "geni_speaking_for", "geni_end_time", "x", ""]
    names += ["geni_rspec_version", "geni_compressed", "geni_best_effort", "type", "version", "urn", "keys"]
    return {rng.choice(names): _anything(rng, depth - 1) for _ in range(rng.randrange(6))}


_METHOD = b"<methodCall><methodName>%s</methodName><params><param>%s</param></params></methodCall>"

_MARKUP = (
    b"<",
    b">",
    b"&",
    b"&#0;",
    b"&#xffff;",
    b"<!--",
    b"]]>",
    b"\xff\xfe",
    b"\x00",
    b"<?x ?>",
    b"<i4>9e9</i4>",
    b"<int>" + b"9" * 5000 + b"</int>",
    b"<base64>!</base64>",
    b"<dateTime.iso8601>x</dateTime.iso8601>",
    b"<double>nan</double>",
    b"<nil/>",
    b"<value><struct><member/></struct></value>",
    b"</params>",
    b"<boolean>7</boolean>",
)

_HTTP = (
    b"",
    b"\x00" * 40,
    b"POST",
    b"POST /am/3\r\n",
    b"POST /am/3 HTTP/9.9\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /am/3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 5000,
    b"POST /am/3 HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
    b"POST /am/3 HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n",
    b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\n\r\n",
    b"TRACE / HTTP/1.1\r\n\r\n",
    b"POST /%00%ff%zz?a=%zz;b HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    b"POST /nowhere HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\nNo colon here\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\n: no name\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\nA\x00b: c\r\nCookie: \xff=;=;;\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\n folded\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 20\r\n\r\n--x\r\n\r\n",
    b"POST /am/3 HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=%zz&b&c",
    b"POST /am/3 HTTP/1.1\r\nContent-Type: \xff;;=;\r\nContent-Length: 2\r\n\r\nxx",
)
