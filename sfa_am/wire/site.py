"""HTTP within bounds: how large a request may be, and how long it may take to arrive. Knows nothing of what serves it.

A client that sends a byte now and then must not gain time by that: a request has so long for its headers, the TLS
handshake included for the first one, and so long for its body, and between requests a connection may idle for a while.
"""

from typing import Any

from twisted.web import server
from twisted.web.http import HTTPChannel


class BoundedChannel(HTTPChannel):
    """A connection on which a request must arrive in time."""

    site: Any
    transport: Any
    _is_between_requests = False

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        """Called before the handshake."""
        super().connectionMade()
        self.setTimeout(self.site.headers_seconds)

    def resetTimeout(self) -> None:  # noqa: N802 - Twisted's name
        """Called when bytes arrive, which gain time only when a request begins with them."""
        if self._is_between_requests:
            self._is_between_requests = False
            self.setTimeout(self.site.headers_seconds)

    def headerReceived(self, line: bytes) -> bool:  # noqa: N802 - Twisted's name
        """Called for each header. Twisted lets out what Python says to a length of five thousand digits."""
        try:
            return bool(super().headerReceived(line))
        except ValueError:
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.loseConnection()
            return False

    def allHeadersReceived(self) -> None:  # noqa: N802 - Twisted's name
        """Called when the body is about to come."""
        super().allHeadersReceived()
        if self.length != 0:
            self.setTimeout(self.site.body_seconds)

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:  # noqa: N802 - Twisted's name
        """Called before an answer. What program answers, and of which version, is nobody's business."""
        headers.removeHeader(b"server")
        super().writeHeaders(version, code, reason, headers)

    def requestDone(self, request: Any) -> None:  # noqa: N802 - Twisted's name
        """Called when an answer is written; what the client sent meanwhile is read next."""
        self._is_between_requests = True
        self._savedTimeOut = self.site.idle_seconds
        super().requestDone(request)


class BoundedRequest(server.Request):
    """A request whose body may not pass the site's limit, whether it says its length or comes in chunks."""

    channel: Any
    _received = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Called when the headers are read."""
        super().gotLength(length)
        if length is not None and length > self.channel.site.body_limit:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Called for each part of the body."""
        self._received += len(data)
        if self._received > self.channel.site.body_limit:
            self._refuse()
        if not self._refused:  # what still arrives of a refused body is dropped
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802 - Twisted's name
        """Called when all is there."""
        # Twisted would read the body as a form where the client says it is one, here and now, however large.
        self.requestHeaders.removeHeader(b"content-type")
        super().requestReceived(command, path, version)

    def _refuse(self) -> None:
        if self._refused:
            return
        self._refused = True
        channel = self.channel
        text = b"the request is larger than this server takes (%d bytes)\n" % channel.site.body_limit
        channel.transport.write(
            b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Type: text/plain\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(text), text)
        )
        channel.loseConnection()


class BoundedSite(server.Site):
    """A site on such connections."""

    protocol: Any = BoundedChannel  # as it is, not behind Twisted's switch to HTTP/2

    def __init__(
        self, root: Any, *, body_limit: int, headers_seconds: float, body_seconds: float, idle_seconds: float
    ) -> None:
        """body_limit: bytes. The rest: see `BoundedChannel`."""
        super().__init__(root, requestFactory=BoundedRequest, timeout=idle_seconds)
        self.body_limit = body_limit
        self.headers_seconds = headers_seconds
        self.body_seconds = body_seconds
        self.idle_seconds = idle_seconds
        self.displayTracebacks = False

    def log(self, request: object) -> None:
        """No access log: doors log calls, with names."""
