"""Calls to servers of other installations: XML-RPC and plain GET, within a limit of time and size.

What a peer sends is somebody's word. Whether to believe its certificate is said by who calls: roots are given, or
nothing is believed and what comes back is shown to a person first.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xmlrpc.client import Fault, dumps

from cryptography import x509
from OpenSSL import SSL, crypto

from credentials import GID, CredentialError
from sfa_am.errors import BadArgs, Unavailable
from sfa_am.wire.xmlrpc import Malformed, unmarshal_answer

SECONDS = 10.0
"""For one call from its beginning to its end; a peer that sends a byte a second must not hold us."""

LARGEST = 4 * 1024 * 1024
"""Bytes of an answer: a revocation list of 100,000 certificates, or some hundred roots."""

_OTHER_NAME = (62, 64)
"""OpenSSL's numbers for a certificate that is good, and for another host name or address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What we show of ourselves, PEM files: servers of this field want a certificate from everybody."""

    key: Path
    chain: Path

    @classmethod
    def of(cls, state: Path) -> "Own":
        """The server's own."""
        return cls(key=state / "authority" / "am.key", chain=state / "authority" / "am.gid")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is. Made by `address_of`."""

    is_tls: bool
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """As it is written."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}{self.path}"


def address_of(url: str) -> Address:
    """Read a URL. Raises BadArgs: it is not one of http or https, or has no host."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError as e:
        raise BadArgs(f"{url!a:.200} is not a URL: {e}") from e
    is_plain = url.isascii() and url.isprintable() and " " not in url.strip()
    if parts.scheme not in ("https", "http") or not host or not is_plain:
        raise BadArgs(f"{url!a:.200} is not a URL that can be called; https://am.example.org:12345/ is one")
    is_tls = parts.scheme == "https"
    query = f"?{parts.query}" if parts.query else ""
    return Address(is_tls, host, port or (443 if is_tls else 80), (parts.path or "/") + query)


def get(url: str, *, own: Own, roots: Sequence[GID], seconds: float = SECONDS) -> bytes:
    """What is at a URL. Its server may be certified by one of `roots` or by an authority that this host trusts.

    Raises Unavailable, BadArgs.
    """
    address = address_of(url)
    context = _context(own, roots, and_those_of_this_host=True) if address.is_tls else None
    return _exchange(address, context, seconds)


def call(url: str, method: str, *arguments: str, own: Own, roots: Sequence[GID], seconds: float = SECONDS) -> object:
    """What an XML-RPC method returned, by a server that one of `roots` certified. Raises Unavailable, BadArgs."""
    address = _over_tls(url)
    return _call(address, method, arguments, _context(own, roots), seconds)


def call_anybody(url: str, method: str, *arguments: str, own: Own, seconds: float = SECONDS) -> object:
    """As `call`, and whoever answers is taken for the server: nothing that comes back may be relied on."""
    address = _over_tls(url)
    context = _context(own, ())
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _call(address, method, arguments, context, seconds)


def shown_chain(url: str, *, own: Own, seconds: float = SECONDS) -> GID:
    """The certificates that a server shows, leaf first, none of them believed. Raises Unavailable, BadArgs."""
    address = _over_tls(url)
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.use_certificate_chain_file(str(own.chain))
    context.use_privatekey_file(str(own.key))
    with _connected(address, seconds) as raw:
        raw.settimeout(None)  # pyOpenSSL wants it so; the limit of time holds all the same
        connection = SSL.Connection(context, raw)
        connection.set_connect_state()
        connection.set_tlsext_host_name(address.host.encode())
        try:
            connection.do_handshake()
        except (SSL.Error, OSError) as e:
            raise Unavailable(f"{address.url} does not speak TLS with us: {_words(e)}") from e
        chain = connection.get_peer_cert_chain() or []
    try:
        return GID([GID.parse(crypto.dump_certificate(crypto.FILETYPE_ASN1, one)).leaf for one in chain])
    except (CredentialError, IndexError) as e:
        raise Unavailable(f"{address.url} shows a certificate that can't be read: {_words(e)}") from e


def _over_tls(url: str) -> Address:
    address = address_of(url)
    if not address.is_tls:
        raise BadArgs(f"{address.url}: servers of the federation are called over TLS, so the URL begins with https://")
    return address


def _context(own: Own, roots: Sequence[GID], *, and_those_of_this_host: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if and_those_of_this_host:
        context.load_default_certs()
    if roots:
        context.load_verify_locations(cadata="".join(root.leaf_pem for root in roots))
    # Certificates of the SFA lack extensions that the strict reading wants, and the one that is trusted may be that of
    # an authority below another.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_cert_chain(str(own.chain), str(own.key))
    return context


def _call(address: Address, method: str, arguments: tuple[str, ...], context: ssl.SSLContext, seconds: float) -> object:
    answer = _exchange(address, context, seconds, body=dumps(arguments, method, allow_none=True).encode())
    try:
        return unmarshal_answer(answer)
    except Malformed as e:
        raise Unavailable(f"{address.url} answered {method} with what is not XML-RPC: {_words(e)}") from e
    except Fault as e:
        raise Unavailable(f"{address.url} refused {method}: {_words(e.faultString)} (fault {e.faultCode})") from e


def _exchange(address: Address, context: ssl.SSLContext | None, seconds: float, *, body: bytes | None = None) -> bytes:
    begin = time.monotonic()
    try:
        try:
            content = _once(address, context, seconds, body)
        except ssl.SSLCertVerificationError as e:
            if e.verify_code not in _OTHER_NAME or context is None:
                raise
            # Servers of SFAWrap show the certificate of their authority, which was made for no host.
            context.check_hostname = False
            content = _once(address, context, seconds, body, by_an_authority=True)
        if time.monotonic() - begin >= seconds:  # headers that were cut off look like whole ones to the library
            raise TimeoutError
        return content
    except ssl.SSLCertVerificationError as e:
        raise Unavailable(f"{address.url} is not who it should be: {_words(e.verify_message)}") from e
    except (OSError, ValueError, http.client.HTTPException) as e:
        if time.monotonic() - begin >= seconds:
            raise Unavailable(f"{address.url} gave no whole answer within {seconds:g} seconds") from e
        raise Unavailable(f"{address.url} can't be talked to: {_words(e) or type(e).__name__}") from e


def _once(
    address: Address,
    context: ssl.SSLContext | None,
    seconds: float,
    body: bytes | None,
    *,
    by_an_authority: bool = False,
) -> bytes:
    with ExitStack() as open_things:
        stream = open_things.enter_context(_connected(address, seconds))
        if context is not None:
            over_tls = context.wrap_socket(stream, server_hostname=address.host)
            stream = open_things.enter_context(over_tls)
            if by_an_authority and not _is_authority(over_tls.getpeercert(binary_form=True) or b""):
                raise Unavailable(f"{address.url} has a certificate for another host")
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.sock = stream
        headers = {"Connection": "close", "User-Agent": "sfa-am", **({"Content-Type": "text/xml"} if body else {})}
        connection.request("POST" if body else "GET", address.path, body, headers)
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            elsewhere = _words(response.getheader("location", ""))
            hint = f"; it leads to {elsewhere}" if elsewhere else ""
            raise Unavailable(f"{address.url} answered {response.status}{hint}")
        content = response.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise Unavailable(f"{address.url} sends more than {LARGEST} bytes, which are not read")
        if response.length:
            raise http.client.IncompleteRead(content, response.length)
        return content


@contextmanager
def _connected(address: Address, seconds: float) -> Iterator[socket.socket]:
    """A connection that ends after so many seconds, whatever is under way then. Raises Unavailable."""
    try:
        stream = socket.create_connection((address.host, address.port), timeout=seconds)
    except (OSError, UnicodeError) as e:
        raise Unavailable(f"{address.url} can't be reached: {_words(e)}") from e
    # A second handle of the same connection: TLS takes the first one over.
    handle = stream.dup()
    end = threading.Timer(seconds, _hang_up, [handle])
    end.daemon = True
    end.start()
    try:
        yield stream
    finally:
        end.cancel()
        handle.close()
        stream.close()


def _hang_up(handle: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        handle.shutdown(socket.SHUT_RDWR)


def _is_authority(certificate: bytes) -> bool:
    """Whether a certificate that leads to a root is an authority's own, and was made for no host in particular.

    A user's must not do for a server: all of them are signed by the root.
    """
    try:
        gid = GID.parse(certificate)
        names = gid.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (CredentialError, x509.ExtensionNotFound, ValueError):
        return False
    hosts = [*names.get_values_for_type(x509.DNSName), *names.get_values_for_type(x509.IPAddress)]
    return gid.urn is not None and gid.urn.type == "authority" and gid.is_authority and not hosts


def _words(said: object) -> str:
    """What a library or a peer said, fit for a terminal."""
    return ascii(str(said))[1:-1][:300]
