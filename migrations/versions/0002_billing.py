"""Billing"""

import sqlalchemy as sa
from alembic import op

from models.columns import BigKey, UtcInstant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.String(length=128), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("operation_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", UtcInstant(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.String(), nullable=True),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("expires_at", UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint("operation_id", name=op.f("uq_idempotency_keys_operation_id")),
    )
    op.create_index(
        op.f("ix_idempotency_keys_state_expires_at"), "idempotency_keys", ["state", "expires_at"], unique=False
    )
    op.create_table(
        "customers",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("provider_customer_id", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_customers_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint(
            "provider", "provider_customer_id", name=op.f("uq_customers_provider_provider_customer_id")
        ),
        sa.UniqueConstraint("user_id", "provider", name=op.f("uq_customers_user_id_provider")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("transaction_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("user_id", BigKey, nullable=True),
        sa.Column("provider_subscription_id", sa.String(length=255), nullable=True),
        sa.Column("invoice_id", sa.String(length=255), nullable=True),
        sa.Column("occurred_at", UtcInstant(), nullable=False),
        sa.Column("recorded_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_ledger_entries_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint(
            "provider", "transaction_id", "kind", name=op.f("uq_ledger_entries_provider_transaction_id_kind")
        ),
    )
    op.create_index(
        op.f("ix_ledger_entries_user_id_occurred_at"), "ledger_entries", ["user_id", "occurred_at"], unique=False
    )
    op.create_table(
        "operations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("provider_object_id", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("updated_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_operations_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    op.create_index(
        "uq_operations_open",
        "operations",
        ["user_id", "kind"],
        unique=True,
        sqlite_where=sa.text("state IN ('started', 'unknown')"),
        postgresql_where=sa.text("state IN ('started', 'unknown')"),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("user_id", BigKey, nullable=False),
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("provider_subscription_id", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("tier", sa.String(length=16), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("current_period_start", UtcInstant(), nullable=True),
        sa.Column("current_period_end", UtcInstant(), nullable=True),
        sa.Column("cancel_at_period_end", sa.Boolean(), nullable=False),
        sa.Column("trial_end", UtcInstant(), nullable=True),
        sa.Column("past_due_since", UtcInstant(), nullable=True),
        sa.Column("ended_at", UtcInstant(), nullable=True),
        sa.Column("synced_at", UtcInstant(), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_subscriptions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint(
            "provider", "provider_subscription_id", name=op.f("uq_subscriptions_provider_provider_subscription_id")
        ),
    )
    op.create_index(op.f("ix_subscriptions_user_id_status"), "subscriptions", ["user_id", "status"], unique=False)
    op.create_table(
        "ledger_postings",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("entry_id", BigKey, nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["ledger_entries.id"], name=op.f("fk_ledger_postings_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_postings")),
    )
    op.create_index(
        op.f("ix_ledger_postings_account_currency"), "ledger_postings", ["account", "currency"], unique=False
    )
    op.create_index(op.f("ix_ledger_postings_entry_id"), "ledger_postings", ["entry_id"], unique=False)
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("source_id", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("subscription_id", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("invoice_id", sa.String(length=255), nullable=True))
        batch_op.add_column(sa.Column("reason", sa.String(length=64), nullable=True))
        batch_op.create_index(batch_op.f("ix_grants_invoice_id"), ["invoice_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_grants_subscription_id"), ["subscription_id"], unique=False)
        batch_op.create_unique_constraint(batch_op.f("uq_grants_source_source_id"), ["source", "source_id"])


def downgrade() -> None:
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_grants_source_source_id"), type_="unique")
        batch_op.drop_index(batch_op.f("ix_grants_subscription_id"))
        batch_op.drop_index(batch_op.f("ix_grants_invoice_id"))
        batch_op.drop_column("reason")
        batch_op.drop_column("invoice_id")
        batch_op.drop_column("subscription_id")
        batch_op.drop_column("source_id")
    op.drop_index(op.f("ix_ledger_postings_entry_id"), table_name="ledger_postings")
    op.drop_index(op.f("ix_ledger_postings_account_currency"), table_name="ledger_postings")
    op.drop_table("ledger_postings")
    op.drop_index(op.f("ix_subscriptions_user_id_status"), table_name="subscriptions")
    op.drop_table("subscriptions")
    op.drop_index(
        "uq_operations_open",
        table_name="operations",
        sqlite_where=sa.text("state IN ('started', 'unknown')"),
        postgresql_where=sa.text("state IN ('started', 'unknown')"),
    )
    op.drop_table("operations")
    op.drop_index(op.f("ix_ledger_entries_user_id_occurred_at"), table_name="ledger_entries")
    op.drop_table("ledger_entries")
    op.drop_table("customers")
    op.drop_index(op.f("ix_idempotency_keys_state_expires_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
