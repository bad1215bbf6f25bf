"""Acts are found by their position and their order"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("position_acts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_position_acts_account_id_ticket"), ["account_id", "ticket"], unique=False)
        batch_op.create_index(batch_op.f("ix_position_acts_order_id"), ["order_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("position_acts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_position_acts_order_id"))
        batch_op.drop_index(batch_op.f("ix_position_acts_account_id_ticket"))
