"""Alembic's entry: runs the migrations on the connection that `Store.migrate` or the developer's shell hands over."""

from alembic import context

from sfa_am.store.schema import UtcTime, metadata


def _render(kind: str, thing: object, _autogen: object) -> str | bool:
    """Write our own column type as what it is in the database, so that old migrations never import new code."""
    return "sa.BigInteger()" if kind == "type" and isinstance(thing, UtcTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
    render_item=_render,
    transactional_ddl=True,
)
context.run_migrations()
