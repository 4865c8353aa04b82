"""The database comes to the newest schema from every older one, with what was in it."""

from alembic import command
from alembic.config import Config
from conftest import NOW
from sqlalchemy import insert

from credentials import URN
from sfa_am.store import Store, slivers
from sfa_am.store.engine import MIGRATIONS
from sfa_am.store.schema import slice_

SLICE = URN("plc", "slice", "s1")


def upgraded(store, revision):
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    with store.transaction() as tx:
        settings.attributes["connection"] = tx
        command.upgrade(settings, revision)


def test_a_store_of_the_first_release_keeps_its_slices(tmp_path):
    store = Store.in_folder(tmp_path)
    upgraded(store, "0001")
    with store.transaction() as tx:
        tx.exec_driver_sql(
            "INSERT INTO slice (id, urn, urn_key, created_at) VALUES ('x', ?, ?, 0)", (str(SLICE), str(SLICE).lower())
        )
    store.migrate()
    with store.transaction() as tx:
        row = slivers.slice_by_urn(tx, SLICE)
        assert (row.urn, row.extensions) == (SLICE, ())
        tx.execute(insert(slice_).values(id="y", urn="u", urn_key="u", created_at=NOW))
