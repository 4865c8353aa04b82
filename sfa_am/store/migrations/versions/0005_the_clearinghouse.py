"""What the clearinghouse keeps: names of members, services of the federation, slivers that tools told of."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "member_profile",
        sa.Column("member_urn", sa.String(255), nullable=False),
        sa.Column("first_name", sa.String(255), nullable=False),
        sa.Column("last_name", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("member_urn", name="pk_member_profile"),
        sa.ForeignKeyConstraint(
            ["member_urn"], ["member.urn"], name="fk_member_profile_member_urn_member", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "service",
        sa.Column("urn", sa.String(255), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("certificate", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("urn", "url", name="pk_service"),
    )
    op.create_table(
        "sliver_info",
        sa.Column("urn", sa.String(255), nullable=False),
        sa.Column("slice_urn", sa.String(255), nullable=False),
        sa.Column("aggregate_urn", sa.String(255), nullable=False),
        sa.Column("creator_urn", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("urn", "slice_urn", name="pk_sliver_info"),
        sa.ForeignKeyConstraint(
            ["slice_urn"],
            ["registered_slice.urn"],
            name="fk_sliver_info_slice_urn_registered_slice",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_sliver_info_slice_urn", "sliver_info", ["slice_urn"])
    op.create_index("ix_sliver_info_creator_urn", "sliver_info", ["creator_urn"])


def downgrade() -> None:
    for table in ("sliver_info", "service", "member_profile"):
        op.drop_table(table)
