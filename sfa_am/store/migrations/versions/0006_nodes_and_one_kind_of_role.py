"""Records of nodes; a member's role stands with the authority alone."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "node",
        sa.Column("urn", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("authority_urn", sa.String(255), nullable=False),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("hostname", sa.String(255), nullable=False),
        sa.Column("gid", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("urn", name="pk_node"),
        sa.UniqueConstraint("uuid", name="uq_node_uuid"),
        sa.ForeignKeyConstraint(["authority_urn"], ["authority.urn"], name="fk_node_authority_urn_authority"),
    )
    op.create_index("ix_node_authority_urn", "node", ["authority_urn"])
    with op.batch_alter_table("member") as table:
        table.drop_column("role")


def downgrade() -> None:
    with op.batch_alter_table("member") as table:
        table.add_column(sa.Column("role", sa.String(16), nullable=False, server_default="user"))
    op.execute(
        "UPDATE member SET role = 'pi' WHERE EXISTS (SELECT 1 FROM authority_member AS held WHERE "
        "held.member_urn = member.urn AND held.authority_urn = member.authority_urn AND held.role IN ('lead', 'admin'))"
    )
    op.drop_table("node")
