"""Only what nothing needs is garbage."""

import os
import time

import pytest
import sqlalchemy as sa

from models import runs
from models.database.tables import datasets
from models.maintenance import garbage
from models.registry import Registry
from models.settings import Settings

OLD = time.time() - 2 * garbage.MINIMUM_AGE


def aged(path, seconds=OLD):
    for file in (*(path.rglob("*") if path.is_dir() else ()), path):
        os.utime(file, (seconds, seconds))
    return path


def file_at(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"something")
    return path


@pytest.fixture
def store(settings: Settings):
    return settings.storage


@pytest.fixture
def kept(settings: Settings, engine: sa.Engine, store, begin, write_bundle):
    """What must stay: two versions, of which no alias names the first; snapshots; a dataset."""
    registry = Registry(engine, store)
    first, second = (registry.import_folder(write_bundle(seed)) for seed in (0, 1))
    registry.promote(second)
    run, fence = begin("running")
    folder = store / "snapshots" / run
    for name in ("000000000010.pt", "000000000020.pt"):
        file_at(folder / name)
    runs.snapshot(engine, run, fence, "000000000020.pt", {})
    with engine.begin() as db:
        row = {"name": "faces", "digest": "d" * 64, "bytes": 9, "images": 2}
        db.execute(datasets.insert().values(**row, licence="mine", uploaded="now"))
    zipped = file_at(store / "datasets" / f"{'d' * 64}.zip")
    return [registry.folder(first), registry.folder(second), *sorted(folder.iterdir()), zipped]


@pytest.fixture
def orphans(settings: Settings, store, kept):
    """What must go, one of each kind."""
    snapshots = kept[2].parent
    return [
        file_at(store / "bundles" / ("e" * 64) / "card.json").parent,
        file_at(store / "bundles" / ".half.tmp" / "card.json").parent,
        file_at(store / "datasets" / f"{'f' * 64}.zip"),
        file_at(store / "uploads" / "half.zip"),
        file_at(settings.cache / ".packing-x" / "images.npy").parent,
        file_at(store / "snapshots" / "norun" / "000000000001.pt").parent,
        file_at(snapshots / ".000000000030.pt.x.tmp"),
        file_at(snapshots / "000000000005.pt"),
        file_at(snapshots / "000000000030.pt"),  # of a worker that lost its lease
    ]


def test_orphans_are_found_and_nothing_else(
    settings: Settings, engine: sa.Engine, kept, orphans
) -> None:
    for path in (*kept, *orphans):
        aged(path)
    found = garbage.find(settings, engine)
    assert {one.path for one in found} == set(orphans)
    assert all(one.bytes >= 9 and one.reason for one in found)
    assert all(path.exists() for path in orphans), "looking removes nothing"


def test_collecting_removes_them_and_leaves_what_is_needed(
    settings: Settings, engine: sa.Engine, kept, orphans
) -> None:
    for path in (*kept, *orphans):
        aged(path)
    assert len(garbage.collect(settings, engine)) == len(orphans)
    assert not [path for path in orphans if path.exists()]
    assert not [path for path in kept if not path.exists()]
    assert garbage.find(settings, engine) == []


def test_what_is_young_may_be_in_the_making(
    settings: Settings, engine: sa.Engine, kept, orphans
) -> None:
    assert garbage.find(settings, engine) == []


def test_an_empty_home_has_no_garbage(settings: Settings, engine: sa.Engine) -> None:
    assert garbage.collect(settings, engine) == []
