"""The database comes to the newest schema from every older one, with what was in it."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from conftest import NOW
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from credentials import URN
from sfa_am.store import Store, authorities, registry, sliver_infos, slivers
from sfa_am.store.engine import MIGRATIONS
from sfa_am.store.schema import claim, metadata, operation, slice_

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


def test_a_store_of_the_first_release_keeps_its_people_and_their_rights(tmp_path):
    store = Store.in_folder(tmp_path)
    upgraded(store, "0001")
    top = str(URN("plc", "authority", "sa"))
    pi, ann = (str(URN("plc", "user", name)).lower() for name in ("pi", "ann"))
    with store.transaction() as tx:
        tx.exec_driver_sql("INSERT INTO authority (urn, gid, created_at) VALUES (?, 'g', 0)", (top,))
        for number, (urn, role) in enumerate(((pi, "pi"), (ann, "user"))):
            tx.exec_driver_sql(
                "INSERT INTO member (urn, name, authority_urn, uuid, email, role, gid, created_at)"
                " VALUES (?, ?, ?, ?, 'a@x', ?, 'g', 0)",
                (urn, urn, top, str(number), role),
            )
            tx.exec_driver_sql("INSERT INTO member_key VALUES (?, 0, 'ssh-rsa A')", (urn,))
        name = str(SLICE).lower()
        tx.exec_driver_sql(
            "INSERT INTO registered_slice (urn, name, authority_urn, uuid, description, gid, expires_at, created_at)"
            " VALUES (?, ?, ?, 's', '', 'g', 0, 0)",
            (name, name, top),
        )
        tx.exec_driver_sql("INSERT INTO slice_member (slice_urn, member_urn) VALUES (?, ?)", (name, ann))
    store.migrate()
    with store.transaction() as tx:
        row = authorities.by_urn(tx, URN.parse(top))
        assert (row.parent_urn, len(row.uuid), row.expires_at) == (None, 36, None)
        assert authorities.members(tx, row.urn) == {URN.parse(pi): "lead"}
        assert registry.slice_roles(tx, SLICE) == {URN.parse(ann): "member"}
        assert [one.keys for one in registry.members(tx)] == [("ssh-rsa A",)] * 2
        assert sliver_infos.everything(tx) == []
        with pytest.raises(IntegrityError):
            tx.exec_driver_sql("UPDATE slice_member SET role = 'king'")


def test_the_migrations_make_the_tables_that_the_program_sees(tmp_path):
    store = Store.in_folder(tmp_path)
    store.migrate()
    with store.transaction() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []


def test_the_newest_migrations_can_be_undone(tmp_path):
    store = Store.in_folder(tmp_path)
    store.migrate()
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    with store.transaction() as tx:
        settings.attributes["connection"] = tx
        command.downgrade(settings, "0003")
    store.migrate()
