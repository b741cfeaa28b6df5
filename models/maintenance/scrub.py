"""Scrubbing: reads everything that the database names, and repairs what another copy allows."""

import contextlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import select

from models import bundle, registry
from models.bundle import isolated
from models.database.engine import reading
from models.database.tables import datasets, models, runs
from models.errors import BadBundle, DatasetError, StorageUnreachable
from models.settings import Settings
from models.storage import atomic, layout
from models.storage.zips import BROKEN_ZIP


@dataclass(frozen=True)
class Damage:
    """A stored file or folder that is not what was written, and whether it was repaired."""

    name: str
    problem: str
    is_repaired: bool = False


def scrub(settings: Settings, engine: sa.Engine, repair: bool = False) -> Iterator[Damage]:
    """Check the database, every bundle, dataset and snapshot that it names; yield the damage.

    repair: replace damaged copies from the bucket or the package. Without a bucket, only bundles
    that come with Kao have another copy. Raises StorageUnreachable.
    """
    yield from _check_database(engine)
    with reading(engine).begin() as db:
        versions = list(db.scalars(select(models.c.version)))
        digests = sorted(set(db.scalars(select(datasets.c.digest))))
        pointers = select(runs.c.id, runs.c.snapshot).where(runs.c.snapshot.is_not(None))
        snapshots = [(row.id, row.snapshot) for row in db.execute(pointers)]
    bundles = registry.Registry(engine, settings.blobs)
    for version in versions:
        yield from _check_bundle(bundles, version, repair)
    for digest in digests:
        yield from _check_dataset(settings, digest, repair)
    for run, file in snapshots:
        yield from _check_snapshot(settings, layout.snapshot(run, file))


def _check_database(engine: sa.Engine) -> Iterator[Damage]:
    if engine.dialect.name != "sqlite":
        return  # PostgreSQL checks its pages when it reads them (data_checksums)
    with reading(engine).begin() as db:
        result = str(db.execute(sa.text("PRAGMA integrity_check")).scalar_one())
    if result != "ok":
        yield Damage(layout.DATABASE, f"the database is damaged: {result[:200]}")


def _check_bundle(bundles: registry.Registry, version: str, repair: bool) -> Iterator[Damage]:
    name, folder = layout.bundle(version), bundles.folder(version)
    if not folder.exists() and bundles.blobs.url is not None and bundles.blobs.names(name):
        return  # not on this host; it is verified when it is fetched
    try:
        isolated.verify(folder, version)
        return
    except BadBundle as error:
        problem = str(error)
    is_repaired = False
    if repair and not bundle.is_whole(folder, version):
        with contextlib.suppress(BadBundle):
            bundles.load(version)
            is_repaired = True
    yield Damage(name, problem, is_repaired)


def _check_dataset(settings: Settings, digest: str, repair: bool) -> Iterator[Damage]:
    from models.datasets import catalogue

    name = layout.dataset(digest)
    path = settings.storage / name
    if path.exists():
        if atomic.sha256(path) == digest:
            return
        problem = "the zip is damaged"
    elif settings.blobs.url is not None:
        return  # not on this host; it is verified when it is fetched
    else:
        problem = "the zip is missing; upload the dataset again"
    is_repaired = False
    if repair and settings.blobs.url is not None:
        damaged_copy = path.rename(path.with_name(f".{path.name}.damaged"))
        try:
            catalogue.fetch(settings, digest)
            is_repaired = path.exists()
        except (DatasetError, StorageUnreachable):
            is_repaired = False
        if is_repaired:
            damaged_copy.unlink()
        else:
            damaged_copy.rename(path)
    yield Damage(name, problem, is_repaired)


def _check_snapshot(settings: Settings, name: str) -> Iterator[Damage]:
    path = settings.storage / name
    if not path.exists():
        if settings.blobs.url is None:
            yield Damage(name, "the snapshot is missing; the run cannot be resumed from it")
        return
    if (problem := _archive_problem(path)) is not None:
        yield Damage(name, f"the snapshot is damaged: {problem}; an older one is used")


def _archive_problem(path: Path) -> str | None:
    """What is wrong with a zip's checksums, if anything. Snapshots are zips (torch.save)."""
    try:
        with zipfile.ZipFile(path) as archive:
            part = archive.testzip()
    except (*BROKEN_ZIP, OSError) as error:
        return type(error).__name__
    return None if part is None else f"{part} has another checksum"
