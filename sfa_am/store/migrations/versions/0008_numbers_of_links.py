"""Links have numbers, so that several hosts can carry them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "network",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("sliver_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_network"),
        sa.ForeignKeyConstraint(["sliver_id"], ["sliver.id"], name="fk_network_sliver_id_sliver", ondelete="CASCADE"),
        sa.UniqueConstraint("sliver_id", name="uq_network_sliver_id"),
    )


def downgrade() -> None:
    op.drop_table("network")
