"""`kao gc` with a bucket: what no row names goes, and nothing else."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from kao.main import cli
from models import runs
from models.database.engine import connect, migrate
from models.database.tables import datasets
from models.maintenance import bucket_garbage
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings


@pytest.fixture
def settings(bucket, tmp_path: Path):
    return Settings(home=tmp_path / "home", storage_url=bucket)


@pytest.fixture
def engine(settings: Settings):
    engine = connect(settings)
    migrate(engine)
    yield engine
    engine.dispose()


def put(settings, *names) -> None:
    """Files in the bucket alone."""
    for name in names:
        path = settings.home / "elsewhere"
        path.write_bytes(b"something")
        settings.blobs.put(path, name)


def there(settings):
    return {blob.name for blob in settings.blobs.list_blobs()}


@pytest.fixture
def run(engine: sa.Engine):
    asked = {"preset": "smoke"}
    run = runs.create(engine, resolve(asked), asked)[0]["id"]
    _, fence = runs.claim(engine, run)
    runs.snapshot(engine, run, fence, "000000000020.pt", {})
    return run


@pytest.fixture
def kept(settings: Settings, engine: sa.Engine, run, write_bundle):
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
    return there(settings)


@pytest.fixture
def orphans(settings: Settings, run, kept):
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


def test_strays_are_told_and_stay_until_asked(
    settings: Settings, engine: sa.Engine, kept, orphans
) -> None:
    found = bucket_garbage.find(settings, engine, minimum_age=0)
    assert {name for stray in found for name in stray.names} == orphans
    assert len(found) == len(orphans) - 1, "a bundle is one"
    assert all(stray.place.startswith("s3://") and stray.bytes >= 9 for stray in found)
    assert there(settings) == kept | orphans


def test_collecting_removes_them_and_nothing_else(
    settings: Settings, engine: sa.Engine, kept, orphans
) -> None:
    assert len(bucket_garbage.collect(settings, engine, minimum_age=0)) == len(orphans) - 1
    assert there(settings) == kept
    assert bucket_garbage.collect(settings, engine, minimum_age=0) == []


def test_what_is_young_may_be_in_the_making(
    settings: Settings, engine: sa.Engine, kept, orphans
) -> None:
    assert bucket_garbage.find(settings, engine) == []
    assert bucket_garbage.collect(settings, engine) == []
    assert there(settings) == kept | orphans


def test_what_was_published_while_it_looked_stays(
    settings: Settings, engine: sa.Engine, kept, orphans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are read again before each removal."""
    late, read = "f" * 64, bucket_garbage._references

    def publish_after(engine):
        needs = read(engine)
        with engine.begin() as db:
            row = {"name": "late", "digest": late, "bytes": 9, "images": 2}
            db.execute(datasets.insert().values(**row, licence="mine", uploaded="now"))
        return needs

    monkeypatch.setattr(bucket_garbage, "_references", publish_after)
    bucket_garbage.collect(settings, engine, minimum_age=0)
    assert there(settings) == kept | {f"datasets/{late}.zip"}


def test_without_a_bucket_there_are_none(tmp_path: Path) -> None:
    alone = Settings(home=tmp_path)
    engine = connect(alone)
    migrate(engine)
    assert bucket_garbage.collect(alone, engine, minimum_age=0) == []
    engine.dispose()


def test_the_command_tells_and_then_removes(
    settings: Settings, engine: sa.Engine, kept, orphans, monkeypatch: pytest.MonkeyPatch, bucket
) -> None:
    monkeypatch.setenv("KAO_HOME", str(settings.home))
    monkeypatch.setenv("STORAGE_URL", bucket)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("find", "collect"):
        monkeypatch.setattr(bucket_garbage, name, _at_once(getattr(bucket_garbage, name)))
    told = CliRunner().invoke(cli, ["gc"]).output
    assert f"nothing needs {len(orphans) - 1} of them" in told
    assert f"{bucket}/runs/norun" in told.replace("\n", "")
    assert there(settings) == kept | orphans
    assert "removed" in CliRunner().invoke(cli, ["gc", "--yes"]).output
    assert there(settings) == kept


def _at_once(look):
    return lambda settings, engine: look(settings, engine, minimum_age=0)
