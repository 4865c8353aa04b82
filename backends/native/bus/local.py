"""The bus within one process: a call is a call."""

from collections.abc import Callable

from backends.native.bus import Handler, NobodyAnswers


class LocalBus:
    """Implements `Bus` for one host that is its own controller. A handler runs in the caller's thread."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def publish(self, subject: str, body: bytes) -> None:
        """Call whoever listens."""
        handler = self._handler(subject)
        if handler is not None:
            handler(subject, body)

    def request(self, subject: str, body: bytes, timeout: float) -> bytes:
        """Call who serves it; takes as long as they take."""
        handler = self._handler(subject)
        reply = None if handler is None else handler(subject, body)
        if reply is None:
            raise NobodyAnswers(subject)
        return reply

    def serve(self, subject: str, handler: Handler) -> None:
        """Remember the handler."""
        self._handlers[subject] = handler

    def on_connection(self, call: Callable[[bool], None]) -> None:
        """It is always there."""
        call(True)

    def close(self) -> None:
        """Forget the handlers."""
        self._handlers.clear()

    def _handler(self, subject: str) -> Handler | None:
        above, _, _ = subject.rpartition(".")
        return self._handlers.get(subject) or self._handlers.get(f"{above}.*")
