"""API keys have public keys, which verify sessions and signed addresses.

Both are null until the key itself is next used: they cannot be derived from its hash.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("keys") as table:
        table.add_column(sa.Column("session_key", sa.String(64)))
        table.add_column(sa.Column("address_key", sa.String(64)))
