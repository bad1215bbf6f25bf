"""From when on an account's deals have to be timed anew"""

import sqlalchemy as sa
from alembic import op

from models.columns import UtcInstant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("deals_untimed_since", UtcInstant(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.drop_column("deals_untimed_since")
