"""What was removed from a node, so that a command that was delayed on its way can't bring it back."""

import threading
import time
from pathlib import Path

from backends.protocol import SliverId

_KEPT_FOR = 24 * 3600
"""Seconds. No command is on its way for so long."""


class Tombstones:
    """A file with a line for each removal; written before anything is removed. Safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._generations: dict[SliverId, int] = {}
        now = int(time.time())
        kept = []
        for line in path.read_text().splitlines() if path.exists() else ():
            parts = line.split()
            if len(parts) == 3 and int(parts[2]) > now - _KEPT_FOR:  # a crash may have cut the last line short
                self._generations[SliverId(parts[0])] = int(parts[1])
                kept.append(f"{line}\n")
        temporary = path.with_name(f".{path.name}")
        temporary.write_text("".join(kept))
        temporary.replace(path)

    def generation(self, sliver: SliverId) -> int:
        """The newest wish that a removed sliver had; 0 for one that was not removed lately."""
        return self._generations.get(sliver, 0)

    def set(self, sliver: SliverId, generation: int) -> None:
        """A sliver is about to be removed whose newest wish is of this generation."""
        with self._lock:
            if generation <= self._generations.get(sliver, 0):
                return
            with self._path.open("a") as file:
                file.write(f"{sliver} {generation} {int(time.time())}\n")
            self._generations[sliver] = generation
