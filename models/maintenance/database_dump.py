"""The database in a backup: SQLite's online copy, or PostgreSQL's pg_dump and pg_restore.

Each copy comes with the names of the store's files that it refers to.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import select

from models.database.engine import connect, url_of
from models.database.tables import datasets, models, runs
from models.errors import KaoError
from models.settings import Settings
from models.storage import atomic, layout

SQLITE, POSTGRESQL = layout.DATABASE, "kao.pgdump"


def file(settings: Settings) -> str:
    """Return the file name of the database's copy in an archive."""
    return SQLITE if _sqlite(settings) else POSTGRESQL


def dump(settings: Settings, folder: Path) -> list[str]:
    """Copy the database into a folder, online; the names of the files that the copy refers to.

    Raises KaoError for a missing database or a missing pg_dump.
    """
    return (_copy if _sqlite(settings) else _pg_dump)(settings, folder)


def refuse_full(settings: Settings) -> None:
    """Raises KaoError if there is a database already, which a restore must not replace."""
    if _sqlite(settings):
        if _path(settings).exists():
            raise KaoError(
                f"{settings.home} has a database already. Set another KAO_HOME, or move it away "
                "first."
            )
        return
    _program("pg_restore")
    engine = connect(settings)
    try:
        if sa.inspect(engine).get_table_names():
            raise KaoError(
                "The database that DATABASE_URL names has tables already. Name an empty one "
                "(`createdb`)."
            )
    finally:
        engine.dispose()


def check(folder: Path, name: str) -> list[str] | None:
    """Return the files that a copy refers to; None for PostgreSQL's, which only it can read.

    Raises KaoError for a damaged copy.
    """
    if name == POSTGRESQL:
        _run([_program("pg_restore"), "--list", str(folder / name)], {})
        return None
    with contextlib.closing(sqlite3.connect(folder / name)) as db:
        if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise KaoError("The backup's database is damaged.")
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(folder / name)))
    try:
        with engine.connect() as connection:
            return list(_referenced_files(connection))
    finally:
        engine.dispose()


def load(settings: Settings, copy: Path) -> None:
    """Make a copy the database, atomically."""
    if _sqlite(settings):
        with atomic.whole_file(_path(settings)) as temporary:
            shutil.copyfile(copy, temporary)  # the store may be on another disk
        return
    target, password = _address(settings)
    options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    _run([_program("pg_restore"), *options, "--dbname", target, str(copy)], password)


def _sqlite(settings: Settings) -> bool:
    return url_of(settings).get_backend_name() == "sqlite"


def _path(settings: Settings) -> Path:
    return Path(url_of(settings).database or "")


def _copy(settings: Settings, folder: Path) -> list[str]:
    source, target = _path(settings), folder / SQLITE
    if not source.exists():
        raise KaoError(f"There is no database at {source}.")
    with (
        contextlib.closing(sqlite3.connect(source, timeout=60)) as original,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)
        # Without a write-ahead log beside it.
        copy.execute("PRAGMA journal_mode=DELETE")
    return check(folder, SQLITE) or []


def _pg_dump(settings: Settings, folder: Path) -> list[str]:
    program = _program("pg_dump")
    source, password = _address(settings)
    engine = connect(settings).execution_options(isolation_level="REPEATABLE READ")
    try:
        with engine.begin() as db:
            if not sa.inspect(db).has_table(models.name):
                raise KaoError("The database that DATABASE_URL names has no tables of Kao.")
            # So that pg_dump and the query below see the same data.
            snapshot = db.scalar(sa.text("SELECT pg_export_snapshot()"))
            options = ["--format=custom", "--no-owner", "--no-privileges"]
            target = [f"--file={folder / POSTGRESQL}", f"--dbname={source}"]
            _run([program, *options, f"--snapshot={snapshot}", *target], password)
            return list(_referenced_files(db))
    finally:
        engine.dispose()


def _referenced_files(db: sa.Connection) -> Iterator[str]:
    """Yield the files and folders of the store that a database refers to."""
    for version in db.scalars(select(models.c.version)):
        yield layout.bundle(version)
    for digest in db.scalars(select(datasets.c.digest).distinct()):
        yield layout.dataset(digest)
    for run in db.execute(select(runs.c.id, runs.c.snapshot).where(runs.c.snapshot.is_not(None))):
        yield layout.snapshot(run.id, run.snapshot)


def _program(name: str) -> str:
    if path := shutil.which(name):
        return path
    raise KaoError(
        f"{name} is not installed, and a backup of PostgreSQL needs it: install its client "
        "programs, of the server's version or newer, or run this command where they are."
    )


def _address(settings: Settings) -> tuple[str, dict[str, str]]:
    """Return libpq's URL, and a variable with the password, which `ps` would show to all users."""
    url = url_of(settings)
    password = {"PGPASSWORD": str(url.password)} if url.password is not None else {}
    public = url.set(drivername="postgresql", password=None)
    return public.render_as_string(hide_password=False), password


def _run(command: list[str], variables: dict[str, str]) -> None:
    process = subprocess.run(
        command,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if process.returncode:
        lines = process.stderr.strip().splitlines() or [f"exit code {process.returncode}"]
        raise KaoError(f"{Path(command[0]).name} failed: {' '.join(lines)[:500]}")
