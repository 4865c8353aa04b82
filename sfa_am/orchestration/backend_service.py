"""One backend's life in the server: started, swept, worked for, told to stop."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from backends.protocol import Backend, BackendError, Observation, SliverId, SliverSpec, Unavailable
from sfa_am import errors
from sfa_am.orchestration.dispatcher import Dispatcher
from sfa_am.orchestration.sweep import report, sweep
from sfa_am.slices.states import Allocation
from sfa_am.store import Store, offers, slivers

log = structlog.get_logger()

SWEEP_EVERY = 60.0
"""Seconds between sweeps."""

_TRY_AGAIN_AFTER = 10.0
"""Seconds between tries to start a backend that can't."""


class BackendService(Service):
    """Runs one backend. Starting it blocks, and may fail for a while, so that happens in a thread."""

    def __init__(self, name: str, backend: Backend, store: Store, now: Callable[[], datetime]) -> None:
        self._name = name
        self._backend = backend
        self._store = store
        self._now = now
        self._dispatcher = Dispatcher(name, backend, store, now)
        self._stopping = threading.Event()
        self._look = threading.Event()
        """Set when it is worth sweeping before the minute is over, and when stopping."""
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There may be operations to work off."""
        self._dispatcher.wake()

    def console(self, sliver: SliverId) -> str:
        """What a machine has written to its console. Raises the aggregate's Unavailable."""
        try:
            return self._backend.console(sliver)
        except BackendError as e:
            raise errors.Unavailable(f"the console can't be read now: {e}") from e

    def look(self) -> None:
        """Sweep soon."""
        self._look.set()

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Bring the backend up, then sweep and work."""
        super().startService()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._live, name=f"{self._name}-backend", daemon=True)
        self._thread.start()

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Let what is under way end. Slivers keep running."""
        super().stopService()
        self._stopping.set()
        self._look.set()
        return deferToThread(self._thread.join if self._thread else _nothing)

    def _live(self) -> None:
        if not self._start():
            return
        try:
            self._look.clear()
            self._sweep()
            self._dispatcher.startService()
            while not self._stopping.is_set():
                self._look.wait(SWEEP_EVERY)
                self._look.clear()
                if not self._stopping.is_set():
                    self._sweep()
                    self._dispatcher.wake()
        finally:
            if self._dispatcher.running:
                self._dispatcher.stopService()
            self._backend.stop()

    def _start(self) -> bool:
        """Try until it works or the service ends."""
        while not self._stopping.is_set():
            try:
                self._backend.start(_BackendHost(self._name, self._store, self._now, self.wake, self.look))
            except Unavailable as e:
                log.error("backend can't start; will try again", backend=self._name, reason=str(e))
            except Exception:
                log.exception("backend can't start; will try again", backend=self._name)
            else:
                log.info("backend started", backend=self._name)
                return True
            with self._store.transaction() as tx:
                offers.away(tx, self._name)
            self._stopping.wait(_TRY_AGAIN_AFTER)
        return False

    def _sweep(self) -> None:
        try:
            sweep(self._name, self._backend, self._store, self._now)
        except Exception:  # the next one comes in a minute
            log.exception("a sweep failed", backend=self._name)


class _BackendHost:
    """What a backend sees of us."""

    def __init__(
        self,
        name: str,
        store: Store,
        now: Callable[[], datetime],
        wake: Callable[[], None],
        look: Callable[[], None],
    ) -> None:
        self._name = name
        self._store = store
        self._now = now
        self._wake = wake
        self._look = look

    def report(self, observation: Observation) -> None:
        if report(self._name, observation, self._store, self._now()):
            self._wake()

    def changed(self) -> None:
        self._look()

    def desired(self) -> Sequence[SliverSpec]:
        with self._store.reading() as tx:
            rows = slivers.of_backend(tx, self._name)
        return [row.spec() for row in rows if Allocation(row.allocation).is_made]

    def now(self) -> datetime:
        return self._now()


def _nothing() -> None:
    return None
