"""What nothing needs any more: files in the store and cache that no row of the database names.

Every published version stays, since its digest may be in somebody's address.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import select

from models.database.tables import datasets, models, runs
from models.settings import Settings
from models.storage import layout

# What is younger may be in the making: a bundle is settled before its row is written. An hour
# that a clock jumps does not matter to a day.
YOUNGEST = 24 * 3600.0  # s
UNPUBLISHED, NO_DATASET = "a bundle that was never published", "the zip of no dataset"
NO_RUN, OLD_SNAPSHOT = "the snapshots of no run", "a snapshot that no run goes on from"
NO_RUN_SHEETS = "the sheets of no run"
SNAPSHOTS_KEPT = 2  # the one that the run goes on from, and the one before it


@dataclass(frozen=True)
class Garbage:
    """One file or folder, why nothing needs it, and the bytes that it takes."""

    path: Path
    reason: str
    bytes: int

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return str(self.path)


@dataclass(frozen=True)
class Needs:
    """What the rows of the database name. pointers: each run's newest snapshot."""

    versions: set[str]
    digests: set[str]
    pointers: dict[str, str | None]

    @classmethod
    def read(cls, db: sa.Connection) -> "Needs":
        """As this transaction sees it."""
        return cls(
            set(db.scalars(select(models.c.version))),
            set(db.scalars(select(datasets.c.digest))),
            {row.id: row.snapshot for row in db.execute(select(runs.c.id, runs.c.snapshot))},
        )

    def snapshots(self, run: str, whole: Iterable[str]) -> set[str | None]:
        """Of a run's snapshots those that it may go on from."""
        newest = self.pointers[run]
        older = sorted(name for name in whole if newest is not None and name <= newest)
        return {newest, *older[-SNAPSHOTS_KEPT:]}


def find(settings: Settings, engine: sa.Engine, youngest: float = YOUNGEST) -> list[Garbage]:
    """All that nothing needs and nobody has touched for `youngest` seconds."""
    with engine.begin() as db:
        return list(_found(settings, db, youngest))


def collect(settings: Settings, engine: sa.Engine, youngest: float = YOUNGEST) -> list[Garbage]:
    """Remove it; what was removed.

    Within one writing transaction, so that nothing is published, pointed to or uploaded meanwhile.
    """
    with engine.begin() as db:
        found = list(_found(settings, db, youngest))
        for garbage in found:
            if garbage.path.is_dir():
                shutil.rmtree(garbage.path, ignore_errors=True)
            else:
                settings.blobs.remove(garbage.path)
    return found


def _found(settings: Settings, db: sa.Connection, youngest: float) -> Iterator[Garbage]:
    for path, reason in _unneeded(settings, db):
        try:
            files = [path] if path.is_file() else [path, *path.rglob("*")]
            told = [file.stat() for file in files]
        except FileNotFoundError:
            continue  # its process has just finished or removed it
        if time.time() - max(one.st_mtime for one in told) >= youngest:
            yield Garbage(path, reason, sum(one.st_size for one in told))


def _unneeded(settings: Settings, db: sa.Connection) -> Iterator[tuple[Path, str]]:
    store, needs = settings.storage, Needs.read(db)
    for path in _inside(store / layout.BUNDLES):
        if layout.is_temporary(path.name):
            yield path, "half a bundle, whose process died"
        elif path.name not in needs.versions:
            yield path, UNPUBLISHED
    for path in _inside(store / layout.DATASETS):
        if path.name.removesuffix(layout.DATASET_SUFFIX) not in needs.digests:
            yield path, NO_DATASET
    for path in _inside(store / layout.UPLOADS):
        yield path, "an upload that never ended"
    for path in _inside(settings.cache):
        if layout.is_temporary(path.name):
            yield path, "half a packed dataset, whose process died"
    for folder in _inside(store / layout.SNAPSHOTS):
        if folder.name not in needs.pointers:
            yield folder, NO_RUN
        else:
            yield from _snapshots(folder, needs)


def _snapshots(folder: Path, needs: Needs) -> Iterator[tuple[Path, str]]:
    needed = needs.snapshots(
        folder.name, (path.name for path in folder.glob(f"*{layout.SNAPSHOT_SUFFIX}"))
    )
    for path in _inside(folder):
        if layout.is_temporary(path.name):
            yield path, "half a snapshot, whose process died"
        elif path.name not in needed:
            yield path, OLD_SNAPSHOT


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
