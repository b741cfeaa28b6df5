"""What nothing needs in the bucket: files below its prefix that no row of the database names.

As `models/maintenance/garbage.py` is for the folder; what Kao never wrote is left alone.
"""

import datetime
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from models.maintenance.garbage import (
    NO_DATASET,
    NO_RUN,
    NO_RUN_SHEETS,
    OLD_SNAPSHOT,
    UNPUBLISHED,
    YOUNGEST,
    Needs,
)
from models.settings import Settings
from models.storage import layout
from models.storage.blob_store import Blob


@dataclass(frozen=True)
class BucketGarbage:
    """Files that go together, why nothing needs them, and the bytes that they take."""

    place: str
    reason: str
    bytes: int
    names: tuple[str, ...]


def find(settings: Settings, engine: sa.Engine, youngest: float = YOUNGEST) -> list[BucketGarbage]:
    """All that nothing needs and nobody has written for `youngest` seconds."""
    # Before the rows are read: what is published meanwhile is not among it.
    units = _units(settings)
    needs = _needs(engine)
    return [
        stray
        for unit, blobs in units.items()
        for stray in _found(settings, needs, unit, blobs, youngest)
    ]


def collect(
    settings: Settings, engine: sa.Engine, youngest: float = YOUNGEST
) -> list[BucketGarbage]:
    """Remove it; what was removed."""
    units = _units(settings)
    needs = _needs(engine)
    removed = []
    for unit, blobs in units.items():
        if not list(_found(settings, needs, unit, blobs, youngest)):
            continue
        # Again for each, as PostgreSQL lets others write: removing thousands takes minutes, in
        # which the same bytes may be published or uploaded anew.
        with engine.begin() as db:
            found = list(_found(settings, Needs.read(db), unit, blobs, youngest))
            settings.blobs.remove_names([name for stray in found for name in stray.names])
        removed += found
    return removed


def _units(settings: Settings) -> dict[str, list[Blob]]:
    """What is in the bucket, by what it belongs to: a bundle, a dataset, a run."""
    units = defaultdict(list)
    for blob in settings.blobs.list_blobs():
        units["/".join(blob.name.split("/")[:2])].append(blob)
    return dict(sorted(units.items()))


def _needs(engine: sa.Engine) -> Needs:
    with engine.begin() as db:
        return Needs.read(db)


def _found(
    settings: Settings, needs: Needs, unit: str, blobs: list[Blob], youngest: float
) -> Iterator[BucketGarbage]:
    latest = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=youngest)
    for place, reason, some in _unneeded(needs, unit, blobs):
        if max(blob.modified for blob in some) <= latest:
            size = sum(blob.bytes for blob in some)
            names = tuple(blob.name for blob in some)
            yield BucketGarbage(f"{settings.blobs.url}/{place}", reason, size, names)


def _unneeded(needs: Needs, unit: str, blobs: list[Blob]) -> Iterator[tuple[str, str, list[Blob]]]:
    """(name, reason, its files) of what no row needs; nothing for files that Kao never writes."""
    parsed = layout.unit(unit)
    if parsed is None:
        return
    if parsed.kind == layout.BUNDLES:
        if parsed.owner not in needs.versions:
            yield unit, UNPUBLISHED, blobs
    elif parsed.kind == layout.DATASETS:
        if parsed.owner not in needs.digests:
            yield unit, NO_DATASET, blobs
    elif parsed.owner not in needs.pointers:
        yield unit, NO_RUN if parsed.kind == layout.SNAPSHOTS else NO_RUN_SHEETS, blobs
    elif parsed.kind == layout.SNAPSHOTS:
        needed = needs.snapshots(parsed.owner, (_file_name(blob) for blob in blobs))
        for blob in blobs:
            if _file_name(blob) not in needed:
                yield blob.name, OLD_SNAPSHOT, [blob]


def _file_name(blob: Blob) -> str:
    return blob.name.rpartition("/")[2]
