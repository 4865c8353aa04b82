"""What a node was told of links, kept over restarts: a small file for each link, written by rename."""

import threading
from pathlib import Path

from backends.native.messages import Unreadable, Wiring, read, write
from backends.protocol import SliverId


class Wirings:
    """All of a node's. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._known: dict[SliverId, Wiring] = {}
        for path in folder.glob("*.json"):
            try:
                wiring = read(Wiring, path.read_bytes())
            except Unreadable:
                path.unlink()  # the controller tells it again
                continue
            self._known[wiring.link] = wiring

    def get(self, link: SliverId) -> Wiring | None:
        """What is known of a link."""
        return self._known.get(link)

    def everything(self) -> tuple[Wiring, ...]:
        """All that is known."""
        with self._lock:
            return tuple(self._known.values())

    def put(self, wiring: Wiring) -> None:
        """Keep it."""
        with self._lock:
            if self._known.get(wiring.link) == wiring:
                return
            path = self._folder / f"{wiring.link}.json"
            temporary = path.with_suffix(".new")
            temporary.write_bytes(write(wiring))
            temporary.replace(path)
            self._known[wiring.link] = wiring

    def drop(self, link: SliverId) -> None:
        """Forget it; unknown is fine."""
        with self._lock:
            (self._folder / f"{link}.json").unlink(missing_ok=True)
            self._known.pop(link, None)
