"""`kao backup` and `kao restore` where the database is PostgreSQL and the store a bucket."""

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from models import bundle, runs
from models.bundle import verify
from models.database.engine import connect, migrate
from models.errors import KaoError
from models.maintenance import database_dump
from models.maintenance.backup import backup, restore
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from tests.support.fixtures import WriteBundle
from tests.support.servers import S3, Postgres

pytestmark = pytest.mark.skipif(
    not (shutil.which("pg_dump") and shutil.which("pg_restore")), reason="no pg_dump here"
)


Host = tuple[Settings, sa.Engine]


@pytest.fixture
def host(postgres: Postgres, bucket: str, tmp_path: Path) -> Iterator[Host]:
    """A host on PostgreSQL and a bucket, its tables made."""
    settings = Settings(
        home=tmp_path / "one",
        database_url=postgres.database().replace("kao@", "kao:not%2Fneeded@"),
        storage_url=bucket,
    )
    engine = connect(settings)
    migrate(engine)
    yield settings, engine
    engine.dispose()


@pytest.fixture
def contents(host: Host, write_bundle: WriteBundle) -> tuple[str, str]:
    """(version, run): a model, and a run with a snapshot that lies in the bucket alone."""
    settings, engine = host
    version = Registry(engine, settings.blobs).import_folder(write_bundle(5))
    request = {"preset": "smoke"}
    run = runs.create(engine, resolve(request), request)[0]["id"]
    claim = runs.claim(engine, run)
    assert claim is not None
    snapshot = settings.storage / "snapshots" / run / "000000000007.pt"
    snapshot.parent.mkdir(parents=True)
    snapshot.write_bytes(b"s" * 1000)
    settings.blobs.put(snapshot)
    runs.snapshot(engine, run, claim[1], snapshot.name, {})
    shutil.rmtree(settings.storage)  # another host wrote all of it
    return version, run


def test_all_comes_back_in_another_database_and_another_bucket(
    host: Host, contents: tuple[str, str], postgres: Postgres, s3: S3, tmp_path: Path
) -> None:
    (settings, engine), (version, run) = host, contents
    archive = tmp_path / "kao.tar"
    manifest = backup(settings, archive)
    assert database_dump.POSTGRESQL in manifest.files
    other = Settings(
        home=tmp_path / "two",
        database_url=postgres.database(),
        storage_url=f"s3://{s3.bucket()}/other",
    )
    restore(other, archive)
    database = connect(other)
    migrate(database)
    assert runs.get(database, run) == runs.get(engine, run)
    assert runs.events_after(database, run, 0) == runs.events_after(engine, run, 0)
    shutil.rmtree(other.storage)  # the bucket alone has to be enough
    registry = Registry(database, other.blobs)
    assert registry.aliases() == Registry(engine, settings.blobs).aliases()
    verify.verify(registry.fetch(version), version)
    name = f"snapshots/{run}/000000000007.pt"
    assert other.blobs.fetch(other.storage / name).read_bytes() == b"s" * 1000
    # The next row's number follows those that came: sequences are restored too.
    registry.promote(version)
    registry.publish(_copy(registry.folder(version), other.storage / "again"))
    database.dispose()
    with pytest.raises(KaoError, match="has tables already"):
        restore(other, archive)


def _copy(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    (target / bundle.SAMPLES).write_bytes(b"other bytes, so another version")
    return target


def test_a_damaged_archive_leaves_an_empty_database_empty(
    host: Host, contents: tuple[str, str], postgres: Postgres, tmp_path: Path
) -> None:
    settings, _ = host
    archive = tmp_path / "kao.tar"
    backup(settings, archive)
    with tarfile.open(archive) as tar:
        place = tar.getmember(database_dump.POSTGRESQL).offset_data
    data = bytearray(archive.read_bytes())
    data[place + 200] ^= 1
    archive.write_bytes(data)
    other = Settings(home=tmp_path / "two", database_url=postgres.database())
    with pytest.raises(KaoError, match="damaged"):
        restore(other, archive)
    database = connect(other)
    migrate(database)
    assert runs.list_runs(database) == []
    database.dispose()


def test_what_the_bucket_lacks_is_reported(
    host: Host, contents: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = host
    monkeypatch.setattr("models.maintenance.backup.TRIES", 2)
    settings.blobs.remove(settings.storage / "snapshots" / contents[1] / "000000000007.pt")
    with pytest.raises(KaoError, match="is missing"):
        backup(settings, tmp_path / "kao.tar")
    assert not (tmp_path / "kao.tar").exists()


def test_a_database_that_is_not_kaos_is_refused_in_words(
    postgres: Postgres, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home", database_url=postgres.database())
    with pytest.raises(KaoError, match="no tables of Kao"):
        backup(settings, tmp_path / "kao.tar")
