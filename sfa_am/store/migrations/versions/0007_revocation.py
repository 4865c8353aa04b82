"""Certificates that were signed here, those that were taken back, and revocation lists of all authorities."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "issued_certificate",
        sa.Column("serial", sa.String(50), nullable=False),
        sa.Column("urn", sa.String(255), nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("serial", name="pk_issued_certificate"),
    )
    op.create_index("ix_issued_certificate_urn", "issued_certificate", ["urn"])
    op.create_index("ix_issued_certificate_ends_at", "issued_certificate", ["ends_at"])
    op.create_table(
        "revoked_certificate",
        sa.Column("serial", sa.String(50), nullable=False),
        sa.Column("urn", sa.String(255), nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("serial", name="pk_revoked_certificate"),
    )
    op.create_index("ix_revoked_certificate_urn", "revoked_certificate", ["urn"])
    op.create_table(
        "revocation_list",
        sa.Column("issuer_fingerprint", sa.String(64), nullable=False),
        sa.Column("pem", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("next_update", sa.BigInteger),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("fetched_at", sa.BigInteger, nullable=False),
        sa.Column("tried_at", sa.BigInteger, nullable=False),
        sa.Column("fault", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("issuer_fingerprint", name="pk_revocation_list"),
    )


def downgrade() -> None:
    op.drop_table("revocation_list")
    op.drop_table("revoked_certificate")
    op.drop_table("issued_certificate")
