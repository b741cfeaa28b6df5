"""`kao verify`: damage is found wherever it is, and repaired where another copy is whole."""

import shutil
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from models import bundle, registry, runs
from models.database.tables import datasets
from models.maintenance.scrub import Damage, scrub
from models.registry import Registry
from models.settings import Settings
from models.storage import atomic, layout
from tests.support.fixtures import Begin, WriteBundle


@pytest.fixture
def files(
    settings: Settings, engine: sa.Engine, write_bundle: WriteBundle, begin: Begin
) -> dict[str, Path]:
    """One stored file of each kind, all whole."""
    version = Registry(engine, settings.storage).import_folder(write_bundle())
    upload = settings.storage / "upload.zip"
    upload.write_bytes(b"a zip of pictures")
    digest = atomic.sha256(upload)
    zip_path = settings.storage / layout.dataset(digest)
    zip_path.parent.mkdir()
    upload.rename(zip_path)
    with engine.begin() as db:
        row = {"name": "faces", "digest": digest, "bytes": 9, "images": 2}
        db.execute(datasets.insert().values(**row, licence="mine", uploaded="now"))
    run, fence = begin("running")
    snapshot = settings.storage / layout.snapshot(run, layout.snapshot_file(10))
    snapshot.parent.mkdir(parents=True)
    with zipfile.ZipFile(snapshot, "w") as archive:
        archive.writestr("data", b"weights" * 100)
    runs.snapshot(engine, run, fence, snapshot.name, {})
    weights = settings.storage / layout.bundle(version) / bundle.WEIGHTS
    return {"bundle": weights, "dataset": zip_path, "snapshot": snapshot}


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_whole_store_has_no_damage(
    settings: Settings, engine: sa.Engine, files: dict[str, Path]
) -> None:
    assert list(scrub(settings, engine)) == []


@pytest.mark.parametrize("change", [_flip_a_bit, Path.unlink], ids=["a-bit", "missing"])
@pytest.mark.parametrize("kind", ["bundle", "dataset", "snapshot"])
def test_damage_is_found_and_named(
    settings: Settings, engine: sa.Engine, files: dict[str, Path], kind: str, change: object
) -> None:
    assert callable(change)
    change(files[kind])
    (damage,) = scrub(settings, engine, repair=True)
    assert (settings.storage / damage.name) in {files[kind], files[kind].parent}
    assert damage.problem
    assert not damage.is_repaired, "there is no other copy"


def test_a_shipped_model_is_repaired_from_the_package(
    settings: Settings,
    engine: sa.Engine,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = files["bundle"].parent
    shutil.copytree(folder, tmp_path / "shipped" / folder.name)
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "shipped")
    _flip_a_bit(files["bundle"])
    assert [damage.is_repaired for damage in scrub(settings, engine)] == [False]
    (damage,) = scrub(settings, engine, repair=True)
    assert damage == Damage(layout.bundle(folder.name), damage.problem, True)
    assert list(scrub(settings, engine)) == []
