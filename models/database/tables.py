"""The tables of runs, models, datasets and keys."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, MetaData, Table

# SQLite can only alter constraints that have names (Alembic's batch mode).
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

runs = Table(
    "runs",
    metadata,
    Column("id", sa.String(32), primary_key=True),
    Column("number", sa.Integer, nullable=False, unique=True),  # in order of creation
    Column("state", sa.String(16), nullable=False, index=True),
    Column("recipe", sa.JSON, nullable=False),
    Column("created", sa.String(32), nullable=False),
    Column("started", sa.String(32)),
    Column("finished", sa.String(32)),
    Column("attempt", sa.Integer, nullable=False, default=0),
    Column("fence", sa.Integer, nullable=False, default=0),
    Column("heartbeat", sa.Integer, nullable=False, default=0),
    Column("cancel", sa.Boolean, nullable=False, default=False),
    Column("stalls", sa.Integer, nullable=False, default=0),  # attempts without a new snapshot
    Column("snapshot", sa.String(200)),
    Column("progress", sa.JSON),
    Column("error", sa.Text),
    Column("version", sa.String(64)),
    Column("idempotency_key", sa.String(200), unique=True),
    Column("request", sa.JSON, nullable=False),
    Column("name", sa.String(80)),  # as in models/name_and_note.py
    Column("note", sa.Text),
)

events = Table(
    "events",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("number", sa.Integer, primary_key=True),
    Column("type", sa.String(32), nullable=False),
    Column("data", sa.JSON, nullable=False),
    Column("at", sa.String(32), nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("version", sa.String(64), primary_key=True),
    Column("run", sa.String(32)),
    Column("published", sa.String(32), nullable=False),
    Column("card", sa.JSON, nullable=False),
    Column("bytes", sa.BigInteger, nullable=False),
    Column("name", sa.String(80)),
    Column("note", sa.Text),
)

aliases = Table(
    "aliases",
    metadata,
    Column("name", sa.String(64), primary_key=True),
    Column("version", ForeignKey("models.version"), nullable=False),
)

moves = Table(
    "moves",
    metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("alias", sa.String(64), nullable=False),
    Column("version", ForeignKey("models.version"), nullable=False),
    Column("at", sa.String(32), nullable=False),
    Index("ix_moves_alias_number", "alias", "number"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("name", sa.String(64), primary_key=True),
    Column("digest", sa.String(64), nullable=False),
    Column("bytes", sa.BigInteger, nullable=False),
    Column("images", sa.Integer, nullable=False),
    Column("licence", sa.String(200), nullable=False),
    Column("uploaded", sa.String(32), nullable=False),
    Column("key", sa.String(32)),  # the API key whose quota it counts against
    # What the check of the upload found (models/datasets/catalogue.py); NULL before 2026-12.
    Column("report", sa.JSON),
)

keys = Table(
    "keys",
    metadata,
    Column("hash", sa.String(64), primary_key=True),
    Column("name", sa.String(64), nullable=False),
    Column("created", sa.String(32), nullable=False),
    Column("id", sa.String(32), nullable=False, unique=True),
    Column("scopes", sa.JSON, nullable=False),
    Column("revoked", sa.String(32)),
    Column("session_key", sa.String(64)),  # public keys, of Ed25519, in hex
    Column("address_key", sa.String(64)),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", sa.String(32), primary_key=True),
    Column("url", sa.Text, nullable=False),
    Column("secret", sa.String(64), nullable=False),
    Column("types", sa.JSON, nullable=False),
    Column("created", sa.String(32), nullable=False),
    Column("deleted", sa.String(32)),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("number", sa.Integer, primary_key=True, autoincrement=True),
    Column("webhook", ForeignKey("webhooks.id"), nullable=False),
    Column("type", sa.String(32), nullable=False),
    Column("body", sa.JSON, nullable=False),
    Column("created", sa.String(32), nullable=False),
    Column("state", sa.String(16), nullable=False, index=True),
    Column("due", sa.Float, nullable=False),  # Unix time of the next attempt
    Column("attempts", sa.Integer, nullable=False),
    Column("status", sa.Integer),  # of the last answer
    Column("error", sa.Text),
)
