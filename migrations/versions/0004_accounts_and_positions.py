"""Accounts, devices, symbols and the life of positions"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from models.columns import BigKey, DecimalText, UtcInstant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "devices",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_seen_at", UtcInstant(), nullable=True),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("revoked_at", UtcInstant(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_devices_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
    )
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_devices_account_id"), ["account_id"], unique=False)
        batch_op.create_index(
            "uq_devices_name",
            ["user_id", "name"],
            unique=True,
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        )

    op.create_table(
        "device_snapshots",
        sa.Column("device_id", sa.String(length=32), nullable=False),
        sa.Column("login", sa.String(length=32), nullable=False),
        sa.Column("server", sa.String(length=64), nullable=False),
        sa.Column("account", sa.JSON(), nullable=False),
        sa.Column("positions", sa.JSON(), nullable=False),
        sa.Column("taken_at", UtcInstant(), nullable=False),
        sa.Column("received_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_device_snapshots_device_id")),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device_snapshots")),
    )
    with op.batch_alter_table("device_snapshots", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_snapshots_server_login"), ["server", "login"], unique=False)

    op.create_table(
        "deals",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("account_id", BigKey, nullable=False),
        sa.Column("deal_id", sa.BigInteger(), nullable=False),
        sa.Column("position_id", sa.BigInteger(), nullable=False),
        sa.Column("magic", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("entry", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("volume", DecimalText(), nullable=False),
        sa.Column("price", DecimalText(), nullable=False),
        sa.Column("profit", DecimalText(), nullable=False),
        sa.Column("swap", DecimalText(), nullable=False),
        sa.Column("commission", DecimalText(), nullable=False),
        sa.Column("fee", DecimalText(), nullable=False),
        sa.Column("at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_deals_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deals")),
        sa.UniqueConstraint("account_id", "deal_id", name=op.f("uq_deals_account_id_deal_id")),
    )
    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deals_account_id_magic"), ["account_id", "magic"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_deals_account_id_position_id"), ["account_id", "position_id"], unique=False
        )

    op.create_table(
        "equity_points",
        sa.Column("account_id", BigKey, nullable=False),
        sa.Column("at", UtcInstant(), nullable=False),
        sa.Column("equity", DecimalText(), nullable=False),
        sa.Column("balance", DecimalText(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_equity_points_account_id")),
        sa.PrimaryKeyConstraint("account_id", "at", name=op.f("pk_equity_points")),
    )
    op.create_table(
        "position_acts",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("account_id", BigKey, nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("door", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("position_volume", DecimalText(), nullable=False),
        sa.Column("volume", DecimalText(), nullable=True),
        sa.Column("stop_loss", DecimalText(), nullable=True),
        sa.Column("take_profit", DecimalText(), nullable=True),
        sa.Column("price", DecimalText(), nullable=True),
        sa.Column("retcode", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("error", sa.String(length=256), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=40), nullable=True),
        sa.Column("lease_until", UtcInstant(), nullable=True),
        sa.Column("next_try_at", UtcInstant(), nullable=False),
        sa.Column("sent_at", UtcInstant(), nullable=True),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("updated_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_position_acts_account_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_position_acts_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_position_acts")),
    )
    with op.batch_alter_table("position_acts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_position_acts_status_next_try_at"), ["status", "next_try_at"], unique=False
        )
        batch_op.create_index(
            "uq_position_acts_open",
            ["account_id", "ticket"],
            unique=True,
            sqlite_where=sa.text("status IN ('queued', 'sent', 'unknown')"),
            postgresql_where=sa.text("status IN ('queued', 'sent', 'unknown')"),
        )

    op.create_table(
        "position_events",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("account_id", BigKey, nullable=False),
        sa.Column("position_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("deal_id", sa.BigInteger(), nullable=True),
        sa.Column("volume", DecimalText(), nullable=True),
        sa.Column("price", DecimalText(), nullable=True),
        sa.Column("stop_loss", DecimalText(), nullable=True),
        sa.Column("take_profit", DecimalText(), nullable=True),
        sa.Column("reason", sa.String(length=16), nullable=True),
        sa.Column("at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_position_events_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_position_events")),
        sa.UniqueConstraint("account_id", "deal_id", "kind", name=op.f("uq_position_events_account_id_deal_id_kind")),
    )
    with op.batch_alter_table("position_events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_position_events_account_id_position_id"), ["account_id", "position_id"], unique=False
        )

    op.create_table(
        "symbol_maps",
        sa.Column("account_id", BigKey, nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("broker_symbol", sa.String(length=32), nullable=True),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("problem", sa.String(length=16), nullable=True),
        sa.Column("checked_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_symbol_maps_account_id")),
        sa.PrimaryKeyConstraint("account_id", "symbol", name=op.f("pk_symbol_maps")),
    )
    op.create_table(
        "positions",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("account_id", BigKey, nullable=False),
        sa.Column("position_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", BigKey, nullable=True),
        sa.Column("magic", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("volume", DecimalText(), nullable=False),
        sa.Column("closed_volume", DecimalText(), nullable=False),
        sa.Column("entry_price", DecimalText(), nullable=False),
        sa.Column("exit_price", DecimalText(), nullable=True),
        sa.Column("stop_loss", DecimalText(), nullable=True),
        sa.Column("take_profit", DecimalText(), nullable=True),
        sa.Column("profit", DecimalText(), nullable=False),
        sa.Column("swap", DecimalText(), nullable=False),
        sa.Column("commission", DecimalText(), nullable=False),
        sa.Column("fee", DecimalText(), nullable=False),
        sa.Column("net", DecimalText(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=True),
        sa.Column("opened_at", UtcInstant(), nullable=False),
        sa.Column("closed_at", UtcInstant(), nullable=True),
        sa.Column("updated_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_positions_account_id")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_positions_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_positions")),
        sa.UniqueConstraint("account_id", "position_id", name=op.f("uq_positions_account_id_position_id")),
    )
    with op.batch_alter_table("positions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_positions_account_id_closed_at"), ["account_id", "closed_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_positions_account_id_status"), ["account_id", "status"], unique=False)

    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("can_trade", sa.Boolean(), server_default=sa.true(), nullable=False))
        batch_op.add_column(sa.Column("leverage", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("margin_mode", sa.String(length=8), nullable=True))
        batch_op.add_column(sa.Column("sealed_password", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("device_id", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("trouble", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("deals_read_until", UtcInstant(), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_accounts_device_id"), "devices", ["device_id"], ["id"])

    with op.batch_alter_table("paper_accounts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("margin_mode", sa.String(length=8), server_default="hedging", nullable=False))
    with op.batch_alter_table("paper_positions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("identifier", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("swap", DecimalText(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("rolled_until", UtcInstant(), nullable=True))
        batch_op.add_column(sa.Column("revision", sa.Integer(), server_default="0", nullable=False))
    # Nights count from now on, not from when what is open was opened.
    rolled = sa.table("paper_positions", sa.column("rolled_until", UtcInstant()))
    op.execute(rolled.update().values(rolled_until=datetime.now(UTC)))
    with op.batch_alter_table("paper_deals", schema=None) as batch_op:
        batch_op.add_column(sa.Column("position_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("paper_deals", schema=None) as batch_op:
        batch_op.drop_column("position_id")
    with op.batch_alter_table("paper_positions", schema=None) as batch_op:
        batch_op.drop_column("revision")
        batch_op.drop_column("rolled_until")
        batch_op.drop_column("swap")
        batch_op.drop_column("identifier")
    with op.batch_alter_table("paper_accounts", schema=None) as batch_op:
        batch_op.drop_column("margin_mode")

    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_accounts_device_id"), type_="foreignkey")
        batch_op.drop_column("deals_read_until")
        batch_op.drop_column("trouble")
        batch_op.drop_column("device_id")
        batch_op.drop_column("sealed_password")
        batch_op.drop_column("margin_mode")
        batch_op.drop_column("leverage")
        batch_op.drop_column("can_trade")

    with op.batch_alter_table("positions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_positions_account_id_status"))
        batch_op.drop_index(batch_op.f("ix_positions_account_id_closed_at"))

    op.drop_table("positions")
    op.drop_table("symbol_maps")
    with op.batch_alter_table("position_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_position_events_account_id_position_id"))

    op.drop_table("position_events")
    with op.batch_alter_table("position_acts", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_position_acts_open",
            sqlite_where=sa.text("status IN ('queued', 'sent', 'unknown')"),
            postgresql_where=sa.text("status IN ('queued', 'sent', 'unknown')"),
        )
        batch_op.drop_index(batch_op.f("ix_position_acts_status_next_try_at"))

    op.drop_table("position_acts")
    op.drop_table("equity_points")
    with op.batch_alter_table("deals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deals_account_id_position_id"))
        batch_op.drop_index(batch_op.f("ix_deals_account_id_magic"))

    op.drop_table("deals")
    with op.batch_alter_table("device_snapshots", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_device_snapshots_server_login"))

    op.drop_table("device_snapshots")
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_devices_name",
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_devices_account_id"))

    op.drop_table("devices")
