"""The database in a backup: SQLite's own copy, or PostgreSQL's through pg_dump and pg_restore.

Each copy comes with the names of the files that it needs, of that same moment.
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
    """What the copy of these settings' database is called in an archive."""
    return SQLITE if _sqlite(settings) else POSTGRESQL


def dump(settings: Settings, folder: Path) -> list[str]:
    """Copy the database into a folder, while all runs; the store's files that the copy names.

    Raises KaoError where there is no database, or nothing that copies it.
    """
    return (_copy if _sqlite(settings) else _pg_dump)(settings, folder)


def refuse_full(settings: Settings) -> None:
    """Raises KaoError where a database is already, and nothing may be restored over it."""
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
    """The files that an unpacked copy names; None where only PostgreSQL can read it.

    Raises KaoError for a damaged one.
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
            return list(_named(connection))
    finally:
        engine.dispose()


def load(settings: Settings, copy: Path) -> None:
    """Make a copy the database. SQLite's file goes to its place; pg_restore does all or nothing."""
    if _sqlite(settings):
        with atomic.whole_file(_path(settings)) as temporary:
            shutil.copyfile(copy, temporary)  # the store may be on another disk
        return
    target, secret = _address(settings)
    how = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    _run([_program("pg_restore"), *how, "--dbname", target, str(copy)], secret)


def _sqlite(settings: Settings) -> bool:
    return url_of(settings).get_backend_name() == "sqlite"


def _path(settings: Settings) -> Path:
    return Path(url_of(settings).database or "")


def _copy(settings: Settings, folder: Path) -> list[str]:
    source, target = _path(settings), folder / SQLITE
    if not source.exists():
        raise KaoError(f"There is no database at {source}.")
    with (
        contextlib.closing(sqlite3.connect(source, timeout=60)) as here,
        contextlib.closing(sqlite3.connect(target)) as there,
    ):
        here.backup(there)
        # A copy without a log beside it.
        there.execute("PRAGMA journal_mode=DELETE")
    return check(folder, SQLITE) or []


def _pg_dump(settings: Settings, folder: Path) -> list[str]:
    program = _program("pg_dump")
    source, secret = _address(settings)
    engine = connect(settings).execution_options(isolation_level="REPEATABLE READ")
    try:
        with engine.begin() as db:
            if not sa.inspect(db).has_table(models.name):
                raise KaoError("The database that DATABASE_URL names has no tables of Kao's.")
            # So that pg_dump and the names below see the same moment.
            moment = db.scalar(sa.text("SELECT pg_export_snapshot()"))
            how = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={moment}"]
            to = [f"--file={folder / POSTGRESQL}", f"--dbname={source}"]
            _run([program, *how, *to], secret)
            return list(_named(db))
    finally:
        engine.dispose()


def _named(db: sa.Connection) -> Iterator[str]:
    """The files and folders of the store that a database names."""
    for version in db.scalars(select(models.c.version)):
        yield layout.bundle(version)
    for digest in db.scalars(select(datasets.c.digest).distinct()):
        yield layout.dataset(digest)
    for run in db.execute(select(runs.c.id, runs.c.snapshot).where(runs.c.snapshot.is_not(None))):
        yield layout.snapshot(run.id, run.snapshot)


def _program(name: str) -> str:
    if found := shutil.which(name):
        return found
    raise KaoError(
        f"{name} is not installed here, and a backup of PostgreSQL needs it: install PostgreSQL's "
        "client programs, of the server's version or newer, or run this where they are."
    )


def _address(settings: Settings) -> tuple[str, dict[str, str]]:
    """DATABASE_URL as libpq reads it, and its password, which a command line would show to all."""
    url = url_of(settings)
    secret = {"PGPASSWORD": str(url.password)} if url.password is not None else {}
    named = url.set(drivername="postgresql", password=None)
    return named.render_as_string(hide_password=False), secret


def _run(command: list[str], secret: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **secret},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        told = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise KaoError(f"{Path(command[0]).name} failed: {' '.join(told)[:500]}")
