"""A backup is consistent while processes write, and a restore is verified or refused."""

import errno
import io
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from models import bundle, runs
from models.bundle import verify
from models.database.engine import connect, migrate
from models.database.tables import datasets
from models.errors import KaoError
from models.maintenance import database_dump
from models.maintenance.backup import MANIFEST, _unpack, _verify, backup, restore
from models.registry import Registry
from models.settings import Settings
from models.storage import layout
from tests.support.fixtures import Begin, WriteBundle

Full = tuple[str, str, runs.Fence]


@pytest.fixture
def full(settings: Settings, engine: sa.Engine, begin: Begin, write_bundle: WriteBundle) -> Full:
    """A home with a model and a run that has a snapshot."""
    registry = Registry(engine, settings.storage)
    version = registry.import_folder(write_bundle(3))
    run, fence = begin("running")
    save(settings, engine, run, fence, 1)
    return version, run, fence


def save(settings: Settings, engine: sa.Engine, run: str, fence: runs.Fence, step: int) -> None:
    """Write a snapshot and delete the one before the last, as training does."""
    folder = settings.storage / "snapshots" / run
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{step:012d}.pt"
    (folder / name).write_bytes(bytes([step % 256]) * 1000)
    runs.snapshot(engine, run, fence, name, {})
    for old in sorted(folder.glob("*.pt"))[:-2]:
        old.unlink()


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "other")


def test_a_restored_home_has_every_row_and_every_blob(
    settings: Settings, engine: sa.Engine, full: Full, empty: Settings, tmp_path: Path
) -> None:
    version, run, _ = full
    (settings.home / "api-key").write_text("kao_secret")
    enlarging = settings.home / "enlarging" / "0123.pt"
    enlarging.parent.mkdir()
    enlarging.write_bytes(b"half an enlarger")
    archive = tmp_path / "kao.tar"
    backup(settings, archive)
    assert archive.stat().st_mode & 0o077 == 0, "it has keys"
    restore(empty, archive)
    database = connect(empty)
    migrate(database)
    registry = Registry(database, empty.storage)
    assert registry.aliases() == Registry(engine, settings.storage).aliases()
    verify.verify(registry.folder(version), version)
    row = runs.get(database, run)
    assert row == runs.get(engine, run)
    assert (empty.storage / "snapshots" / run / row["snapshot"]).stat().st_size == 1000
    assert (empty.home / "enlarging" / "0123.pt").read_bytes() == b"half an enlarger"
    assert (empty.home / "api-key").read_text() == "kao_secret"
    assert (empty.home / "api-key").stat().st_mode & 0o077 == 0
    database.dispose()


def test_a_backup_is_consistent_while_a_run_writes(
    settings: Settings, engine: sa.Engine, full: Full, tmp_path: Path
) -> None:
    _, run, fence = full
    stop = threading.Event()

    def train() -> None:
        step = 2
        while not stop.is_set():
            save(settings, engine, run, fence, step)
            step += 1
            time.sleep(0.05)  # a hundred times as often as a run writes snapshots

    training = threading.Thread(target=train)
    training.start()
    try:
        for number in range(5):
            archive = tmp_path / f"{number}.tar"
            backup(settings, archive)
            restore(Settings(home=tmp_path / f"home{number}"), archive)
    finally:
        stop.set()
        training.join()
    assert not list(settings.storage.glob(".*.tmp"))


def test_a_damaged_model_is_named_before_a_backup_needs_it(
    settings: Settings, full: Full, tmp_path: Path
) -> None:
    card = settings.storage / "bundles" / full[0] / bundle.CARD
    card.write_bytes(card.read_bytes() + b" ")
    with pytest.raises(KaoError, match=f"model {full[0][:12]} is damaged.*kao verify --repair"):
        backup(settings, tmp_path / "kao.tar")
    assert not (tmp_path / "kao.tar").exists()


def test_a_damaged_dataset_is_named_before_a_backup_needs_it(
    settings: Settings, engine: sa.Engine, tmp_path: Path
) -> None:
    name = layout.dataset("a" * 64)
    row = {"name": "faces", "digest": "a" * 64, "images": 1, "bytes": 1, "licence": "CC0-1.0"}
    with engine.begin() as db:
        db.execute(datasets.insert().values(**row, uploaded="2026-11-28T00:00:00Z"))
    (settings.storage / name).parent.mkdir(parents=True)
    (settings.storage / name).write_bytes(b"rotten")
    with pytest.raises(KaoError, match="dataset of digest aaaaaaaaaaaa is damaged"):
        backup(settings, tmp_path / "kao.tar")


def test_the_store_may_lie_on_another_disk_than_the_home(
    settings: Settings,
    engine: sa.Engine,
    full: Full,
    empty: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enlarging = settings.home / "enlarging" / "0123.pt"
    enlarging.parent.mkdir()
    enlarging.write_bytes(b"half an enlarger")
    backup(settings, tmp_path / "kao.tar")
    store = tmp_path / "disk"
    empty = empty.model_copy(update={"storage_url": f"file://{store}"})
    rename = Path.replace

    def replace_on_one_disk(self: Path, target: Path) -> Path:
        if self.is_relative_to(store) != Path(target).is_relative_to(store):
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace_on_one_disk)
    restore(empty, tmp_path / "kao.tar")
    assert (empty.home / "enlarging" / "0123.pt").read_bytes() == b"half an enlarger"
    assert empty.storage == store


def test_a_home_with_a_database_is_not_overwritten(
    settings: Settings, full: Full, tmp_path: Path
) -> None:
    backup(settings, tmp_path / "kao.tar")
    with pytest.raises(KaoError, match="has a database already"):
        restore(settings, tmp_path / "kao.tar")


def flip(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    with tarfile.open(archive) as tar:
        place = next(member for member in tar if member.name.endswith(bundle.WEIGHTS)).offset_data
    data[place + 500] ^= 1
    archive.write_bytes(data)


def truncate(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])


def empty_out(archive: Path) -> None:
    archive.write_bytes(b"")


def climb(archive: Path) -> None:
    """A file that would land outside."""
    with tarfile.open(archive, "a") as tar:
        tar.add(__file__, "../evil")


def add(archive: Path) -> None:
    with tarfile.open(archive, "a") as tar:
        tar.add(__file__, "store/evil")


def drop(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        members = [
            (member, file.read())
            for member in tar
            if (file := tar.extractfile(member)) and "bundles" not in member.name
        ]
    with tarfile.open(archive, "w") as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("damage", [flip, truncate, empty_out, climb, add, drop])
def test_a_damaged_archive_restores_nothing(
    settings: Settings, full: Full, empty: Settings, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    archive = tmp_path / "kao.tar"
    assert MANIFEST not in backup(settings, archive).files
    damage(archive)
    with pytest.raises(KaoError):
        restore(empty, archive)
    assert not (empty.home / "kao.db").exists()
    assert not (empty.storage / "bundles").exists()
    assert not (tmp_path / "evil").exists()


def test_without_postgresqls_programs_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = Settings(home=tmp_path, database_url="postgresql://h/d")
    with pytest.raises(KaoError, match=r"pg_dump is not installed.*client programs"):
        backup(settings, tmp_path / "kao.tar")
    with pytest.raises(KaoError, match="pg_restore is not installed"):
        restore(settings, tmp_path / "kao.tar")


def test_a_backup_of_sqlite_is_not_taken_for_one_of_postgresql(
    settings: Settings, full: Full, tmp_path: Path
) -> None:
    """It is refused before anything is moved, and without a server."""
    backup(settings, tmp_path / "kao.tar")
    with pytest.raises(KaoError, match="is of SQLite; unset DATABASE_URL"):
        _verify_as(tmp_path / "kao.tar", tmp_path / "stage", database_dump.POSTGRESQL)


def _verify_as(archive: Path, stage: Path, database: str) -> None:
    stage.mkdir()
    _verify(stage, _unpack(archive, stage), database)


def test_the_commands_go_round(
    settings: Settings, full: Full, empty: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from kao.main import cli

    def run(home: Path, *words: str) -> str:
        monkeypatch.setenv("KAO_HOME", str(home))
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 0, result.output
        return result.output

    archive = str(tmp_path / "kao.tar")
    run(settings.home, "backup", archive)
    assert "all verified" in run(empty.home, "restore", archive)
    assert "removes them" in run(empty.home, "gc")
    assert "removed 0" in run(empty.home, "gc", "--yes")
