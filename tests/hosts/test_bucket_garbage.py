"""`kao gc` with a bucket removes files that no row names, and no others."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from kao.main import cli
from models import runs
from models.database.engine import connect, migrate
from models.database.tables import datasets
from models.maintenance import bucket_garbage, garbage
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from tests.support.fixtures import WriteBundle


@pytest.fixture
def settings(bucket: str, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", storage_url=bucket)


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    engine = connect(settings)
    migrate(engine)
    yield engine
    engine.dispose()


def put(settings: Settings, *names: str) -> None:
    """Files in the bucket settings."""
    for name in names:
        path = settings.home / "elsewhere"
        path.write_bytes(b"something")
        settings.blobs.put(path, name)


def stored_names(settings: Settings) -> set[str]:
    return {blob.name for blob in settings.blobs.list_blobs()}


@pytest.fixture
def run(engine: sa.Engine) -> str:
    request = {"preset": "smoke"}
    run = str(runs.create(engine, resolve(request), request)[0]["id"])
    claim = runs.claim(engine, run)
    assert claim is not None
    fence = claim[1]
    runs.snapshot(engine, run, fence, "000000000020.pt", {})
    return run


@pytest.fixture
def needed_files(
    settings: Settings, engine: sa.Engine, run: str, write_bundle: WriteBundle
) -> set[str]:
    """What must stay: a model, the run's two snapshots and its sheet, a dataset, others' files."""
    Registry(engine, settings.blobs).import_folder(write_bundle(1))
    with engine.begin() as db:
        row = {"name": "faces", "digest": "d" * 64, "bytes": 9, "images": 2}
        db.execute(datasets.insert().values(**row, licence="mine", uploaded="now"))
    put(
        settings,
        f"snapshots/{run}/000000000010.pt",
        f"snapshots/{run}/000000000020.pt",
        f"runs/{run}/sheets/1.png",
        f"datasets/{'d' * 64}.zip",
        "notes/of-somebody.txt",
        "readme.txt",
    )
    return stored_names(settings)


@pytest.fixture
def orphans(settings: Settings, run: str, needed_files: set[str]) -> set[str]:
    names = [
        f"bundles/{'e' * 64}/card.json",
        f"bundles/{'e' * 64}/generator.safetensors",
        f"datasets/{'f' * 64}.zip",
        "snapshots/norun/000000000001.pt",
        "runs/norun/sheets/1.png",
        f"snapshots/{run}/000000000005.pt",
        f"snapshots/{run}/000000000030.pt",  # of a worker that lost its lease
    ]
    put(settings, *names)
    return set(names)


def test_finding_garbage_removes_nothing(
    settings: Settings, engine: sa.Engine, needed_files: set[str], orphans: set[str]
) -> None:
    garbage_units = bucket_garbage.find(settings, engine, minimum_age=0)
    assert {name for unit in garbage_units for name in unit.names} == orphans
    assert len(garbage_units) == len(orphans) - 1, "the files of a bundle are one unit"
    assert all(unit.place.startswith("s3://") and unit.bytes >= 9 for unit in garbage_units)
    assert stored_names(settings) == needed_files | orphans


def test_collecting_removes_them_and_nothing_else(
    settings: Settings, engine: sa.Engine, needed_files: set[str], orphans: set[str]
) -> None:
    assert len(bucket_garbage.collect(settings, engine, minimum_age=0)) == len(orphans) - 1
    assert stored_names(settings) == needed_files
    assert bucket_garbage.collect(settings, engine, minimum_age=0) == []


def test_a_young_file_may_be_in_use(
    settings: Settings, engine: sa.Engine, needed_files: set[str], orphans: set[str]
) -> None:
    assert bucket_garbage.find(settings, engine) == []
    assert bucket_garbage.collect(settings, engine) == []
    assert stored_names(settings) == needed_files | orphans


def test_a_dataset_uploaded_during_a_collection_stays(
    settings: Settings,
    engine: sa.Engine,
    needed_files: set[str],
    orphans: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows are read again before each removal."""
    late, read = "f" * 64, bucket_garbage._references

    def publish_after(engine: sa.Engine) -> garbage.References:
        references = read(engine)
        monkeypatch.setattr(bucket_garbage, "_references", read)
        with engine.begin() as db:
            row = {"name": "late", "digest": late, "bytes": 9, "images": 2}
            db.execute(datasets.insert().values(**row, licence="mine", uploaded="now"))
        return references

    monkeypatch.setattr(bucket_garbage, "_references", publish_after)
    bucket_garbage.collect(settings, engine, minimum_age=0)
    assert stored_names(settings) == needed_files | {f"datasets/{late}.zip"}


def test_without_a_bucket_there_are_none(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    engine = connect(settings)
    migrate(engine)
    assert bucket_garbage.collect(settings, engine, minimum_age=0) == []
    engine.dispose()


def test_the_command_tells_and_then_removes(
    settings: Settings,
    engine: sa.Engine,
    needed_files: set[str],
    orphans: set[str],
    monkeypatch: pytest.MonkeyPatch,
    bucket: str,
) -> None:
    monkeypatch.setenv("KAO_HOME", str(settings.home))
    monkeypatch.setenv("STORAGE_URL", bucket)
    for name in ("find", "collect"):
        monkeypatch.setattr(bucket_garbage, name, _at_once(getattr(bucket_garbage, name)))
    output = CliRunner().invoke(cli, ["gc"]).output
    assert f"not needed: {len(orphans) - 1} files" in output
    assert f"{bucket}/runs/norun" in output.replace("\n", "")
    assert stored_names(settings) == needed_files | orphans
    assert "removed" in CliRunner().invoke(cli, ["gc", "--yes"]).output
    assert stored_names(settings) == needed_files


def _at_once(look: Callable[..., Any]) -> Callable[..., Any]:
    return lambda settings, engine: look(settings, engine, minimum_age=0)
