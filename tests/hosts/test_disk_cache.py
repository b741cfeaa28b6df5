"""Copies stay within KAO_LOCAL_BYTES; what is in use, or nowhere else, is never removed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from models import runs
from models.database.engine import connect, migrate
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from models.storage import disk_cache, layout
from worker.datasets.packing import pack

OLD = time.time() - 2 * disk_cache.MINIMUM_AGE


@pytest.fixture
def settings(bucket, tmp_path: Path):
    return Settings(home=tmp_path / "home", storage_url=bucket, local_bytes=0)


@pytest.fixture
def engine(settings: Settings):
    engine = connect(settings)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def registry(settings: Settings, engine: sa.Engine):
    return Registry(engine, settings.blobs)


def aged(path, seconds=OLD):
    os.utime(path, (seconds, seconds))
    return path


def snapshot(settings, engine, state):
    """Of a run in that state, here and in the bucket."""
    asked = {"preset": "smoke"}
    run = runs.create(engine, resolve(asked), asked)[0]["id"]
    path = settings.storage / "snapshots" / run / "000000000001.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"s" * 1000)
    settings.blobs.put(path)
    _, fence = runs.claim(engine, run)
    runs.snapshot(engine, run, fence, path.name, {})
    if state == "failed":
        runs.finish(engine, run, fence, "fail", error="planted")
    return aged(path)


@pytest.fixture
def versions(registry: Registry, write_bundle):
    """Three: aliases name the first alone."""
    found = [registry.import_folder(write_bundle(seed)) for seed in range(3)]
    for version in found:
        aged(registry.folder(version))
    return found


@pytest.fixture
def pictures(tmp_path: Path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        pixels = np.full((8, 8, 3), 60 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_copies_go_and_come_back_when_asked_for(
    settings: Settings, engine: sa.Engine, registry: Registry, versions
) -> None:
    ended = snapshot(settings, engine, "failed")
    removed = {copy.path for copy in disk_cache.prune(settings, engine)}
    assert removed == {registry.folder(version) for version in versions[1:]} | {ended}
    assert not any(path.exists() for path in removed)
    assert not list(settings.storage.rglob(".*"))
    registry.load(versions[1])
    assert settings.blobs.fetch(ended).read_bytes() == b"s" * 1000


def test_what_an_alias_names_or_a_run_needs_stays(
    settings: Settings, engine: sa.Engine, registry: Registry, versions
) -> None:
    running = snapshot(settings, engine, "running")
    disk_cache.prune(settings, engine)
    assert running.exists()
    assert registry.folder(versions[0]).exists()


def test_the_least_recently_used_go_first_and_only_as_many_as_must(
    settings: Settings, engine: sa.Engine, registry: Registry, versions
) -> None:
    aged(registry.folder(versions[2]), OLD - 1)
    size = sum(file.stat().st_size for file in registry.folder(versions[0]).iterdir())
    roomy = settings.model_copy(update={"local_bytes": int(2.5 * size)})
    assert [copy.path for copy in disk_cache.prune(roomy, engine)] == [registry.folder(versions[2])]
    assert disk_cache.prune(roomy, engine) == []


def test_using_a_copy_keeps_it(
    settings: Settings, engine: sa.Engine, registry: Registry, versions
) -> None:
    registry.load(versions[1])
    disk_cache.prune(settings, engine)
    assert registry.folder(versions[1]).exists()
    assert not registry.folder(versions[2]).exists()


def test_what_the_bucket_lacks_stays(
    settings: Settings, engine: sa.Engine, registry: Registry, versions
) -> None:
    names = [blob.name for blob in settings.blobs.list_blobs() if versions[1] in blob.name]
    settings.blobs.remove_names(names[:1])
    disk_cache.prune(settings, engine)
    assert registry.folder(versions[1]).exists()
    assert not registry.folder(versions[2]).exists()


def test_without_a_bucket_the_store_is_no_copy(tmp_path: Path, write_bundle, pictures) -> None:
    alone = Settings(home=tmp_path / "alone", local_bytes=0)
    engine = connect(alone)
    migrate(engine)
    registry = Registry(engine, alone.blobs)
    found = [registry.import_folder(write_bundle(seed)) for seed in range(2)]
    for version in found:
        aged(registry.folder(version))
    packed = aged(pack(pictures, 8, alone.cache).folder)
    assert [copy.path for copy in disk_cache.prune(alone, engine)] == [packed]
    assert all(registry.folder(version).exists() for version in found)
    engine.dispose()


USE = """
import sys
from pathlib import Path
from worker.datasets.packing import pack
packed = pack(sys.argv[1], 8, Path(sys.argv[2]))
print("open", flush=True)
sys.stdin.read()
print(int(packed.images().sum()), flush=True)
"""


def test_a_packed_set_stays_while_another_process_has_it_open(
    settings: Settings, engine: sa.Engine, pictures
) -> None:
    folder = pack(pictures, 8, settings.cache).folder
    measured = settings.cache / layout.FEATURES / "x-real"
    measured.mkdir(parents=True)
    (measured / "4.npy").write_bytes(b"x" * 100)
    command = [sys.executable, "-c", USE, str(pictures), str(settings.cache)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "open\n"
        for path in (folder, measured):
            aged(path)
        assert [copy.path for copy in disk_cache.prune(settings, engine)] == [measured]
        told, _ = process.communicate("")
    assert int(told) == 8 * 8 * 3 * 60 * (0 + 1 + 2 + 3)
    assert [copy.path for copy in disk_cache.prune(settings, engine)] == [folder]
    assert pack(pictures, 8, settings.cache).count == 4, "it is made again"


def test_a_running_process_prunes_by_itself(
    settings: Settings,
    engine: sa.Engine,
    versions,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disk_cache, "INTERVAL", 0.05)
    with disk_cache.pruning(settings, engine):
        ends = time.monotonic() + 30
        while registry.folder(versions[1]).exists():
            assert time.monotonic() < ends
            time.sleep(0.05)
