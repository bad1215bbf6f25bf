"""What was paid in and out: the curve of equity and its peak know it"""

import sqlalchemy as sa
from alembic import op

from models.columns import DecimalText

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("equity_points", schema=None) as batch_op:
        batch_op.add_column(sa.Column("net_deposits", DecimalText(), nullable=True))
    with op.batch_alter_table("equity_peaks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("net_deposits", DecimalText(), nullable=True))
        batch_op.add_column(sa.Column("scale", DecimalText(), server_default="1", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("equity_peaks", schema=None) as batch_op:
        batch_op.drop_column("scale")
        batch_op.drop_column("net_deposits")
    with op.batch_alter_table("equity_points", schema=None) as batch_op:
        batch_op.drop_column("net_deposits")
