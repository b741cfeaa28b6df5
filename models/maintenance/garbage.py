"""Garbage collection in the store and cache: files that no row of the database names.

Every published version stays, since URLs may name it.
"""

import contextlib
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import select

from models.database.engine import lock, reading
from models.database.tables import datasets, models, runs
from models.settings import Settings
from models.storage import atomic, layout

# s. Younger files may be in use: a bundle is moved into place before its row is written. A day is
# long enough that a clock which jumps by an hour does not matter.
MINIMUM_AGE = 24 * 3600.0
NO_MODEL, NO_DATASET = "a bundle that was never published", "the zip of no dataset"
NO_RUN, OLD_SNAPSHOT = "the snapshots of no run", "a snapshot that no run resumes from"
NO_RUN_SHEETS = "the sheets of no run"
ABANDONED_ENLARGER = "an enlarger's training that was not continued for 30 days"
INTERRUPTED_WORK = "unfinished work of a process that was killed"
ENLARGING_AGE = 30 * MINIMUM_AGE  # `kao enlarge` continues what its saved file has


@dataclass(frozen=True)
class Garbage:
    """One file or folder, the reason why it is garbage, and its size."""

    path: Path
    reason: str
    bytes: int

    @property
    def place(self) -> str:
        """The path, as text."""
        return str(self.path)


@dataclass(frozen=True)
class References:
    """What the database names. snapshots: each run's newest snapshot, or None."""

    versions: set[str]
    digests: set[str]
    snapshots: dict[str, str | None]

    @classmethod
    def read(cls, db: sa.Connection) -> "References":
        """Read them in this transaction."""
        return cls(
            set(db.scalars(select(models.c.version))),
            set(db.scalars(select(datasets.c.digest))),
            {row.id: row.snapshot for row in db.execute(select(runs.c.id, runs.c.snapshot))},
        )

    def needed_snapshots(self, run: str, files: Iterable[str]) -> set[str | None]:
        """Return those of a run's snapshot files that it may resume from."""
        newest = self.snapshots[run]
        older = sorted(name for name in files if newest is not None and name <= newest)
        return {newest, *older[-layout.SNAPSHOTS_KEPT :]}


def find(settings: Settings, engine: sa.Engine, minimum_age: float = MINIMUM_AGE) -> list[Garbage]:
    """Return the garbage that was not modified for `minimum_age` seconds."""
    with reading(engine).begin() as db:
        return list(_find(settings, db, minimum_age))


def collect(
    settings: Settings, engine: sa.Engine, minimum_age: float = MINIMUM_AGE
) -> list[Garbage]:
    """Remove the garbage of this host; what was removed.

    What is still garbage is renamed within a write transaction. On SQLite nothing is published or
    uploaded meanwhile; on PostgreSQL what is in use by then is put back. Measuring the files before
    the transaction and deleting them after it take longer.
    """
    candidates = find(settings, engine, minimum_age)
    with engine.begin() as db:
        lock(db, "garbage")
        garbage_paths = {path for path, _ in _find_unreferenced(settings, db)}
        garbage = [
            item
            for item in candidates
            if item.path in garbage_paths and _age(item.path) >= minimum_age
        ]
        hidden = [(item, atomic.hide(item.path)) for item in garbage]
    return [item for item, path in hidden if _remove_unless_used(item.path, path, minimum_age)]


def _remove_unless_used(place: Path, hidden: Path, minimum_age: float) -> bool:
    """Remove what was hidden, or put it back; whether it was removed.

    A process that publishes the same files marks those that are there as used, before it writes
    its row (`atomic.settle`). Renaming keeps that mark.
    """
    if hidden != place and _age(hidden) < minimum_age:
        with contextlib.suppress(OSError):  # there is a new copy
            hidden.rename(place)
            return False
    return atomic.remove(hidden)


def _age(path: Path) -> float:
    """The seconds since a file or folder itself was modified; negative where it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return -math.inf


def _find(settings: Settings, db: sa.Connection, minimum_age: float) -> Iterator[Garbage]:
    for path, reason in _find_unreferenced(settings, db):
        try:
            files = [path] if path.is_file() else [path, *path.rglob("*")]
            stats = [file.stat() for file in files]
        except FileNotFoundError:
            continue  # its process has just finished or removed it
        least = max(minimum_age, ENLARGING_AGE) if reason == ABANDONED_ENLARGER else minimum_age
        if time.time() - max(stat.st_mtime for stat in stats) >= least:
            yield Garbage(path, reason, sum(stat.st_size for stat in stats))


def _find_unreferenced(settings: Settings, db: sa.Connection) -> Iterator[tuple[Path, str]]:
    store, references = settings.storage, References.read(db)
    # backup.py and restore work in temporary folders of the store itself.
    enlarging = settings.home / layout.ENLARGING
    places = (store, store / layout.BUNDLES, store / layout.DATASETS, settings.cache, enlarging)
    for folder in places:
        for path in _entries(folder):
            if layout.is_temporary(path.name):
                yield path, INTERRUPTED_WORK
    for path in _entries(store / layout.UPLOADS):
        yield path, INTERRUPTED_WORK
    for path in _finished_entries(enlarging):
        yield path, ABANDONED_ENLARGER
    for path in _finished_entries(store / layout.BUNDLES):
        if path.name not in references.versions:
            yield path, NO_MODEL
    for path in _finished_entries(store / layout.DATASETS):
        if path.name.removesuffix(layout.DATASET_SUFFIX) not in references.digests:
            yield path, NO_DATASET
    for folder in _entries(store / layout.SNAPSHOTS):
        if folder.name not in references.snapshots:
            yield folder, NO_RUN
        else:
            yield from _unneeded_snapshots(folder, references)


def _unneeded_snapshots(folder: Path, references: References) -> Iterator[tuple[Path, str]]:
    files = (path.name for path in folder.glob(f"*{layout.SNAPSHOT_SUFFIX}"))
    needed_files = references.needed_snapshots(folder.name, files)
    for path in _entries(folder):
        if layout.is_temporary(path.name):
            yield path, INTERRUPTED_WORK
        elif path.name not in needed_files:
            yield path, OLD_SNAPSHOT


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _finished_entries(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if not layout.is_temporary(path.name)]
