"""The back loop of one backend: takes operations that are due and gives them to threads, as many as it takes at once.

A thread of its own rather than the reactor: everything it does blocks. Being woken saves it the wait until it would
look by itself; a lost wake-up costs that wait and nothing else.
"""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from twisted.application.service import Service

from backends.protocol import Backend
from sfa_am.orchestration import work
from sfa_am.store import Store, operations
from sfa_am.store.operations import Taken

log = structlog.get_logger()

LEASE = timedelta(seconds=60)
"""How long an operation stays with one worker before another may take it."""

_LOOKS_AFTER = 1.0
"""Seconds between looks for due operations when nobody wakes us."""

_DEFAULT_LIMIT = 4
_MOST_AT_ONCE = 64
"""Threads for one backend at most, whatever its limits; they are made as they are needed."""
_KINDS = ("remove", "converge")  # removals first: they make room


class Dispatcher(Service):
    """Works off the operations of one backend while the service runs."""

    def __init__(self, name: str, backend: Backend, store: Store, now: Callable[[], datetime]) -> None:
        self._name = name
        self._backend = backend
        self._store = store
        self._now = now
        self._busy: Counter[str] = Counter()
        self._signal = threading.Condition()
        self._woken = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Begin taking operations."""
        super().startService()
        self._stopping = False
        self._pool = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix=f"{self._name}-worker")
        self._thread = threading.Thread(target=self._loop, name=f"{self._name}-dispatcher", daemon=True)
        self._thread.start()

    def stopService(self) -> None:  # noqa: N802 - Twisted's name
        """Take nothing new and wait for what is under way; what that leaves undone stays in its row."""
        super().stopService()
        with self._signal:
            self._stopping = True
            self._signal.notify()
        if self._thread is not None and self._pool is not None:
            self._thread.join()
            self._pool.shutdown(wait=True)

    def wake(self) -> None:
        """There may be something to do. Any thread."""
        with self._signal:
            self._woken = True
            self._signal.notify()

    def _loop(self) -> None:
        while True:
            wait = self._dispatch()
            with self._signal:
                if not self._woken and not self._stopping:
                    self._signal.wait(wait)
                self._woken = False
                if self._stopping:
                    return

    def _dispatch(self) -> float:
        """Take and hand out what is due. Returns the seconds until it is worth looking again."""
        try:
            return min((self._dispatch_kind(kind) for kind in _KINDS), default=_LOOKS_AFTER)
        except Exception:  # a full disk, a locked database: the loop must outlive it
            log.exception("could not take operations", backend=self._name)
            return _LOOKS_AFTER

    def _dispatch_kind(self, kind: str) -> float:
        limit = self._backend.limits().get(kind, _DEFAULT_LIMIT)  # asked each time: hosts come and go
        with self._signal:
            free = min(limit - self._busy[kind], _MOST_AT_ONCE - self._busy.total())
        if free <= 0 or self._pool is None:
            return _LOOKS_AFTER
        now = self._now()
        with self._store.reading() as tx:  # looking is free; taking is a write
            due_at = operations.next_due(tx, backend=self._name, kind=kind, now=now)
        if due_at is None:
            return _LOOKS_AFTER
        if due_at > now:
            return min((due_at - now).total_seconds(), _LOOKS_AFTER)
        with self._store.transaction() as tx:
            taken = operations.take(tx, backend=self._name, kind=kind, most=free, lease=LEASE, now=now)
        for one in taken:
            with self._signal:
                self._busy[kind] += 1
            self._pool.submit(self._run, one)
        return 0.0 if taken else _LOOKS_AFTER

    def _run(self, taken: Taken) -> None:
        try:
            work.run(taken, self._backend, self._store, self._now)
        except Exception:  # the lease will lapse and somebody takes it again
            log.exception("could not store an outcome", backend=self._name, sliver=taken.sliver_id)
        finally:
            with self._signal:
                self._busy[taken.kind] -= 1
            self.wake()
