"""Slivers may be about to go with an update of their slice, and belong to whoever asked for them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATES = "allocation IN ('geni_unallocated', 'geni_allocated', 'geni_provisioned'{})"


def upgrade() -> None:
    with op.batch_alter_table("sliver") as table:
        table.add_column(sa.Column("owner", sa.String(255), nullable=False, server_default=""))
        table.add_column(sa.Column("update_ends_at", sa.BigInteger(), nullable=True))
        table.create_index(op.f("ix_sliver_update_ends_at"), ["update_ends_at"])
        table.drop_constraint(op.f("ck_sliver_allocation"), type_="check")
        table.create_check_constraint(op.f("ck_sliver_allocation"), _STATES.format(", 'geni_updating'"))


def downgrade() -> None:
    op.execute("UPDATE sliver SET allocation = 'geni_provisioned' WHERE allocation = 'geni_updating'")
    with op.batch_alter_table("sliver") as table:
        table.drop_constraint(op.f("ck_sliver_allocation"), type_="check")
        table.create_check_constraint(op.f("ck_sliver_allocation"), _STATES.format(""))
        table.drop_index(op.f("ix_sliver_update_ends_at"))
        table.drop_column("update_ends_at")
        table.drop_column("owner")
