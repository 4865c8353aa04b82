"""Elements of requests that belong to no sliver are kept with the slice, for its manifest."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("slice") as table:
        table.add_column(sa.Column("extensions", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("slice") as table:
        table.drop_column("extensions")
