"""Where an invited host asks to join: one POST, JSON both ways.

The connection proves the key that its certificate is to be made for, so nothing is signed beside it. Strangers reach
this: what they send is small, read strictly, and of no use without a secret that they can't guess.
"""

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

from backends import enrolment
from backends.enrolment import Admission, Application, Refusal
from credentials import GID, CredentialError
from sfa_am.bus import Enrolment
from sfa_am.errors import AMError, Unavailable
from sfa_am.wire.peer import gid_of

log = structlog.get_logger()

PATH = enrolment.PATH


class NodesDoor(Resource):
    """Admits hosts."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self, reactor: IReactorFromThreads, pool: ThreadPool, enrolment: Enrolment, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._pool = pool
        self._enrolment = enrolment
        self._now = now

    def render_POST(self, request: Any) -> int:  # noqa: N802 - Twisted's name
        """Answer one host."""
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        answer = Deferred.fromCoroutine(self._answer(request))
        answer.addCallback(lambda reply: None if gone else _send(request, *reply))
        answer.addErrback(lambda failure: log.error("could not answer", failure=failure.getTraceback()))
        return server.NOT_DONE_YET

    async def _answer(self, request: Any) -> tuple[int, Admission | Refusal]:
        """HTTP status and body. Never raises."""
        try:
            shown = gid_of(request.channel.transport.getHandle())
            body = request.content.read(enrolment.LARGEST + 1)
            if len(body) > enrolment.LARGEST:
                return 413, Refusal(refusal=f"more than {enrolment.LARGEST} bytes are not read here")
            application = enrolment.read(Application, body)
            return 200, await deferToThreadPool(self._reactor, self._pool, self._admit, application, shown)
        except CredentialError as e:
            return 400, Refusal(refusal=f"the certificate that was shown can't be read: {e}")
        except enrolment.Unreadable as e:
            return 400, Refusal(refusal=f"what was sent is not what a host asks with: {e}")
        except Unavailable as e:
            return 503, Refusal(refusal=str(e))
        except AMError as e:
            return 403, Refusal(refusal=str(e))
        except Exception:
            log.exception("a host could not be admitted")
            return 500, Refusal(refusal="internal error: see the server's log")

    def _admit(self, application: Application, shown: GID) -> Admission:
        admission = self._enrolment.admit(application, shown, now=self._now())
        log.info("a host joined", node=admission.name)
        return admission


def _send(request: Any, status: int, reply: Admission | Refusal) -> None:
    content = enrolment.write(reply)
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"content-length", b"%d" % len(content))
    request.write(content)
    request.finish()
