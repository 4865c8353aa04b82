"""How the controller and the node managers talk: subjects, requests with one reply, messages that may be lost.

Nothing on the bus is the only copy of anything: what is lost is asked for again, so a bus may drop whatever it likes.
"""

from collections.abc import Callable
from typing import Protocol

Handler = Callable[[str, bytes], bytes | None]
"""Gets subject and body; what it returns is the reply, where one is wanted. Runs in a thread of its own."""

LARGEST_BODY = 8 * 1024 * 1024
"""Bytes of a request, of a reply or of a message. Whoever sends more has made a mistake and is raised a ValueError."""


class NobodyAnswers(Exception):
    """No reply to a request came: nobody serves the subject, the bus is away, or it took too long."""


class HandlerFailed(NobodyAnswers):
    """Somebody serves the subject, and broke on this request: a fault of ours. Their log says which."""


class Bus(Protocol):
    """Safe to use from many threads."""

    def publish(self, subject: str, body: bytes) -> None:
        """Send to whoever listens. May be lost without a word. Raises NobodyAnswers: the bus is known to be away."""

    def request(self, subject: str, body: bytes, timeout: float) -> bytes:
        """Send to the one who serves `subject`, and wait for the reply. timeout: seconds. Raises NobodyAnswers."""

    def serve(self, subject: str, handler: Handler) -> None:
        """Have `handler` called for what is sent to a subject.

        Its last part may be `*`, which stands for any one part, or `>`, for one or more.

        Between hosts, messages are handled side by side: what came first need not be done first.
        """

    def on_connection(self, call: Callable[[bool], None]) -> None:
        """Be told when the bus is there (True, at once when it is already) and when it is lost (False)."""

    def close(self) -> None:
        """Leave it."""
