"""XML-RPC over HTTP: what all doors share. Bytes to arguments, outcomes to bytes, nothing about any API.

A door is a Twisted `XMLRPC` resource whose methods are coroutines taking a `Caller` and what was sent:

    async def xmlrpc_GetVersion(self, caller: Caller, *sent: object) -> object

and returning what XML-RPC can marshal, or bytes that `marshal` made before.

Malformed XML-RPC and unknown methods are answered with a Fault, as the XML-RPC specification asks; everything that an
API has a code for is the door's own business.
"""

import contextvars
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from xml.parsers import expat
from xmlrpc.client import Fault, Unmarshaller, dumps

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from twisted.web import server
from twisted.web.xmlrpc import XMLRPC, NoSuchFunction

from credentials import GID, CredentialError
from sfa_am.wire.peer import gid_of

log = structlog.get_logger()

T = TypeVar("T")

MALFORMED = -32700
UNKNOWN_METHOD = -32601
"""Fault numbers of the "Specification for Fault Code Interoperability" that XML-RPC servers agree on."""

MOST_ELEMENTS = 100_000
"""Of one call. A name in an array takes two: the largest calls of the field name some thousand slivers."""

DEEPEST = 64
"""Elements inside each other. An array in a struct in an array takes eight."""

_READ_AT_ONCE = 64 * 1024
"""Bytes of a body that is read in the reactor's thread, some 0.2 ms: handing it over would cost as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is calling: the certificate whose key the handshake proved. Not yet believed."""

    gid: GID
    request_id: str


class Malformed(Exception):
    """The body is not an XML-RPC call."""


class Door(XMLRPC):
    """One API at one path."""

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool) -> None:
        super().__init__(allowNone=True)
        self._reactor = reactor
        self._pool = pool

    async def off_reactor(self, work: Callable[[], T]) -> T:
        """Run blocking work in a thread, with the log context of this call."""
        context = contextvars.copy_context()
        return await deferToThreadPool(self._reactor, self._pool, context.run, work)

    def render_POST(self, request: Any) -> int:  # noqa: N802 - Twisted's name
        """Answer one call. In place of Twisted's own, which would read a document type declaration."""
        request.setHeader(b"content-type", b"text/xml; charset=utf-8")
        finished = request.notifyFinish()
        answer = Deferred.fromCoroutine(self._answer(request))
        # A client that hangs up while we read is dropped; once work has begun it is finished, answered or not.
        gone: list[object] = []
        finished.addErrback(gone.append)
        answer.addCallback(lambda content: None if gone else _send(request, content))
        answer.addErrback(lambda failure: log.error("could not answer", failure=failure.getTraceback()))
        return server.NOT_DONE_YET

    async def _answer(self, request: Any) -> bytes:
        """The response body. Never raises."""
        request_id = uuid.uuid4().hex[:12]
        structlog.contextvars.bind_contextvars(request=request_id)
        try:
            # First, while the connection is there for certain.
            caller = Caller(gid=_peer_of(request.channel), request_id=request_id)
            body = request.content.read()
            name, sent = (
                unmarshal(body) if len(body) <= _READ_AT_ONCE else await self.off_reactor(lambda: unmarshal(body))
            )
            method: Callable[..., Coroutine[Any, Any, object]] = self.lookupProcedure(name)
            result = await method(caller, *sent)
            return result if isinstance(result, bytes) else marshal((result,))
        except Malformed as e:
            return marshal(Fault(MALFORMED, f"not an XML-RPC call: {e}"))
        except NoSuchFunction:
            known = ", ".join(sorted(self.listProcedures()))
            return marshal(Fault(UNKNOWN_METHOD, f"no method of this name here; known are {known}"))
        except CredentialError as e:
            return marshal(Fault(3, f"your certificate can't be read: {e}"))
        except Fault as fault:
            return marshal(fault)
        except Exception:
            log.exception("a call failed")
            return marshal(Fault(5, f"internal error, logged as {request_id}: please report it"))


def _peer_of(channel: Any) -> GID:
    """Who is at the other end of a connection: looked at once, since it stays the same. Raises CredentialError."""
    known: GID | None = getattr(channel, "proved_peer", None)
    if known is None:
        known = channel.proved_peer = gid_of(channel.transport.getHandle())
    return known


def unmarshal(body: bytes) -> tuple[str, tuple[object, ...]]:
    """Method name and arguments of an XML-RPC call. Raises Malformed.

    Document type declarations are refused: XML-RPC has no use for them, and they are how small documents grow large.
    So are elements without end, and deep ones: each costs a hundred times the bytes it was sent in.
    """
    try:
        reader, sent = _read(body)
    except Fault as e:
        raise Malformed("a fault") from e
    name = reader.getmethodname()
    if name is None:
        raise Malformed("no methodName")
    return name, sent


def unmarshal_answer(body: bytes) -> object:
    """What an XML-RPC call returned. Raises Malformed, and Fault where the answer is one."""
    reader, values = _read(body)
    if reader.getmethodname() is not None or len(values) != 1:
        raise Malformed("not an answer with one value")
    return values[0]


def _read(body: bytes) -> tuple[Any, tuple[object, ...]]:
    reader: Any = Unmarshaller()
    reader.xml(None, None)  # expat hands over text that is decoded already
    left, depth = MOST_ELEMENTS, 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal left, depth
        left -= 1
        depth += 1
        if left < 0 or depth > DEEPEST:
            raise Malformed(f"more than {MOST_ELEMENTS} elements, or more than {DEEPEST} inside each other")
        reader.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        reader.end(tag)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.buffer_text = True
    try:
        parser.Parse(body, True)
        return reader, reader.close()
    except (Malformed, Fault):
        raise
    except expat.ExpatError as e:
        raise Malformed(str(e)) from e
    except Exception as e:  # the standard library's unmarshaller raises whatever its conversions do
        raise Malformed("a value is not what its element says, or elements do not belong where they are") from e


def _refuse_doctype(*_: object) -> None:
    raise Malformed("document type declarations are not accepted")


def marshal(outcome: Fault | tuple[Any]) -> bytes:
    """A method response."""
    return dumps(outcome, methodresponse=True, allow_none=True).encode("utf-8", "xmlcharrefreplace")


def _send(request: Any, content: bytes) -> None:
    request.setHeader(b"content-length", b"%d" % len(content))
    request.write(content)
    request.finish()
