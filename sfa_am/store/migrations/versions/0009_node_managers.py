"""Hosts that joined, and invitations to join."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "node_manager",
        sa.Column("backend", sa.String(16), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("nkey", sa.String(56), nullable=False),
        sa.Column("certificate_fingerprint", sa.String(64), nullable=False),
        sa.Column("joined_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("backend", "name", name="pk_node_manager"),
        sa.UniqueConstraint("nkey", name="uq_node_manager_nkey"),
    )
    op.create_table(
        "node_invitation",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("backend", sa.String(16), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("replaces", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_by", sa.String(56)),
        sa.PrimaryKeyConstraint("digest", name="pk_node_invitation"),
    )
    op.create_index("ix_node_invitation_expires_at", "node_invitation", ["expires_at"])


def downgrade() -> None:
    op.drop_table("node_invitation")
    op.drop_table("node_manager")
