"""The bus between hosts: NATS, over TLS, by the library nats-py.

That library is for asyncio, so a loop runs in a thread of its own and calls are handed to it. It connects again by
itself, and then sends what was published meanwhile; we want such things refused at once, since by then they are stale.
So its reconnection is off, and each connection is a new client: `_Life` makes one after the other, for ever.

A handler that raises is answered for by a header, `Bus-Error`, on an empty reply. Bodies go in one piece: the server
that `sfa-am bus` sets up takes 8 MiB.
"""

import asyncio
import itertools
import random
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from backends.native.bus import LARGEST_BODY, Handler, HandlerFailed, NobodyAnswers
from backends.native.bus.credentials import Credentials

log = structlog.get_logger()

T = TypeVar("T")

WORKERS = 32
"""Handlers that run at once. Most of them wait for something: a disk, a container, a lock."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
"""Seconds between tries to connect."""

_CONNECT_SECONDS = 3
_PING_EVERY = 2
_PINGS_MISSED = 2
"""A server whose host has vanished says nothing: after so many seconds and pings without an answer it is given up."""

_LOOK_EVERY = 0.5
"""Seconds between looks whether a connection is still there, should the library not say so."""

_ERROR = "Bus-Error"


class NatsBus:
    """Implements `Bus`. Handlers run side by side: what arrived first need not be done first."""

    def __init__(self, urls: Sequence[str], credentials: Credentials, *, inbox: str, workers: int = WORKERS) -> None:
        """urls: nats://HOST:PORT of servers, one of which is enough; the next one is tried when one is away

        inbox: the subjects below it are for replies to us, and nobody else may read them

        Returns at once; `on_connection` tells when there is a connection. Raises OSError, ValueError (ssl.SSLError is
        both): the credentials can't be read.
        """
        self._urls = tuple(urls)
        self._credentials = credentials
        self._inbox = inbox
        self._inboxes = f"{inbox.partition('.inbox.')[0]}.inbox."
        self._tls = credentials.tls()
        self._seed = credentials.seed.read_text().strip()
        self._handlers: dict[str, Handler] = {}
        self._watchers: list[Callable[[bool], None]] = []
        self._client: Client | None = None
        self._asking: set[asyncio.Task[Any]] = set()
        self._working: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self._free = asyncio.Semaphore(workers)
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="bus-handler")
        self._teller = ThreadPoolExecutor(1, thread_name_prefix="bus-teller")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bus", daemon=True)
        self._thread.start()
        self._life = asyncio.run_coroutine_threadsafe(self._live(), self._loop)

    # Called from any thread but the loop's

    def publish(self, subject: str, body: bytes) -> None:
        """Hand it to the server, or to the system's buffers on the way there. Raises NobodyAnswers when it is away."""
        _refuse_large(body)
        self._in_loop(self._publish(subject, body), subject)

    def request(self, subject: str, body: bytes, timeout: float) -> bytes:
        """The reply. Raises NobodyAnswers: at once when nobody serves it, or when the connection is lost meanwhile."""
        _refuse_large(body)
        reply = self._in_loop(self._request(subject, body, timeout), subject)
        if reply.headers and _ERROR in reply.headers:
            raise HandlerFailed(f"{subject}: {reply.headers[_ERROR]}")
        return reply.data

    def serve(self, subject: str, handler: Handler) -> None:
        """From now on, and again after each reconnection. A second handler takes the first one's place."""
        self._in_loop(self._serve(subject, handler), subject)

    def on_connection(self, call: Callable[[bool], None]) -> None:
        """All are told by one thread, in order; it may use the bus."""
        self._in_loop(self._watch(call), "connections")

    def close(self) -> None:
        """Leave the bus. Handlers that run come to their end by themselves, and nobody gets their replies."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            ended = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        ended.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._teller.shutdown(wait=False)

    def _in_loop(self, work: Coroutine[Any, Any, T], subject: str) -> T:
        with self._lock:
            if self._is_closed:
                work.close()
                raise NobodyAnswers(f"{subject}: the bus was closed")
            done = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return done.result()
        except CancelledError as e:
            raise NobodyAnswers(f"{subject}: the bus was closed") from e

    # In the loop: talking

    def _there(self, subject: str) -> Client:
        if self._client is None or not self._client.is_connected:
            raise NobodyAnswers(f"{subject}: the bus is away")
        return self._client

    async def _publish(self, subject: str, body: bytes) -> None:
        client = self._there(subject)
        try:
            await client.publish(subject, body)
        except errors.BadSubjectError as e:
            raise ValueError(f"{subject!a} is no subject") from e
        except (errors.Error, OSError) as e:
            raise NobodyAnswers(f"{subject}: the bus is away ({_words(e)})") from e

    async def _request(self, subject: str, body: bytes, timeout: float) -> Msg:
        client = self._there(subject)
        asking = asyncio.current_task()
        assert asking is not None  # noqa: S101 - run_coroutine_threadsafe makes one
        self._asking.add(asking)
        try:
            return await client.request(subject, body, timeout=timeout)
        except errors.BadSubjectError as e:
            raise ValueError(f"{subject!a} is no subject") from e
        except errors.NoRespondersError as e:
            raise NobodyAnswers(f"{subject}: nobody serves it") from e
        except errors.TimeoutError as e:
            raise NobodyAnswers(f"{subject}: no answer within {timeout:g} s") from e
        except asyncio.CancelledError as e:
            raise NobodyAnswers(f"{subject}: the bus went away before an answer came") from e
        except (errors.Error, OSError) as e:
            raise NobodyAnswers(f"{subject}: the bus is away ({_words(e)})") from e
        finally:
            self._asking.discard(asking)

    # In the loop: serving

    async def _serve(self, subject: str, handler: Handler) -> None:
        is_new = subject not in self._handlers
        self._handlers[subject] = handler
        if is_new and self._client is not None:
            with suppress(errors.Error, OSError):  # a connection that is lost; the next one begins with all of them
                await self._subscribe(self._client, subject)
                await self._client.flush()

    async def _subscribe(self, client: Client, subject: str) -> None:
        async def arrived(message: Msg) -> None:
            # Waiting here leaves what follows in the library's queue, which is bounded.
            await self._free.acquire()
            work = self._loop.create_task(self._handle(client, subject, message))
            self._working.add(work)
            work.add_done_callback(self._worked)

        await client.subscribe(subject, cb=arrived)

    def _worked(self, work: asyncio.Task[None]) -> None:
        self._working.discard(work)
        self._free.release()
        if not work.cancelled() and (e := work.exception()) is not None:
            log.warning("a reply could not be sent", reason=_words(e))

    async def _handle(self, client: Client, subject: str, message: Msg) -> None:
        handler, headers = self._handlers[subject], None
        try:
            reply = await self._loop.run_in_executor(self._workers, handler, message.subject, message.data)
            if reply is not None:
                _refuse_large(reply)
        except Exception as e:
            log.exception("a message broke its handler", subject=message.subject)
            reply, headers = b"", {_ERROR: f"its handler failed ({type(e).__name__})"}
        # Where a reply goes is the asker's word: one that named another's commands would have us give them.
        if reply is not None and message.reply.startswith(self._inboxes):
            await client.publish(message.reply, reply, headers=headers)

    async def _watch(self, call: Callable[[bool], None]) -> None:
        self._watchers.append(call)
        if self._client is not None:
            self._teller.submit(_told, call, True)

    # In the loop: connections

    async def _live(self) -> None:
        pause, last_reason = _FIRST_PAUSE, ""
        for url in itertools.cycle(self._urls):
            client = Client()
            try:
                lost = await self._connect(client, url)
            except (errors.Error, OSError, TimeoutError) as e:
                if (reason := _words(e)) != last_reason:
                    log.warning("the bus can't be reached; will try again", url=url, reason=reason)
                last_reason = reason
            else:
                pause, last_reason = _FIRST_PAUSE, ""
                log.info("on the bus", url=url)
                await self._until_lost(client, lost)
                log.warning("the bus is lost; will connect again", url=url)
            finally:
                await _closed(client)
            if self._is_closed:
                return  # being told so by a cancellation gets lost when the connection ends in the same moment
            # Not all at once, when a server comes back that many had lost.
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - nothing is kept secret by it
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _connect(self, client: Client, url: str) -> asyncio.Event:
        """The event that is set when the connection is lost."""
        lost = asyncio.Event()

        async def is_lost() -> None:
            lost.set()

        async def is_wrong(e: Exception) -> None:
            if client.is_connected:  # else whoever connects is raised it
                log.warning("the bus complains", reason=_words(e))

        await client.connect(
            url,
            allow_reconnect=False,
            connect_timeout=_CONNECT_SECONDS,
            ping_interval=_PING_EVERY,
            max_outstanding_pings=_PINGS_MISSED,
            disconnected_cb=is_lost,
            closed_cb=is_lost,
            error_cb=is_wrong,
            inbox_prefix=self._inbox,
            nkeys_seed_str=self._seed,
            tls=self._tls,
        )
        _refuse_plain(client)
        served: set[str] = set()
        while missing := self._handlers.keys() - served:  # more may come while these are told
            for subject in missing:
                await self._subscribe(client, subject)
            served |= missing
            await client.flush()
        self._client = client
        self._tell(True)
        return lost

    async def _until_lost(self, client: Client, lost: asyncio.Event) -> None:
        while client.is_connected and not lost.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(lost.wait(), _LOOK_EVERY)
        self._client = None
        for asking in tuple(self._asking):
            asking.cancel()
        self._tell(False)

    def _tell(self, is_there: bool) -> None:
        for call in self._watchers:
            self._teller.submit(_told, call, is_there)

    async def _end(self) -> None:
        """Stop living, and everything that goes on in the loop."""
        client, self._client = self._client, None
        if client is not None:
            await _closed(client)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _refuse_large(body: bytes) -> None:
    if len(body) > LARGEST_BODY:
        raise ValueError(f"{len(body)} bytes are more than the bus carries ({LARGEST_BODY})")


def _refuse_plain(client: Client) -> None:
    """Whoever answers decides whether TLS follows, as far as the library goes. Raises OSError when it did not."""
    transport: Any = client._transport  # it has no other way to ask
    writer = getattr(transport, "_io_writer", None)
    if writer is None or writer.get_extra_info("ssl_object") is None:
        raise ConnectionRefusedError("the server does not speak TLS")


async def _closed(client: Client) -> None:
    """Close what may be closed, or half open; a dead connection must not hold us."""
    with suppress(errors.Error, OSError, TimeoutError):
        await asyncio.wait_for(client.close(), 1)


def _told(call: Callable[[bool], None], is_there: bool) -> None:
    try:
        call(is_there)
    except Exception:
        log.exception("whoever was told of the bus failed", is_there=is_there)


def _words(e: BaseException) -> str:
    return ascii(str(e) or type(e).__name__)[1:-1][:300]
