"""Runs and models have a name and a note."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("runs", "models"):
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("name", sa.String(80)))
            table.add_column(sa.Column("note", sa.Text()))
