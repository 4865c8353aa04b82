"""The list of what our authority has revoked, for whoever asks by plain GET: it is signed, so anybody may carry it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from twisted.web import server
from twisted.web.resource import Resource

log = structlog.get_logger()

PATH = "crl.pem"
"""Where the list is, at the registry's address."""


class RevocationPage(Resource):
    """The newest list, PEM."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self,
        reactor: IReactorFromThreads,
        pool: ThreadPool,
        current: Callable[[datetime], str],
        *,
        now: Callable[[], datetime],
    ) -> None:
        """current: the list of a moment; called in a thread."""
        super().__init__()
        self._reactor = reactor
        self._pool = pool
        self._current = current
        self._now = now

    def render_GET(self, request: Any) -> int:  # noqa: N802 - Twisted's name
        """Answer GET, and HEAD, which Twisted derives from it."""
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        answer = Deferred.fromCoroutine(self._answer(request))
        answer.addCallback(lambda content: None if gone else _send(request, content))
        answer.addErrback(lambda failure: log.error("could not answer", failure=failure.getTraceback()))
        return server.NOT_DONE_YET

    async def _answer(self, request: Any) -> bytes:
        """The body. Never raises."""
        try:
            pem = await deferToThreadPool(self._reactor, self._pool, self._current, self._now())
        except Exception:
            log.exception("the revocation list could not be made")
            request.setResponseCode(500)
            request.setHeader(b"content-type", b"text/plain")
            return b"the revocation list can't be made now\n"
        request.setHeader(b"content-type", b"application/x-pem-file")
        return pem.encode()


def _send(request: Any, content: bytes) -> None:
    request.setHeader(b"content-length", b"%d" % len(content))
    request.write(content)
    request.finish()
