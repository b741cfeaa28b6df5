"""The database of runs, models, datasets and keys.

SQLite in WAL mode by default (never on NFS), or PostgreSQL by DATABASE_URL.
"""

import contextlib
import datetime
import os
import time
import weakref
import zlib
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy import event

from models.errors import NewerDatabase, UnusableDatabase
from models.settings import Settings
from models.storage import atomic, layout

log = structlog.get_logger()

LOCK_SECONDS = 30  # that a transaction of SQLite waits for the write lock
# s that a writer waits for a connection: where so many writers wait for the lock already, one more
# would only occupy a thread.
POOL_SECONDS = 2.0
NO_FILE = "unable to open database file"  # SQLite's words for a folder, or for missing rights
START_TIMEOUT = 60.0  # s that a start waits for its database: hosts start in any order

# The engine of readers for the engine of writers: with a pool of their own, readers find a
# connection however many writers wait.
_READERS: weakref.WeakKeyDictionary[sa.Engine, sa.Engine] = weakref.WeakKeyDictionary()

# `0001_name.py` is revision "0001": file names sort in the order of the revisions.
MIGRATIONS = Path(__file__).parent / "migrations"


def now() -> str:
    """Return the time of day in UTC, ISO 8601. It is for display, never for leases."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def url_of(settings: Settings) -> sa.URL:
    """The database's address: DATABASE_URL, else SQLite in the home, whatever its path contains."""
    if settings.database_url is not None:
        return sa.make_url(settings.database_url)
    return sa.URL.create("sqlite", database=str(settings.home / layout.DATABASE))


def connect(settings: Settings) -> sa.Engine:
    """Return an engine whose transactions are durable and wait for each other.

    Makes the home, private to this user. The first connection raises UnusableDatabase for a
    PostgreSQL database that is not UTF-8.
    """
    atomic.private_folder(settings.home)
    url = url_of(settings)
    engine, reader = _create_engine(url), _create_engine(url)
    _READERS[engine] = reader

    @event.listens_for(engine, "engine_disposed")
    def _dispose(_: sa.Engine) -> None:
        reader.dispose()

    return engine


def _create_engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        engine = sa.create_engine(url, pool_pre_ping=True, pool_timeout=POOL_SECONDS)
        # Before SQLAlchemy's own first queries, which fail on the answers of SQL_ASCII.
        event.listen(engine, "connect", _refuse_other_encodings, insert=True)
        if url.get_driver_name() == "psycopg":
            from models.database import postgresql  # psycopg is in the extra `hosts` alone

            postgresql.install(engine)
        return engine
    if url.database and url.database != ":memory:":
        _create_private(Path(url.database))
    engine = sa.create_engine(
        url, connect_args={"timeout": LOCK_SECONDS}, pool_timeout=POOL_SECONDS
    )

    @event.listens_for(engine, "connect")
    def _durable(connection, _record) -> None:  # type: ignore[no-untyped-def]
        # SQLAlchemy begins the transactions; the driver would begin them late.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # In WAL mode a transaction that reads and then writes fails at once instead of waiting.
        options = connection.get_execution_options()
        if options.get("failing_if_locked", False):
            _begin_at_once(connection)
        else:
            connection.exec_driver_sql("BEGIN" if options.get("reading") else "BEGIN IMMEDIATE")

    return engine


def _create_private(path: Path) -> None:
    """Create SQLite's file as accessible as its folder; SQLite itself would follow the umask.

    The files of the write-ahead log inherit its mode.
    """
    if not path.parent.is_dir():
        return  # SQLite says what is missing
    mode = path.parent.stat().st_mode & 0o660
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    if path.stat().st_mode & 0o777 != mode:
        with contextlib.suppress(PermissionError):  # of another user
            path.chmod(mode)


def _refuse_other_encodings(connection, _record) -> None:  # type: ignore[no-untyped-def]
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        name = connection.info.dbname
        connection.close()
        raise UnusableDatabase(
            f"The database {name!r} has the encoding {encoding}, and Kao keeps "
            "names and licences of any script. Make one with `CREATE DATABASE kao ENCODING 'UTF8' "
            "TEMPLATE template0;` and let DATABASE_URL name it."
        )


def reading(engine: sa.Engine) -> sa.Engine:
    """Return the engine for transactions that only read. They wait for no writer."""
    return _READERS.get(engine, engine).execution_options(reading=True)


def failing_if_locked(engine: sa.Engine) -> sa.Engine:
    """Return the engine for a write that is not worth waiting for.

    With SQLite its transactions raise OperationalError at once while another one writes.
    """
    return engine.execution_options(failing_if_locked=True)


def _begin_at_once(connection: sa.Connection) -> None:
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * LOCK_SECONDS}")


def lock(db: sa.Connection, name: str) -> None:
    """Hold the lock `name` until this transaction ends.

    SQLite has one writer at a time. PostgreSQL would let two read the same "last number".
    """
    if db.dialect.name == "postgresql":
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(zlib.crc32(name.encode()))))


def wait_until_available(engine: sa.Engine) -> None:
    """Return when the database answers. Raises OperationalError after START_TIMEOUT.

    A file of SQLite that cannot be opened raises it at once: nothing will make it.
    """
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with reading(engine).connect():
                return
        except sa.exc.OperationalError as error:
            reason = str(error.orig).partition("\n")[0]
            if time.monotonic() > deadline or reason == NO_FILE:
                raise
            log.warning("database.awaited", reason=reason)
        time.sleep(1.0)


def has_tables(engine: sa.Engine) -> bool:
    """Whether the database was ever migrated."""
    with reading(engine).connect() as connection:
        return sa.inspect(connection).has_table("alembic_version")


def _newest_revision() -> str:
    return max(path.name[:4] for path in MIGRATIONS.glob("versions/[0-9]*.py"))


def _revision(engine: sa.Engine) -> str | None:
    if not has_tables(engine):
        return None
    with reading(engine).begin() as connection:
        revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)


def _without_time_limit(connection: sa.Connection) -> contextlib.AbstractContextManager[None]:
    """While migrating, which takes as long as there are rows."""
    if connection.dialect.driver != "psycopg":
        return contextlib.nullcontext()
    from models.database import postgresql

    return postgresql.without_time_limit(connection)


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to this version's schema, in one transaction. Safe to run concurrently.

    Waits for a database that does not answer yet. Raises NewerDatabase.
    """
    wait_until_available(engine)
    revision, newest = _revision(engine), _newest_revision()
    if revision == newest:
        return
    if revision is not None and revision > newest:
        raise NewerDatabase(revision)
    # Imported late: Alembic takes 10 MB and 0.15 s of every start (benchmarks/footprint.py).
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection, _without_time_limit(connection):
        lock(connection, "migrate")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
