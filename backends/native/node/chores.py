"""Work that nobody waits for, done one after the other in a thread of its own.

What is put twice before it was begun is done once. A chore that fails is logged and forgotten: each is something that
the next sweep, start or change asks for again.
"""

import threading
from collections.abc import Callable, Hashable

import structlog

from backends.protocol import BackendError

log = structlog.get_logger()


class Chores:
    """The thread lives from the first chore until `stop`."""

    def __init__(self) -> None:
        self._todo: dict[Hashable, Callable[[], object]] = {}
        self._change = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def put(self, name: Hashable, chore: Callable[[], object]) -> None:
        """Have it done soon, in place of an older one of this name that was not begun yet."""
        with self._change:
            self._todo[name] = chore
            if self._thread is None:
                self._stopping = False
                self._thread = threading.Thread(target=self._work, name="node-chores", daemon=True)
                self._thread.start()
            self._change.notify()

    def stop(self) -> None:
        """End when the one in hand is done; the others are left."""
        with self._change:
            self._stopping = True
            self._todo.clear()
            self._change.notify()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._change:
                while not self._todo and not self._stopping:
                    self._change.wait()
                if self._stopping:
                    return
                name = next(iter(self._todo))
                chore = self._todo.pop(name)
            try:
                chore()
            except BackendError as e:
                log.warning("a chore was not done", chore=str(name), reason=str(e), notes=getattr(e, "__notes__", []))
            except Exception:
                log.exception("a chore failed", chore=str(name))
