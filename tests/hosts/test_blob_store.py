"""A bucket behind the folder: what is put is there for others, what comes is whole and right."""

import datetime
import shutil
import signal
import time
from pathlib import Path

import pytest

from models import bootstrap, bundle
from models.database.engine import connect, migrate
from models.datasets import catalogue
from models.datasets.archive import ArchiveReport
from models.errors import BadBundle, DatasetError, StorageUnreachable
from models.registry import Registry
from models.settings import Settings
from models.storage.blob_store import Blobs


@pytest.fixture
def hosts(bucket, tmp_path: Path):
    """Two hosts: a folder each, one bucket and one database; (settings, registry) of both."""
    # What the bucket does has nothing to do with the database: one SQLite file will do.
    database, made = f"sqlite:///{tmp_path / 'shared.db'}", []
    for name in ("a", "b"):
        settings = Settings(home=tmp_path / name, storage_url=bucket, database_url=database)
        engine = connect(settings)
        migrate(engine)
        made.append((settings, Registry(engine, settings.blobs)))
    yield made
    for _, registry in made:
        registry.engine.dispose()


def test_a_file_comes_as_it_went(bucket, tmp_path: Path) -> None:
    here, there = Blobs(tmp_path / "a", bucket), Blobs(tmp_path / "b", bucket)
    path = here.folder / "snapshots" / "run" / "1.pt"
    path.parent.mkdir(parents=True)
    # Above obstore's 5 MiB, it goes in several parts.
    path.write_bytes(bytes(range(256)) * 40_000)
    here.put(path)
    came = there.fetch(there.folder / "snapshots" / "run" / "1.pt")
    assert came.read_bytes() == path.read_bytes()
    assert there.names("snapshots/run") == ["1.pt"]
    there.remove(came)
    assert not came.exists()
    assert here.names("snapshots/run") == []
    assert not there.fetch(came).exists(), "what is nowhere stays away"


def test_a_version_published_here_is_drawn_there(hosts, write_bundle) -> None:
    (_, one), (_, two) = hosts
    version = one.import_folder(write_bundle(seed=1))
    assert not two.folder(version).exists()
    drawn = [registry.load(version).card for registry in (one, two)]
    assert drawn[0] == drawn[1]
    assert bundle.digest(two.folder(version)) == version
    assert two.promote(version) == version
    assert one.aliases()["default"] == version


def test_a_damaged_copy_is_replaced_by_the_buckets(hosts, write_bundle) -> None:
    (_, one), _ = hosts
    version = one.import_folder(write_bundle(seed=1))
    (one.folder(version) / bundle.SAMPLES).write_bytes(b"flipped on disk")
    one.load(version)
    assert bundle.digest(one.folder(version)) == version


def test_a_damaged_copy_never_replaces_a_good_one(hosts, write_bundle) -> None:
    (_, one), (_, two) = hosts
    version = one.import_folder(write_bundle(seed=1))
    (one.folder(version) / bundle.SAMPLES).write_bytes(b"flipped on disk")
    one.blobs.put_once(one.folder(version))
    two.load(version)


def test_what_was_changed_in_the_bucket_is_refused_and_not_kept(hosts, write_bundle) -> None:
    (_, one), (_, two) = hosts
    version = one.import_folder(write_bundle(seed=1))
    (one.folder(version) / bundle.SAMPLES).write_bytes(b"changed by somebody")
    one.blobs.put(one.folder(version) / bundle.SAMPLES)
    with pytest.raises(BadBundle, match="damaged"):
        two.load(version)
    assert not two.folder(version).exists()


def test_a_damaged_copy_stays_where_the_buckets_is_no_better(hosts, write_bundle) -> None:
    (_, one), _ = hosts
    version = one.import_folder(write_bundle(seed=1))
    one.blobs.remove(one.folder(version) / bundle.CARD)
    with pytest.raises(BadBundle):
        one.load(version)
    assert (one.folder(version) / bundle.WEIGHTS).exists()


def test_a_dataset_uploaded_here_is_trained_on_there(hosts, tmp_path: Path) -> None:
    (here, one), (there, two) = hosts
    upload = tmp_path / "upload.tmp"
    upload.write_bytes(b"a zip that was checked")
    report = ArchiveReport(3, 0, 0)
    row, _ = catalogue.add(one.engine, here, upload, name="faces", licence="CC0-1.0", report=report)
    path = catalogue.fetch(there, row["digest"])
    assert path.read_bytes() == b"a zip that was checked"
    assert path.is_relative_to(there.home)
    catalogue.delete(two.engine, there, "faces")
    assert here.blobs.names("datasets") == []


def test_a_dataset_of_other_bytes_is_refused(hosts, tmp_path: Path) -> None:
    (here, _), (there, _) = hosts
    path = catalogue.path(here, "0" * 64)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not what the digest says")
    here.blobs.put(path)
    with pytest.raises(DatasetError, match="damaged"):
        catalogue.fetch(there, "0" * 64)
    assert not catalogue.path(there, "0" * 64).exists()


def test_a_new_host_serves_what_the_others_do(
    hosts, write_bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, one), (there, two) = hosts
    monkeypatch.setattr(bootstrap, "shipped", list)
    version = one.import_folder(write_bundle(seed=1))
    shutil.rmtree(two.bundles, ignore_errors=True)
    bootstrap.prepare(there).dispose()
    assert two.resolve("default") == version
    two.load(version)


@pytest.mark.parametrize("ill", ["gone", "frozen"])
def test_a_bucket_that_does_not_answer_is_told_and_what_is_here_serves(
    hosts, s3, write_bundle, monkeypatch: pytest.MonkeyPatch, ill
) -> None:
    (_, one), (_, two) = hosts
    version = one.import_folder(write_bundle(seed=1))
    for name in ("RETRY", "SILENCE"):
        monkeypatch.setattr(f"models.storage.blob_store.{name}", datetime.timedelta(seconds=0.5))
    two.blobs = Blobs(two.blobs.folder, two.blobs.url)
    if ill == "gone":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    else:
        s3.process.send_signal(signal.SIGSTOP)
    try:
        one.load(version)
        began = time.monotonic()
        with pytest.raises(StorageUnreachable):
            two.load(version)
        assert time.monotonic() - began < 20
    finally:
        s3.process.send_signal(signal.SIGCONT)
    two.blobs = Blobs(two.blobs.folder, two.blobs.url)
    if ill == "frozen":
        two.load(version)
