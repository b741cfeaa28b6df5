"""Local copies stay within KAO_LOCAL_BYTES; files in use, or without another copy, stay."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from models import runs
from models.database.engine import connect, migrate
from models.maintenance import disk_cache
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from models.storage import layout
from models.storage.blob_store import Blob, Blobs
from tests.support.fixtures import WriteBundle
from worker.datasets.packing import pack

OLD = time.time() - 2 * disk_cache.MINIMUM_AGE


@pytest.fixture
def settings(bucket: str, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", storage_url=bucket, local_bytes=0)


@pytest.fixture
def registry(settings: Settings, engine: sa.Engine) -> Registry:
    return Registry(engine, settings.blobs)


def make_old(path: Path, seconds: float = OLD) -> Path:
    os.utime(path, (seconds, seconds))
    return path


def snapshot(settings: Settings, engine: sa.Engine, state: str) -> Path:
    """Of a run in that state, here and in the bucket."""
    request = {"preset": "smoke"}
    run = runs.create(engine, resolve(request), request)[0]["id"]
    path = settings.storage / "snapshots" / run / "000000000001.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"s" * 1000)
    settings.blobs.put(path)
    claim = runs.claim(engine, run)
    assert claim is not None
    fence = claim[1]
    runs.snapshot(engine, run, fence, path.name, {})
    if state == "failed":
        runs.finish(engine, run, fence, "fail", error="planted")
    return make_old(path)


@pytest.fixture
def versions(registry: Registry, write_bundle: WriteBundle) -> list[str]:
    """Three: aliases name the first alone."""
    versions = [registry.import_folder(write_bundle(seed)) for seed in range(3)]
    for version in versions:
        make_old(registry.folder(version))
    return versions


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        pixels = np.full((8, 8, 3), 60 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_evicted_copies_are_fetched_again_on_demand(
    settings: Settings, engine: sa.Engine, registry: Registry, versions: list[str]
) -> None:
    snapshot_path = snapshot(settings, engine, "failed")
    removed_paths = {copy.path for copy in disk_cache.prune(settings, engine)}
    assert removed_paths == {registry.folder(version) for version in versions[1:]} | {snapshot_path}
    assert not any(path.exists() for path in removed_paths)
    assert not list(settings.storage.rglob(".*"))
    registry.load(versions[1])
    assert settings.blobs.fetch(snapshot_path).read_bytes() == b"s" * 1000


def test_what_an_alias_names_or_a_run_needs_stays(
    settings: Settings, engine: sa.Engine, registry: Registry, versions: list[str]
) -> None:
    running = snapshot(settings, engine, "running")
    disk_cache.prune(settings, engine)
    assert running.exists()
    assert registry.folder(versions[0]).exists()


def test_the_least_recently_used_go_first_and_only_as_many_as_must(
    settings: Settings, engine: sa.Engine, registry: Registry, versions: list[str]
) -> None:
    make_old(registry.folder(versions[2]), OLD - 1)
    size = sum(file.stat().st_size for file in registry.folder(versions[0]).iterdir())
    roomy = settings.model_copy(update={"local_bytes": int(2.5 * size)})
    assert [copy.path for copy in disk_cache.prune(roomy, engine)] == [registry.folder(versions[2])]
    assert disk_cache.prune(roomy, engine) == []


def test_using_a_copy_keeps_it(
    settings: Settings, engine: sa.Engine, registry: Registry, versions: list[str]
) -> None:
    registry.load(versions[1])
    disk_cache.prune(settings, engine)
    assert registry.folder(versions[1]).exists()
    assert not registry.folder(versions[2]).exists()


def test_a_copy_that_is_used_while_the_bucket_is_listed_stays(
    settings: Settings,
    engine: sa.Engine,
    registry: Registry,
    versions: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    list_blobs = Blobs.list_blobs

    def use_meanwhile(self: Blobs) -> Iterator[Blob]:
        registry.load(versions[1])
        return list_blobs(self)

    monkeypatch.setattr(Blobs, "list_blobs", use_meanwhile)
    disk_cache.prune(settings, engine)
    assert registry.folder(versions[1]).exists()
    assert not registry.folder(versions[2]).exists()


def test_what_the_bucket_lacks_stays(
    settings: Settings, engine: sa.Engine, registry: Registry, versions: list[str]
) -> None:
    names = [blob.name for blob in settings.blobs.list_blobs() if versions[1] in blob.name]
    settings.blobs.remove_names(names[:1])
    disk_cache.prune(settings, engine)
    assert registry.folder(versions[1]).exists()
    assert not registry.folder(versions[2]).exists()


def test_without_a_bucket_the_store_is_no_copy(
    tmp_path: Path, write_bundle: WriteBundle, pictures: Path
) -> None:
    alone = Settings(home=tmp_path / "alone", local_bytes=0)
    engine = connect(alone)
    migrate(engine)
    registry = Registry(engine, alone.blobs)
    versions = [registry.import_folder(write_bundle(seed)) for seed in range(2)]
    for version in versions:
        make_old(registry.folder(version))
    folder = make_old(pack(pictures, 8, alone.cache).folder)
    assert [copy.path for copy in disk_cache.prune(alone, engine)] == [folder]
    assert all(registry.folder(version).exists() for version in versions)
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
    settings: Settings, engine: sa.Engine, pictures: Path
) -> None:
    folder = pack(pictures, 8, settings.cache).folder
    features = settings.cache / layout.FEATURES / "x-real"
    features.mkdir(parents=True)
    (features / "4.npy").write_bytes(b"x" * 100)
    command = [sys.executable, "-c", USE, str(pictures), str(settings.cache)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        for path in (folder, features):
            make_old(path)
        assert [copy.path for copy in disk_cache.prune(settings, engine)] == [features]
        output, _ = process.communicate("")
    assert int(output) == 8 * 8 * 3 * 60 * (0 + 1 + 2 + 3)
    assert [copy.path for copy in disk_cache.prune(settings, engine)] == [folder]
    assert pack(pictures, 8, settings.cache).count == 4, "it is made again"


def test_a_running_process_prunes_by_itself(
    settings: Settings,
    engine: sa.Engine,
    versions: list[str],
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disk_cache, "INTERVAL", 0.05)
    with disk_cache.pruning(settings, engine):
        deadline = time.monotonic() + 30
        while registry.folder(versions[1]).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
