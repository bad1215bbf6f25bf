"""The desk"""

import sqlalchemy as sa
from alembic import op

from models.columns import BigKey, DecimalText, UtcInstant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("at", UtcInstant(), nullable=False),
        sa.Column("action", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("door", sa.String(length=16), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index(op.f("ix_audit_events_subject_subject_id"), "audit_events", ["subject", "subject_id"], unique=False)
    op.create_index(op.f("ix_audit_events_user_id"), "audit_events", ["user_id"], unique=False)
    op.create_table(
        "deal_cursors",
        sa.Column("route", sa.String(length=16), nullable=False),
        sa.Column("deal_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("route", name=op.f("pk_deal_cursors")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("lane", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("payload_sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", UtcInstant(), nullable=False),
        sa.Column("lease_owner", sa.String(length=40), nullable=True),
        sa.Column("lease_until", UtcInstant(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("received_at", UtcInstant(), nullable=False),
        sa.Column("handled_at", UtcInstant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_inbox_source_external_id")),
    )
    op.create_index(
        "ix_inbox_pending",
        "inbox",
        ["source", "lane", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(op.f("ix_inbox_state_handled_at"), "inbox", ["state", "handled_at"], unique=False)
    op.create_table(
        "key_canaries",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("sealed_text", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_canaries")),
    )
    op.create_table(
        "providers",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("disabled_at", UtcInstant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
        sa.UniqueConstraint("name", name=op.f("uq_providers_name")),
    )
    op.create_table(
        "signal_terms",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("signal_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("terms_hash", sa.String(length=64), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("order_type", sa.String(length=8), nullable=False),
        sa.Column("entry_price", DecimalText(), nullable=True),
        sa.Column("entry_low", DecimalText(), nullable=True),
        sa.Column("entry_high", DecimalText(), nullable=True),
        sa.Column("stop_loss", DecimalText(), nullable=True),
        sa.Column("take_profits", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("expires_at", UtcInstant(), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_terms")),
        sa.UniqueConstraint("signal_id", "version", name=op.f("uq_signal_terms_signal_id_version")),
    )
    op.create_table(
        "users",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("telegram_id", sa.BigInteger(), nullable=False),
        sa.Column("first_name", sa.String(length=256), nullable=False),
        sa.Column("last_name", sa.String(length=256), nullable=True),
        sa.Column("username", sa.String(length=64), nullable=True),
        sa.Column("language_code", sa.String(length=16), nullable=True),
        sa.Column("card_notice", sa.String(length=8), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("blocked_at", UtcInstant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("telegram_id", name=op.f("uq_users_telegram_id")),
    )
    op.create_table(
        "accounts",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("route", sa.String(length=16), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("login", sa.String(length=32), nullable=False),
        sa.Column("server", sa.String(length=64), nullable=False),
        sa.Column("broker", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("sizing", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("is_primary", sa.Boolean(), nullable=False),
        sa.Column("verified_at", UtcInstant(), nullable=True),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("unlinked_at", UtcInstant(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_accounts_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
    )
    op.create_index(op.f("ix_accounts_user_id"), "accounts", ["user_id"], unique=False)
    op.create_index(
        "uq_accounts_login",
        "accounts",
        ["server", "login"],
        unique=True,
        sqlite_where=sa.text("status = 'verified' AND unlinked_at IS NULL"),
        postgresql_where=sa.text("status = 'verified' AND unlinked_at IS NULL"),
    )
    op.create_index(
        "uq_accounts_primary",
        "accounts",
        ["user_id"],
        unique=True,
        sqlite_where=sa.text("is_primary AND unlinked_at IS NULL"),
        postgresql_where=sa.text("is_primary AND unlinked_at IS NULL"),
    )
    op.create_table(
        "follows",
        sa.Column("provider_id", BigKey, nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_follows_provider_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_follows_user_id")),
        sa.PrimaryKeyConstraint("provider_id", "user_id", name=op.f("pk_follows")),
    )
    op.create_index(op.f("ix_follows_user_id"), "follows", ["user_id"], unique=False)
    op.create_table(
        "grants",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("tier", sa.String(length=16), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("starts_at", UtcInstant(), nullable=False),
        sa.Column("ends_at", UtcInstant(), nullable=False),
        sa.Column("revoked_at", UtcInstant(), nullable=True),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_grants_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_user_id_ends_at"), "grants", ["user_id", "ends_at"], unique=False)
    op.create_table(
        "used_nonces",
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "nonce", name=op.f("pk_used_nonces")),
    )
    op.create_index(op.f("ix_used_nonces_expires_at"), "used_nonces", ["expires_at"], unique=False)
    op.create_table(
        "provider_keys",
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("provider_id", BigKey, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("revoked_at", UtcInstant(), nullable=True),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_provider_keys_provider_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_provider_keys")),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("expires_at", UtcInstant(), nullable=False),
        sa.Column("rotated_at", UtcInstant(), nullable=True),
        sa.Column("revoked_at", UtcInstant(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_refresh_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_refresh_tokens_token_hash")),
    )
    op.create_index(op.f("ix_refresh_tokens_expires_at"), "refresh_tokens", ["expires_at"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_family"), "refresh_tokens", ["family"], unique=False)
    op.create_table(
        "roles",
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("granted_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_roles_user_id")),
        sa.PrimaryKeyConstraint("user_id", "name", name=op.f("pk_roles")),
    )
    op.create_table(
        "signals",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("provider_id", BigKey, nullable=False),
        sa.Column("external_id", sa.String(length=64), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("terms_id", BigKey, nullable=True),
        sa.Column("published_at", UtcInstant(), nullable=False),
        sa.Column("expires_at", UtcInstant(), nullable=False),
        sa.Column("ended_at", UtcInstant(), nullable=True),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_signals_provider_id")),
        sa.ForeignKeyConstraint(["terms_id"], ["signal_terms.id"], name=op.f("fk_signals_terms_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signals")),
        sa.UniqueConstraint("provider_id", "external_id", name=op.f("uq_signals_provider_id_external_id")),
    )
    op.create_table(
        "approvals",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("signal_id", BigKey, nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("terms_id", BigKey, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("visible_at", UtcInstant(), nullable=False),
        sa.Column("expires_at", UtcInstant(), nullable=False),
        sa.Column("decided_at", UtcInstant(), nullable=True),
        sa.Column("decided_via", sa.String(length=8), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("card_message_id", sa.BigInteger(), nullable=True),
        sa.Column("card_hash", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["signal_id"], ["signals.id"], name=op.f("fk_approvals_signal_id")),
        sa.ForeignKeyConstraint(["terms_id"], ["signal_terms.id"], name=op.f("fk_approvals_terms_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_approvals_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("signal_id", "user_id", name=op.f("uq_approvals_signal_id_user_id")),
    )
    op.create_index(op.f("ix_approvals_status_expires_at"), "approvals", ["status", "expires_at"], unique=False)
    op.create_index(
        op.f("ix_approvals_user_id_status_expires_at"), "approvals", ["user_id", "status", "expires_at"], unique=False
    )
    op.create_table(
        "equity_peaks",
        sa.Column("account_id", BigKey, nullable=False),
        sa.Column("peak", DecimalText(), nullable=False),
        sa.Column("max_drawdown_percent", DecimalText(), nullable=False),
        sa.Column("updated_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_equity_peaks_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_equity_peaks")),
    )
    op.create_table(
        "fan_outs",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("signal_id", BigKey, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("done_at", UtcInstant(), nullable=True),
        sa.ForeignKeyConstraint(["signal_id"], ["signals.id"], name=op.f("fk_fan_outs_signal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fan_outs")),
    )
    op.create_index(op.f("ix_fan_outs_done_at_id"), "fan_outs", ["done_at", "id"], unique=False)
    op.create_table(
        "orders",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("approval_id", BigKey, nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("account_id", BigKey, nullable=False),
        sa.Column("terms_id", BigKey, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("order_type", sa.String(length=8), nullable=False),
        sa.Column("volume", DecimalText(), nullable=True),
        sa.Column("entry_price", DecimalText(), nullable=True),
        sa.Column("stop_loss", DecimalText(), nullable=True),
        sa.Column("take_profits", sa.JSON(), nullable=False),
        sa.Column("magic", sa.BigInteger(), nullable=True),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("fill_price", DecimalText(), nullable=True),
        sa.Column("profit", DecimalText(), nullable=True),
        sa.Column("retcode", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("error", sa.String(length=256), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=40), nullable=True),
        sa.Column("lease_until", UtcInstant(), nullable=True),
        sa.Column("next_try_at", UtcInstant(), nullable=False),
        sa.Column("expires_at", UtcInstant(), nullable=False),
        sa.Column("sent_at", UtcInstant(), nullable=True),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("updated_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_orders_account_id")),
        sa.ForeignKeyConstraint(["approval_id"], ["approvals.id"], name=op.f("fk_orders_approval_id")),
        sa.ForeignKeyConstraint(["terms_id"], ["signal_terms.id"], name=op.f("fk_orders_terms_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_orders_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("approval_id", name=op.f("uq_orders_approval_id")),
        sa.UniqueConstraint("magic", name=op.f("uq_orders_magic")),
    )
    op.create_index(op.f("ix_orders_account_id_status"), "orders", ["account_id", "status"], unique=False)
    op.create_index(op.f("ix_orders_status_next_try_at"), "orders", ["status", "next_try_at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("chat_id", sa.BigInteger(), nullable=False),
        sa.Column("approval_id", BigKey, nullable=True),
        sa.Column("dedupe_key", sa.String(length=96), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", UtcInstant(), nullable=False),
        sa.Column("lease_owner", sa.String(length=40), nullable=True),
        sa.Column("lease_until", UtcInstant(), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("settled_at", UtcInstant(), nullable=True),
        sa.ForeignKeyConstraint(["approval_id"], ["approvals.id"], name=op.f("fk_outbox_approval_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_outbox_dedupe_key")),
    )
    op.create_index(
        "ix_outbox_chat",
        "outbox",
        ["chat_id", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["priority", "next_try_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(op.f("ix_outbox_state_settled_at"), "outbox", ["state", "settled_at"], unique=False)
    op.create_table(
        "paper_accounts",
        sa.Column("login", sa.String(length=32), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("leverage", sa.Integer(), nullable=False),
        sa.Column("deposit", DecimalText(), nullable=False),
        sa.Column("balance", DecimalText(), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("login"),
    )
    op.create_table(
        "paper_deals",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("login", sa.String(length=32), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
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
        sa.Column("remaining_volume", DecimalText(), nullable=False),
        sa.Column("at", UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_paper_deals_login", "paper_deals", ["login"], unique=False)
    op.create_table(
        "paper_orders",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("login", sa.String(length=32), nullable=False),
        sa.Column("magic", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("order_type", sa.String(length=8), nullable=False),
        sa.Column("volume", DecimalText(), nullable=False),
        sa.Column("price", DecimalText(), nullable=True),
        sa.Column("stop_loss", DecimalText(), nullable=True),
        sa.Column("take_profits", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("retcode", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("fill_price", DecimalText(), nullable=True),
        sa.Column("expires_at", UtcInstant(), nullable=True),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("login", "magic", name="uq_paper_orders_login"),
    )
    op.create_index("ix_paper_orders_status", "paper_orders", ["status"], unique=False)
    op.create_table(
        "paper_positions",
        sa.Column("ticket", BigKey, autoincrement=True, nullable=False),
        sa.Column("login", sa.String(length=32), nullable=False),
        sa.Column("magic", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("volume", DecimalText(), nullable=False),
        sa.Column("entry_price", DecimalText(), nullable=False),
        sa.Column("stop_loss", DecimalText(), nullable=True),
        sa.Column("targets", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("opened_at", UtcInstant(), nullable=False),
        sa.Column("closed_at", UtcInstant(), nullable=True),
        sa.PrimaryKeyConstraint("ticket"),
    )
    op.create_index("ix_paper_positions_login", "paper_positions", ["login", "status"], unique=False)
    op.create_index("ix_paper_positions_status", "paper_positions", ["status"], unique=False)
    op.create_table(
        "paper_quotes",
        sa.Column("symbol", sa.String(length=32), nullable=False),
        sa.Column("bid", DecimalText(), nullable=False),
        sa.Column("ask", DecimalText(), nullable=False),
        sa.Column("at", UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("symbol"),
    )


def downgrade() -> None:
    op.drop_table("paper_quotes")
    op.drop_index("ix_paper_positions_status", table_name="paper_positions")
    op.drop_index("ix_paper_positions_login", table_name="paper_positions")
    op.drop_table("paper_positions")
    op.drop_index("ix_paper_orders_status", table_name="paper_orders")
    op.drop_table("paper_orders")
    op.drop_index("ix_paper_deals_login", table_name="paper_deals")
    op.drop_table("paper_deals")
    op.drop_table("paper_accounts")
    op.drop_index(op.f("ix_outbox_state_settled_at"), table_name="outbox")
    op.drop_index(
        "ix_outbox_due",
        table_name="outbox",
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_index(
        "ix_outbox_chat",
        table_name="outbox",
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_table("outbox")
    op.drop_index(op.f("ix_orders_status_next_try_at"), table_name="orders")
    op.drop_index(op.f("ix_orders_account_id_status"), table_name="orders")
    op.drop_table("orders")
    op.drop_index(op.f("ix_fan_outs_done_at_id"), table_name="fan_outs")
    op.drop_table("fan_outs")
    op.drop_table("equity_peaks")
    op.drop_index(op.f("ix_approvals_user_id_status_expires_at"), table_name="approvals")
    op.drop_index(op.f("ix_approvals_status_expires_at"), table_name="approvals")
    op.drop_table("approvals")
    op.drop_table("signals")
    op.drop_table("roles")
    op.drop_index(op.f("ix_refresh_tokens_family"), table_name="refresh_tokens")
    op.drop_index(op.f("ix_refresh_tokens_expires_at"), table_name="refresh_tokens")
    op.drop_table("refresh_tokens")
    op.drop_index(op.f("ix_used_nonces_expires_at"), table_name="used_nonces")
    op.drop_table("used_nonces")
    op.drop_table("provider_keys")
    op.drop_index(op.f("ix_grants_user_id_ends_at"), table_name="grants")
    op.drop_table("grants")
    op.drop_index(op.f("ix_follows_user_id"), table_name="follows")
    op.drop_table("follows")
    op.drop_index(
        "uq_accounts_primary",
        table_name="accounts",
        sqlite_where=sa.text("is_primary AND unlinked_at IS NULL"),
        postgresql_where=sa.text("is_primary AND unlinked_at IS NULL"),
    )
    op.drop_index(
        "uq_accounts_login",
        table_name="accounts",
        sqlite_where=sa.text("status = 'verified' AND unlinked_at IS NULL"),
        postgresql_where=sa.text("status = 'verified' AND unlinked_at IS NULL"),
    )
    op.drop_index(op.f("ix_accounts_user_id"), table_name="accounts")
    op.drop_table("accounts")
    op.drop_table("users")
    op.drop_table("signal_terms")
    op.drop_table("providers")
    op.drop_table("key_canaries")
    op.drop_index(op.f("ix_inbox_state_handled_at"), table_name="inbox")
    op.drop_index(
        "ix_inbox_pending",
        table_name="inbox",
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_table("inbox")
    op.drop_table("deal_cursors")
    op.drop_index(op.f("ix_audit_events_user_id"), table_name="audit_events")
    op.drop_index(op.f("ix_audit_events_subject_subject_id"), table_name="audit_events")
    op.drop_table("audit_events")
