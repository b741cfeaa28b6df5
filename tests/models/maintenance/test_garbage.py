"""Garbage collection removes files that no row names, and no others."""

import os
import shutil
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from models import bundle, runs
from models.database.tables import datasets
from models.maintenance import garbage
from models.registry import Registry
from models.settings import Settings
from models.storage import atomic
from tests.support.fixtures import Begin, WriteBundle

OLD = time.time() - 31 * garbage.MINIMUM_AGE


def make_old(path: Path, seconds: float = OLD) -> Path:
    for file in (*(path.rglob("*") if path.is_dir() else ()), path):
        os.utime(file, (seconds, seconds))
    return path


def file_at(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"something")
    return path


@pytest.fixture
def store(settings: Settings) -> Path:
    return settings.storage


@pytest.fixture
def needed_files(
    settings: Settings, engine: sa.Engine, store: Path, begin: Begin, write_bundle: WriteBundle
) -> list[Path]:
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
    dataset_zip = file_at(store / "datasets" / f"{'d' * 64}.zip")
    return [registry.folder(first), registry.folder(second), *sorted(folder.iterdir()), dataset_zip]


@pytest.fixture
def orphan_files(settings: Settings, store: Path, needed_files: list[Path]) -> list[Path]:
    """What must go, one of each kind."""
    snapshots = needed_files[2].parent
    return [
        file_at(store / "bundles" / ("e" * 64) / "card.json").parent,
        file_at(store / "bundles" / ".half.tmp" / "card.json").parent,
        file_at(store / "datasets" / f"{'f' * 64}.zip"),
        file_at(store / "uploads" / "half.zip"),
        file_at(store / ".0123.tmp" / "store" / "x").parent.parent,  # a backup that was killed
        file_at(settings.cache / ".packing-x" / "images.npy").parent,
        file_at(settings.home / "enlarging" / f"{'0' * 32}.pt"),
        file_at(settings.home / "enlarging" / ".half.tmp"),
        file_at(store / "snapshots" / "norun" / "000000000001.pt").parent,
        file_at(snapshots / ".000000000030.pt.x.tmp"),
        file_at(snapshots / "000000000005.pt"),
        file_at(snapshots / "000000000030.pt"),  # of a worker that lost its lease
    ]


def test_orphans_are_found_and_nothing_else(
    settings: Settings, engine: sa.Engine, needed_files: list[Path], orphan_files: list[Path]
) -> None:
    for path in (*needed_files, *orphan_files):
        make_old(path)
    files = garbage.find(settings, engine)
    assert {item.path for item in files} == set(orphan_files)
    assert all(item.bytes >= 9 and item.reason for item in files)
    assert all(path.exists() for path in orphan_files), "finding removes nothing"


def test_collecting_removes_them_and_leaves_what_is_needed(
    settings: Settings, engine: sa.Engine, needed_files: list[Path], orphan_files: list[Path]
) -> None:
    for path in (*needed_files, *orphan_files):
        make_old(path)
    assert len(garbage.collect(settings, engine)) == len(orphan_files)
    assert not [path for path in orphan_files if path.exists()]
    assert not [path for path in needed_files if not path.exists()]
    assert garbage.find(settings, engine) == []


def test_what_is_published_while_it_is_collected_stays(
    settings: Settings,
    engine: sa.Engine,
    store: Path,
    write_bundle: WriteBundle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its publisher found the files there, and writes its row only after they were hidden."""
    registry, hide = Registry(engine, store), atomic.hide
    source = write_bundle()
    unregistered_copy = store / "bundles" / bundle.digest(source)
    shutil.copytree(source, unregistered_copy)
    make_old(unregistered_copy)

    def publish_first(path: Path) -> Path:
        os.utime(path)  # as `atomic.settle` does where the files are there
        return hide(path)

    monkeypatch.setattr(atomic, "hide", publish_first)
    assert garbage.collect(settings, engine) == []
    assert registry.adopt(unregistered_copy.name)
    registry.load(unregistered_copy.name)
    assert list(registry.bundles.iterdir()) == [unregistered_copy]


def test_a_young_file_may_be_in_use(
    settings: Settings, engine: sa.Engine, needed_files: list[Path], orphan_files: list[Path]
) -> None:
    assert garbage.find(settings, engine) == []


def test_an_unfinished_enlarger_may_be_continued_for_a_month(
    settings: Settings, engine: sa.Engine
) -> None:
    file = file_at(settings.home / "enlarging" / f"{'0' * 32}.pt")
    make_old(file, time.time() - 29 * 24 * 3600)
    assert garbage.find(settings, engine) == []
    make_old(file, time.time() - 31 * 24 * 3600)
    assert [item.path for item in garbage.find(settings, engine)] == [file]


def test_an_empty_home_has_no_garbage(settings: Settings, engine: sa.Engine) -> None:
    assert garbage.collect(settings, engine) == []
