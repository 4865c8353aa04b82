"""Authorities below ours, and roles in authorities and slices."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ROLES = "role IN ('lead', 'admin', 'member', 'auditor', 'operator')"


def upgrade() -> None:
    with op.batch_alter_table("authority") as table:
        table.add_column(sa.Column("parent_urn", sa.String(255)))
        table.add_column(sa.Column("uuid", sa.String(36)))
        table.add_column(sa.Column("description", sa.Text, nullable=False, server_default=""))
        table.add_column(sa.Column("expires_at", sa.BigInteger))
    rows = sa.table("authority", sa.column("urn"), sa.column("uuid"))
    for (urn,) in op.get_bind().execute(sa.select(rows.c.urn)).all():
        op.execute(rows.update().where(rows.c.urn == urn).values(uuid=str(uuid.uuid4())))
    with op.batch_alter_table("authority") as table:
        table.alter_column("uuid", existing_type=sa.String(36), nullable=False)
        table.create_unique_constraint("uq_authority_uuid", ["uuid"])
        table.create_foreign_key("fk_authority_parent_urn_authority", "authority", ["parent_urn"], ["urn"])
        table.create_index("ix_authority_parent_urn", ["parent_urn"])
    op.create_table(
        "authority_member",
        sa.Column("authority_urn", sa.String(255), nullable=False),
        sa.Column("member_urn", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("authority_urn", "member_urn", name="pk_authority_member"),
        sa.ForeignKeyConstraint(
            ["authority_urn"], ["authority.urn"], name="fk_authority_member_authority_urn_authority", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["member_urn"], ["member.urn"], name="fk_authority_member_member_urn_member", ondelete="CASCADE"
        ),
        sa.CheckConstraint(_ROLES, name=op.f("ck_authority_member_role")),
    )
    op.create_index("ix_authority_member_member_urn", "authority_member", ["member_urn"])
    op.execute(
        "INSERT INTO authority_member (authority_urn, member_urn, role) "
        "SELECT authority_urn, urn, 'lead' FROM member WHERE role = 'pi'"
    )
    with op.batch_alter_table("slice_member") as table:
        table.add_column(sa.Column("role", sa.String(16), nullable=False, server_default="member"))
        table.create_check_constraint(op.f("ck_slice_member_role"), _ROLES)


def downgrade() -> None:
    with op.batch_alter_table("slice_member") as table:
        table.drop_constraint(op.f("ck_slice_member_role"), type_="check")
        table.drop_column("role")
    op.drop_table("authority_member")
    with op.batch_alter_table("authority") as table:
        table.drop_index("ix_authority_parent_urn")
        table.drop_constraint("fk_authority_parent_urn_authority", type_="foreignkey")
        table.drop_constraint("uq_authority_uuid", type_="unique")
        for column in ("parent_urn", "uuid", "description", "expires_at"):
            table.drop_column(column)
