"""Stores to begin a test with: an empty one, or a copy of one that has rows.

A schema is made once in a process and copied: making one takes longer than most tests.
"""

import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from sfa_am.store import Store

_FILE = "store.sqlite"


def empty_store(folder: Path) -> Store:
    """The store of a state folder, of the newest schema; one that is there is opened. Close it."""
    if not (folder / _FILE).exists():
        (folder / _FILE).write_bytes(_empty())
    return Store.in_folder(folder)


def copied_store(source: Path, folder: Path) -> Store:
    """A store in one folder with the rows of that in another, which may be open. Close it."""
    there, here = (sqlite3.connect(where / _FILE) for where in (source, folder))
    with closing(there), closing(here):
        there.backup(here)
    return Store.in_folder(folder)


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.in_folder(Path(folder))
        store.migrate()
        store.close()
        return (Path(folder) / _FILE).read_bytes()
