"""Devices fetch orders: leases in order, acknowledgements, symbols, pairing codes, secrets with grace"""

import sqlalchemy as sa
from alembic import op

import models.columns

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_tables()
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.add_column(sa.Column("key_number", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("sealed_previous_secret", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("previous_until", models.columns.UtcInstant(), nullable=True))
        batch_op.add_column(sa.Column("requires_envelope", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("counter_ceiling", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("terminal", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("quiet_told_at", models.columns.UtcInstant(), nullable=True))
        batch_op.add_column(sa.Column("dated_until", sa.BigInteger(), server_default="0", nullable=False))
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.add_column(sa.Column("seq", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("device_id", sa.String(length=32), nullable=True))
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("last_seq", sa.BigInteger(), server_default="0", nullable=False))


def _make_tables() -> None:
    op.create_table(
        "device_symbols",
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("tick_value", models.columns.DecimalText(), nullable=True),
        sa.Column("bid", models.columns.DecimalText(), nullable=True),
        sa.Column("ask", models.columns.DecimalText(), nullable=True),
        sa.Column("quoted_at", models.columns.UtcInstant(), nullable=True),
        sa.Column("told_at", models.columns.UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_device_symbols_device_id")),
        sa.PrimaryKeyConstraint("device_id", "name", name=op.f("pk_device_symbols")))
    op.create_table(
        "pairing_codes",
        sa.Column("id", models.columns.BigKey, autoincrement=True, nullable=False),
        sa.Column("user_id", models.columns.BigKey, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", models.columns.UtcInstant(), nullable=False),
        sa.Column("expires_at", models.columns.UtcInstant(), nullable=False),
        sa.Column("used_at", models.columns.UtcInstant(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_pairing_codes_user_id")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_pairing_codes_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pairing_codes")),
        sa.UniqueConstraint("digest", name=op.f("uq_pairing_codes_digest")))
    op.create_index(op.f("ix_pairing_codes_user_id"), "pairing_codes", ["user_id"])
    op.create_index(op.f("ix_pairing_codes_expires_at"), "pairing_codes", ["expires_at"])
    op.create_table(
        "device_acks",
        sa.Column("id", models.columns.BigKey, autoincrement=True, nullable=False),
        sa.Column("order_id", models.columns.BigKey, nullable=False),
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("received_at", models.columns.UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_device_acks_order_id")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_device_acks_device_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_acks")),
        sa.UniqueConstraint("order_id", "device_id", "digest", name=op.f("uq_device_acks_order_id_device_id_digest")))


def downgrade() -> None:
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.drop_column("last_seq")
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.drop_column("device_id")
        batch_op.drop_column("seq")
    with op.batch_alter_table("devices", schema=None) as batch_op:
        for column in ("dated_until", "quiet_told_at", "terminal", "counter_ceiling", "requires_envelope",
                       "previous_until", "sealed_previous_secret", "key_number"):
            batch_op.drop_column(column)
    for table in ("device_acks", "pairing_codes", "device_symbols"):
        op.drop_table(table)
