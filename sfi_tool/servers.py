"""Talking to servers: XML-RPC over TLS with a client certificate, the connection kept open between calls."""

import errno
import http.client
import re
import ssl
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sfi_tool.errors import Refusal, Unreachable, Unreadable

TIMEOUT = 60.0
"""Seconds for one answer."""

_OTHER_NAME = (62, 64)
"""OpenSSL's numbers for a certificate that is good, and for another host name or address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One call and what came back. `took`: seconds."""

    url: str
    method: str
    arguments: tuple[object, ...]
    answer: object
    took: float


Watcher = Callable[[Exchange], None]


class Server:
    """One server. Raises Refusal for what it refuses, Unreachable when it can't be talked to."""

    def __init__(
        self,
        url: str,
        *,
        key: Path,
        gid: Path,
        roots: Path | None,
        timeout: float = TIMEOUT,
        watcher: Watcher | None = None,
    ) -> None:
        """key, gid: the caller's, PEM. roots: whom to believe; None believes anybody, to ask for what is public."""
        self.url = over_tls(url)
        self._watcher = watcher
        try:
            transport = _Transport(_context(key, gid, roots), timeout)
            self._proxy = xmlrpc.client.ServerProxy(self.url, transport=transport, allow_none=True)
        except (OSError, ssl.SSLError) as e:
            raise Unreadable(
                f"the key or certificate can't be used ({gid}, {key}, {roots}): {e}. A certificate that was made for "
                f"another key is fetched anew when {gid.name} is removed"
            ) from e

    def call(self, method: str, *arguments: object) -> Any:
        """The plain result of a method; a fault is a Refusal."""
        begin = time.monotonic()
        answer: object = None
        try:
            answer = getattr(self._proxy, method)(*arguments)
        except xmlrpc.client.Fault as e:
            answer = {"faultCode": e.faultCode, "faultString": e.faultString}
            raise Refusal(e.faultCode, e.faultString) from e
        except xmlrpc.client.ProtocolError as e:
            raise Unreachable(f"{self.url} answered {e.errcode} {e.errmsg}") from e
        except ssl.SSLCertVerificationError as e:
            raise Unreachable(f"{self.url} is not who it should be: {e.verify_message or e}") from e
        except TimeoutError as e:
            raise Unreachable(f"{self._host} gave no answer in time; a longer one is given with -t SECONDS") from e
        except (OSError, http.client.HTTPException) as e:
            raise Unreachable(f"{self._host} can't be reached ({e}); is the server running?") from e
        except (ValueError, xmlrpc.client.Error, ArithmeticError, LookupError, TypeError) as e:
            raise Unreachable(f"{self.url} answered {method} with what is not XML-RPC: {str(e)!a:.200}") from e
        finally:
            if self._watcher is not None:
                took = time.monotonic() - begin
                self._watcher(Exchange(url=self.url, method=method, arguments=arguments, answer=answer, took=took))
        return answer

    def call_am(self, method: str, *arguments: object) -> Any:
        """The value of an aggregate's triple; a code other than 0 is a Refusal."""
        return self.value_of(self.call(method, *arguments))

    def value_of(self, answer: Any) -> Any:
        """The value of an aggregate's triple. Raises Refusal for a code other than 0."""
        try:
            code = int(answer["code"]["geni_code"])
        except (TypeError, KeyError, ValueError):
            raise Unreachable(f"{self.url} doesn't answer as an aggregate does; is it a registry?") from None
        if code != 0:
            raise Refusal(code, str(answer.get("output") or ""), answer.get("value"))
        return answer.get("value")

    @property
    def _host(self) -> str:
        return urlsplit(self.url).netloc


def over_tls(url: str) -> str:
    """A server's address as it is called: TLS is spoken whatever the address says, as SFA tools have always done."""
    return "https://" + re.sub(r"^(https?://)+", "", url.strip(), flags=re.IGNORECASE)


def _context(key: Path, gid: Path, roots: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(roots) if roots is not None else None)
    # Certificates of the SFA lack extensions that the strict reading wants, and an authority in the middle may be the
    # one that is trusted.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if roots is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(str(gid), str(key))
    return context


class _Connection(http.client.HTTPSConnection):
    """Checks who the server is: a certificate for its host, or that of an SFA authority, which names no host."""

    def __init__(self, host: str, *, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(host, context=context, timeout=timeout)
        self._checks = context

    def connect(self) -> None:
        """As the standard library does, with a second look where a good certificate has no host names."""
        try:
            super().connect()
        except ssl.SSLCertVerificationError as e:
            if e.verify_code not in _OTHER_NAME:
                raise
            self._hang_up()
            self._connect_to_authority(e)

    def send(self, data: Any) -> None:
        """As the standard library does; a connection that ended while it was kept open is told as one without TLS is.

        `xmlrpc.client` then makes a new one, once.
        """
        try:
            super().send(data)
        except ssl.SSLEOFError as e:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the connection has ended") from e

    def _connect_to_authority(self, refused: ssl.SSLCertVerificationError) -> None:
        checks, self._checks.check_hostname = self._checks.check_hostname, False
        try:
            http.client.HTTPConnection.connect(self)
            self.sock = self._checks.wrap_socket(self.sock)
        finally:
            self._checks.check_hostname = checks
        if not _is_authority(self.sock.getpeercert(binary_form=True) or b""):
            self._hang_up()
            raise refused

    def _hang_up(self) -> None:
        """Close the socket alone: `close` would also forget that a request is being made."""
        self.sock.close()
        self.sock = None


def _is_authority(certificate: bytes) -> bool:
    """Whether a certificate whose signatures are good is an authority's own, made for no host in particular.

    Servers of SFAWrap show the certificate of their authority. A user's must not do: all of them are signed by it.
    """
    from cryptography import x509

    from credentials import GID, CredentialError

    try:
        gid = GID.parse(certificate)
        names = gid.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (CredentialError, x509.ExtensionNotFound, ValueError):
        return False
    hosts = names.get_values_for_type(x509.DNSName) or names.get_values_for_type(x509.IPAddress)
    return gid.urn is not None and gid.urn.type == "authority" and gid.is_authority and not hosts


class _Transport(xmlrpc.client.SafeTransport):
    def __init__(self, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(context=context)
        self._checks = context
        self._timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPSConnection:
        if self._connection and host == self._connection[0]:
            kept: http.client.HTTPSConnection = self._connection[1]  # type: ignore[assignment]  # we made it
            return kept
        name, self._extra_headers, _ = self.get_host_info(host)
        made = _Connection(name, context=self._checks, timeout=self._timeout)
        self._connection = host, made
        return made
