"""What machines have written to their consoles."""

import os
from pathlib import Path

MOST_OF_A_CONSOLE = 64 * 1024
"""Bytes that are kept, and told."""


def newest(log: Path) -> str:
    """The newest part of a console's log; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - MOST_OF_A_CONSOLE))
            return file.read(MOST_OF_A_CONSOLE).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
