"""Keys have a public name, scopes, and an end."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# What every key could do before, spelled out: this migration must not follow a later list.
SCOPES = ["avatars", "read", "train", "datasets", "models", "keys"]


def upgrade() -> None:
    with op.batch_alter_table("keys") as table:
        table.add_column(sa.Column("id", sa.String(32)))
        table.add_column(sa.Column("scopes", sa.JSON()))
        table.add_column(sa.Column("revoked", sa.String(32)))
    keys = sa.table("keys", sa.column("hash"), sa.column("id"), sa.column("scopes", sa.JSON))
    db = op.get_bind()
    for (hashed,) in db.execute(sa.select(keys.c.hash)).all():
        filled = {"id": secrets.token_hex(6), "scopes": SCOPES}
        db.execute(sa.update(keys).where(keys.c.hash == hashed).values(**filled))
    with op.batch_alter_table("keys") as table:
        table.alter_column("id", existing_type=sa.String(32), nullable=False)
        table.alter_column("scopes", existing_type=sa.JSON(), nullable=False)
        table.create_unique_constraint("uq_keys_id", ["id"])
