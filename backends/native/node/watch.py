"""Notice when a machine ends by itself. One thread, one descriptor for each machine, no polling."""

import os
import select
import threading
from collections.abc import Callable

from backends.protocol import SliverId


class Watch:
    """Calls back when the first process of a machine ends."""

    def __init__(self, ended: Callable[[SliverId], None]) -> None:
        """ended: called in the watch's own thread, and must not raise."""
        self._ended = ended
        self._poll = select.epoll()
        self._lock = threading.Lock()
        self._by_descriptor: dict[int, SliverId] = {}
        self._descriptor_of: dict[SliverId, tuple[int, int]] = {}
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        self._thread = threading.Thread(target=self._loop, name="machine-watch", daemon=True)
        self._thread.start()

    def begin(self, sliver: SliverId, first_process: int) -> None:
        """Watch a machine; one that is watched already, with the same process, stays so."""
        with self._lock:
            known = self._descriptor_of.get(sliver)
            if known is not None and known[0] == first_process:
                return
            try:
                descriptor = os.pidfd_open(first_process)
            except ProcessLookupError:
                return  # it has ended; whoever looks next sees that
            self._forget(sliver)
            self._descriptor_of[sliver] = (first_process, descriptor)
            self._by_descriptor[descriptor] = sliver
            self._poll.register(descriptor, select.EPOLLIN)

    def process(self, sliver: SliverId) -> int:
        """The first process of a machine that is watched; 0 of one that is not."""
        with self._lock:
            return self._descriptor_of.get(sliver, (0, 0))[0]

    def end(self, sliver: SliverId) -> None:
        """Watch it no more."""
        with self._lock:
            self._forget(sliver)

    def stop(self) -> None:
        """End the thread and close everything."""
        os.write(self._waker, b".")
        self._thread.join()
        with self._lock:
            for sliver in list(self._descriptor_of):
                self._forget(sliver)
        self._poll.close()
        os.close(self._wake)
        os.close(self._waker)

    def _loop(self) -> None:
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == self._wake:
                    return
                with self._lock:
                    sliver = self._by_descriptor.get(descriptor)
                    if sliver is not None:
                        self._forget(sliver)
                if sliver is not None:
                    self._ended(sliver)

    def _forget(self, sliver: SliverId) -> None:
        known = self._descriptor_of.pop(sliver, None)
        if known is not None:
            self._poll.unregister(known[1])
            del self._by_descriptor[known[1]]
            os.close(known[1])
