"""Images that researchers make from their slivers."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "own_image",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("creator", sa.String(255), nullable=False),
        sa.Column("sliver_id", sa.String(32), nullable=False),
        sa.Column("backend", sa.String(16), nullable=False),
        sa.Column("offer", sa.String(64), nullable=False),
        sa.Column("form", sa.String(12), nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("fault", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_own_image"),
        sa.UniqueConstraint("name", name="uq_own_image_name"),
        sa.CheckConstraint("state IN ('making', 'ready', 'failed', 'dropping')", name="ck_own_image_state"),
    )
    op.create_index("ix_own_image_creator", "own_image", ["creator"])


def downgrade() -> None:
    op.drop_table("own_image")
