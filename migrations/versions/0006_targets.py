"""Acts at the targets of orders"""

import sqlalchemy as sa
from alembic import op

from models.columns import BigKey

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("position_acts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("order_id", BigKey, nullable=True))
        batch_op.add_column(sa.Column("target", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_position_acts_order_id"), "orders", ["order_id"], ["id"])
        batch_op.create_index(
            "uq_position_acts_target",
            ["order_id", "target"],
            unique=True,
            sqlite_where=sa.text("status IN ('queued', 'sent', 'unknown', 'done')"),
            postgresql_where=sa.text("status IN ('queued', 'sent', 'unknown', 'done')"),
        )


def downgrade() -> None:
    with op.batch_alter_table("position_acts", schema=None) as batch_op:
        batch_op.drop_index("uq_position_acts_target")
        batch_op.drop_constraint(batch_op.f("fk_position_acts_order_id"), type_="foreignkey")
        batch_op.drop_column("target")
        batch_op.drop_column("order_id")
