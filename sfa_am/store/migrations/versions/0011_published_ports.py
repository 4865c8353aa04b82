"""Ports of slivers that are reached from outside, as they were seen."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sliver", sa.Column("published", sa.JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("sliver", "published")
