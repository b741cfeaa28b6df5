"""Garbage collection in the bucket: files below its prefix that no row of the database names.

`models/maintenance/garbage.py` does the same for the folder. Files that Kao never writes stay.
"""

import datetime
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from models.database.engine import reading
from models.maintenance.garbage import (
    MINIMUM_AGE,
    NO_DATASET,
    NO_MODEL,
    NO_RUN,
    NO_RUN_SHEETS,
    OLD_SNAPSHOT,
    References,
)
from models.settings import Settings
from models.storage import layout
from models.storage.blob_store import Blob


@dataclass(frozen=True)
class BucketGarbage:
    """Files that are removed together, the reason why they are garbage, and their size."""

    place: str
    reason: str
    bytes: int
    names: tuple[str, ...]


def find(
    settings: Settings, engine: sa.Engine, minimum_age: float = MINIMUM_AGE
) -> list[BucketGarbage]:
    """Return the garbage that was not written for `minimum_age` seconds."""
    # The bucket is listed before the rows are read, so a bundle published meanwhile is not in it.
    units = _units(settings)
    references = _references(engine)
    return [
        garbage
        for unit, blobs in units.items()
        for garbage in _find(settings, references, unit, blobs, minimum_age)
    ]


def collect(
    settings: Settings, engine: sa.Engine, minimum_age: float = MINIMUM_AGE
) -> list[BucketGarbage]:
    """Remove the garbage of the bucket; what was removed.

    Removing thousands of files takes minutes, in which the same bytes may be published or uploaded
    anew. The rows are therefore read again before each unit.
    """
    units = _units(settings)
    references = _references(engine)
    removals = []
    for unit, blobs in units.items():
        if not list(_find(settings, references, unit, blobs, minimum_age)):
            continue
        current = _references(engine)
        garbage = list(_find(settings, current, unit, blobs, minimum_age))
        settings.blobs.remove_names([name for item in garbage for name in item.names])
        removals += garbage
    return removals


def _units(settings: Settings) -> dict[str, list[Blob]]:
    """Return the bucket's files by what they belong to: a bundle, a dataset, a run."""
    units = defaultdict(list)
    for blob in settings.blobs.list_blobs():
        units["/".join(blob.name.split("/")[:2])].append(blob)
    return dict(sorted(units.items()))


def _references(engine: sa.Engine) -> References:
    with reading(engine).begin() as db:
        return References.read(db)


def _find(
    settings: Settings, references: References, unit: str, blobs: list[Blob], minimum_age: float
) -> Iterator[BucketGarbage]:
    latest = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=minimum_age)
    for place, reason, files in _find_unreferenced(references, unit, blobs):
        if max(blob.modified for blob in files) <= latest:
            size = sum(blob.bytes for blob in files)
            names = tuple(blob.name for blob in files)
            yield BucketGarbage(f"{settings.blobs.url}/{place}", reason, size, names)


def _find_unreferenced(
    references: References, unit: str, blobs: list[Blob]
) -> Iterator[tuple[str, str, list[Blob]]]:
    """Yield (name, reason, files) of a unit's garbage; nothing for files that Kao never writes."""
    parts = layout.unit(unit)
    if parts is None:
        return
    if parts.kind == layout.BUNDLES:
        if parts.owner not in references.versions:
            yield unit, NO_MODEL, blobs
    elif parts.kind == layout.DATASETS:
        if parts.owner not in references.digests:
            yield unit, NO_DATASET, blobs
    elif parts.owner not in references.snapshots:
        yield unit, NO_RUN if parts.kind == layout.SNAPSHOTS else NO_RUN_SHEETS, blobs
    elif parts.kind == layout.SNAPSHOTS:
        needed_files = references.needed_snapshots(
            parts.owner, (_file_name(blob) for blob in blobs)
        )
        for blob in blobs:
            if _file_name(blob) not in needed_files:
                yield blob.name, OLD_SNAPSHOT, [blob]


def _file_name(blob: Blob) -> str:
    return blob.name.rpartition("/")[2]
