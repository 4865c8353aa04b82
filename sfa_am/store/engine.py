"""The database: opening it, bringing it to the newest schema, transactions.

SQLite with a write-ahead log by default, PostgreSQL by URL. A transaction that has ended without an exception is on
the disk (``synchronous=FULL``): what a client was told survives `kill -9` and power loss.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, Engine, create_engine, event

MIGRATIONS = Path(__file__).parent / "migrations"

_WAIT_FOR_LOCK_MS = 10_000
"""How long SQLite waits for another process (an operator's `sfa-am` command) to end its transaction."""


_OFFERS_CHANGED = "offers changed"
_ANYTHING = None
"""Stands for changes that nobody has listed."""

_NEWS_KEPT = 1000
"""Transactions whose changes are remembered, for who follows them and has not looked for a while."""


@dataclass(frozen=True, slots=True)
class Change:
    """So much more of a resource of an offer is used than before; less when it is negative."""

    backend: str
    offer: str
    resource: str
    more: int


class Store:
    """All rows of one installation. Safe to use from many threads.

    offers_generation: another number after each transaction of this process that changed what is offered or held
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, pool_size=16, max_overflow=16)
        # SQLite has one writer. Queueing ours here hands the turn over at once; SQLite would poll with growing sleeps.
        self._turn = threading.Lock() if self._engine.dialect.name == "sqlite" else None
        self.offers_generation = 0
        self._news: deque[tuple[Change, ...] | None] = deque(maxlen=_NEWS_KEPT)
        self._telling = threading.Lock()
        if self._turn is not None:
            _tune_sqlite(self._engine)

    @classmethod
    def in_folder(cls, state: Path) -> "Store":
        """The SQLite store of a state folder."""
        return cls(f"sqlite:///{state / 'store.sqlite'}")

    def migrate(self) -> None:
        """Bring the database to the newest schema; nothing to do is success."""
        settings = AlembicConfig()
        settings.set_main_option("script_location", str(MIGRATIONS))
        connect = self._engine.connect().execution_options(writes=True)
        with self._turn or nullcontext(), connect as tx, _without_cascades(tx), tx.begin():
            settings.attributes["connection"] = tx
            command.upgrade(settings, "head")
            if self._turn is not None and (broken := tx.exec_driver_sql("PRAGMA foreign_key_check").first()):
                raise RuntimeError(f"a migration left rows of {broken[0]} without the row they refer to")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Read and write; durable when the block ends, undone when it raises."""
        with self._turn or nullcontext(), self._engine.connect().execution_options(writes=True) as tx:
            tx.info.pop(_OFFERS_CHANGED, None)
            with tx.begin():
                yield tx
            self._tell(tx)

    @contextmanager
    def trial(self) -> Iterator[Connection]:
        """As `transaction`, and undone all the same: to see what would happen."""
        with self._turn or nullcontext(), self._engine.connect().execution_options(writes=True) as tx:
            tx.info.pop(_OFFERS_CHANGED, None)
            change = tx.begin()
            try:
                yield tx
            finally:
                change.rollback()
                tx.info.pop(_OFFERS_CHANGED, None)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read one consistent state of the rows."""
        with self._engine.connect() as tx, tx.begin():
            yield tx

    def offers_news(self, since: int) -> tuple[int, Sequence[Change] | None]:
        """What this process has held and released since a generation, and of which generation that is.

        None in place of it when more than that has changed.
        """
        with self._telling:
            generation = self.offers_generation
            missed = generation - since
            if missed > len(self._news):
                return generation, None
            news = [self._news[-number] for number in range(missed, 0, -1)]
        found: list[Change] = []
        for changes in news:
            if changes is _ANYTHING:
                return generation, None
            found.extend(changes)
        return generation, found

    def _tell(self, tx: Connection) -> None:
        """Remember what a transaction that has ended changed of the offers."""
        if _OFFERS_CHANGED in tx.info:
            with self._telling:
                changes: list[Change] | None = tx.info.pop(_OFFERS_CHANGED)
                self._news.append(_ANYTHING if changes is _ANYTHING else tuple(changes))
                self.offers_generation += 1

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


@contextmanager
def _without_cascades(tx: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew and dropping the old one, whose rows' dependents would go with them.

    It can be told not to outside of a transaction only.
    """
    if tx.dialect.name != "sqlite":
        yield
        return
    connection: Any = tx.connection.dbapi_connection
    connection.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.execute("PRAGMA foreign_keys=ON")


def offers_changed(tx: Connection, changes: Sequence[Change] | None = None) -> None:
    """Say in a transaction that it changes what is offered or held. changes: all of it, where nothing else is."""
    known = tx.info.get(_OFFERS_CHANGED, [])
    tx.info[_OFFERS_CHANGED] = _ANYTHING if changes is None or known is _ANYTHING else [*known, *changes]


def has_changed_offers(tx: Connection) -> bool:
    """Whether a transaction has done so: what it reads of them is not what others see."""
    return _OFFERS_CHANGED in tx.info


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves; the driver would begin them too late
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={_WAIT_FOR_LOCK_MS}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # A writer takes its lock at once: upgrading a read lock later fails when another has written meanwhile.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
