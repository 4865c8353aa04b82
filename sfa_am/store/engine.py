"""The database: opening it, bringing it to the newest schema, transactions.

SQLite with a write-ahead log by default, PostgreSQL by URL. A transaction that has ended without an exception is on
the disk (``synchronous=FULL``): what a client was told survives `kill -9` and power loss.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, Engine, create_engine, event

MIGRATIONS = Path(__file__).parent / "migrations"

_WAIT_FOR_LOCK_MS = 10_000
"""How long SQLite waits for another process (an operator's `sfa-am` command) to end its transaction."""


_OFFERS_CHANGED = "offers changed"


class Store:
    """All rows of one installation. Safe to use from many threads.

    offers_generation: another number after each transaction of this process that changed what is offered or held
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, pool_size=16, max_overflow=16)
        # SQLite has one writer. Queueing ours here hands the turn over at once; SQLite would poll with growing sleeps.
        self._turn = threading.Lock() if self._engine.dialect.name == "sqlite" else None
        self.offers_generation = 0
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
            if tx.info.pop(_OFFERS_CHANGED, False):
                self.offers_generation += 1

    @contextmanager
    def trial(self) -> Iterator[Connection]:
        """As `transaction`, and undone all the same: to see what would happen."""
        with self._turn or nullcontext(), self._engine.connect().execution_options(writes=True) as tx:
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


def offers_changed(tx: Connection) -> None:
    """Say in a transaction that it changes what is offered or held."""
    tx.info[_OFFERS_CHANGED] = True


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
