"""The database comes to the newest schema from every older one, with what was in it."""

from alembic import command
from alembic.config import Config
from conftest import NOW
from sqlalchemy import func, insert, select

from credentials import URN
from sfa_am.store import Store, slivers
from sfa_am.store.engine import MIGRATIONS
from sfa_am.store.schema import claim, operation, slice_

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
        tx.exec_driver_sql(
            "INSERT INTO sliver (id, slice_id, position, kind, client_id, source, backend, offer, allocation,"
            " expires_at, created_at, generation, shape, users, running, restarts, reloads, seen, seen_generation,"
            " fault, logins) VALUES ('n', 'x', 0, 'link', 'c', '', 'sim', 'o', 'geni_provisioned',"
            " 0, 0, 1, '{\"segment\": {\"capacity_kbps\": null}}', '[]', 1, 0, 0, 'absent', 0, '', '[]')"
        )
        tx.exec_driver_sql("INSERT INTO claim VALUES ('n', 'cpus', 'sim', 'o', 1000)")
        tx.exec_driver_sql("INSERT INTO operation VALUES ('n', 'sim', 'converge', 0, NULL, NULL, 0, 0, 0)")
    store.migrate()
    with store.transaction() as tx:
        # Making a table anew must not take what depends on it along.
        assert tx.execute(select(func.count()).select_from(claim)).scalar_one() == 1
        assert tx.execute(select(func.count()).select_from(operation)).scalar_one() == 1
        assert [(one.id, one.owner) for one in slivers.of_backend(tx, "sim")] == [("n", "")]
        row = slivers.slice_by_urn(tx, SLICE)
        assert (row.urn, row.extensions) == (SLICE, ())
        tx.execute(insert(slice_).values(id="y", urn="u", urn_key="u", created_at=NOW))
