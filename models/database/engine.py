"""The database: what is true about runs, models and datasets.

SQLite in WAL mode by default (never on NFS), or PostgreSQL by DATABASE_URL.
"""

import datetime
import time
import zlib
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy import event

from models.errors import KaoError
from models.settings import Settings
from models.storage import atomic, layout

log = structlog.get_logger()

PATIENCE = 60.0  # s that a start waits for its database: hosts boot in any order

# `0001_what.py` is revision "0001": the names sort as the revisions follow each other.
MIGRATIONS = Path(__file__).parent / "migrations"


def now() -> str:
    """The time of day in UTC, ISO 8601; for people to read, never for leases."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def url_of(settings: Settings) -> sa.URL:
    """The database's address: DATABASE_URL, else SQLite in the home, whatever its path contains."""
    if settings.database_url is not None:
        return sa.make_url(settings.database_url)
    return sa.URL.create("sqlite", database=str(settings.home / layout.DATABASE))


def connect(settings: Settings) -> sa.Engine:
    """An engine whose transactions are durable and wait for each other.

    Makes the home, private to this user. Its first use raises KaoError for a PostgreSQL database
    that is not UTF-8.
    """
    atomic.private_folder(settings.home)
    url = url_of(settings)
    if url.get_backend_name() != "sqlite":
        engine = sa.create_engine(url, pool_pre_ping=True)
        # Ahead of SQLAlchemy's own first words, which fail on what SQL_ASCII answers.
        event.listen(engine, "connect", _refuse_other_encodings, insert=True)
        return engine
    engine = sa.create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _durable(connection, _record) -> None:  # type: ignore[no-untyped-def]
        # SQLAlchemy shall begin transactions itself: the driver's own would start them late.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A reader that turns writer in WAL mode fails at once instead of waiting.
        reads = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _refuse_other_encodings(connection, _record) -> None:  # type: ignore[no-untyped-def]
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        name = connection.info.dbname
        connection.close()
        raise KaoError(
            f"The database {name!r} has the encoding {encoding}, and Kao keeps "
            "names and licences of any script. Make one with `CREATE DATABASE kao ENCODING 'UTF8' "
            "TEMPLATE template0;` and let DATABASE_URL name it."
        )


def reading(engine: sa.Engine) -> sa.Engine:
    """The same for transactions that only read: they wait for no writer."""
    return engine.execution_options(reading=True)


def lock(db: sa.Connection, name: str) -> None:
    """Hold the lock `name` until this transaction ends.

    SQLite has one writer at a time. PostgreSQL would let two read the same "last number".
    """
    if db.dialect.name == "postgresql":
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(zlib.crc32(name.encode()))))


def wait_for(engine: sa.Engine, patience: float = PATIENCE) -> None:
    """Return when the database answers. Raises OperationalError after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            with reading(engine).connect():
                return
        except sa.exc.OperationalError as error:
            if time.monotonic() > deadline:
                raise
            log.warning("database.awaited", reason=type(error.orig).__name__)
        time.sleep(1.0)


def _revision(engine: sa.Engine) -> str | None:
    if not sa.inspect(engine).has_table("alembic_version"):
        return None
    with engine.begin() as connection:
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to this version's, in one transaction; two at once take turns.

    Waits for a database that does not answer yet.
    """
    wait_for(engine)
    if _revision(engine) == max(path.name[:4] for path in MIGRATIONS.glob("versions/[0-9]*.py")):
        return
    # Here, because Alembic is 10 MB and 0.15 s of every start (benchmarks/footprint.py).
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        lock(connection, "migrate")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
