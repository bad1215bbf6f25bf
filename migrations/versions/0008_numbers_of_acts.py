"""Numbers of acts, by which their deals are found"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("position_acts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("magic", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("position_acts", schema=None) as batch_op:
        batch_op.drop_column("magic")
