"""A bucket behind the folder: every host gets every file, whole and verified, or an error."""

import datetime
import shutil
import signal
import time
from collections.abc import Iterator
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
from tests.support.fixtures import WriteBundle
from tests.support.servers import KEYS, S3

Hosts = list[tuple[Settings, Registry]]


@pytest.fixture
def hosts(bucket: str, tmp_path: Path) -> Iterator[Hosts]:
    """Two hosts: a folder each, one bucket and one database; (settings, registry) of both."""
    # The bucket does not depend on the kind of database.
    database = f"sqlite:///{tmp_path / 'shared.db'}"
    hosts: Hosts = []
    for name in ("a", "b"):
        settings = Settings(home=tmp_path / name, storage_url=bucket, database_url=database)
        engine = connect(settings)
        migrate(engine)
        hosts.append((settings, Registry(engine, settings.blobs)))
    yield hosts
    for _, registry in hosts:
        registry.engine.dispose()


def test_a_file_comes_as_it_went(bucket: str, tmp_path: Path) -> None:
    local, remote = Blobs(tmp_path / "a", bucket), Blobs(tmp_path / "b", bucket)
    path = local.folder / "snapshots" / "run" / "1.pt"
    path.parent.mkdir(parents=True)
    # Above obstore's 5 MiB, it goes in several parts.
    path.write_bytes(bytes(range(256)) * 40_000)
    local.put(path)
    download = remote.fetch(remote.folder / "snapshots" / "run" / "1.pt")
    assert download.read_bytes() == path.read_bytes()
    assert remote.names("snapshots/run") == ["1.pt"]
    remote.remove(download)
    assert not download.exists()
    assert local.names("snapshots/run") == []
    assert not remote.fetch(download).exists(), "a file that is nowhere stays missing"


def test_credentials_may_be_files(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.delenv(name)
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    settings = Settings(home=tmp_path / "a", storage_url=bucket)
    path = settings.storage / "snapshots" / "run" / "1.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"state")
    settings.blobs.put(path)
    assert settings.blobs_in(tmp_path / "b").names("snapshots/run") == ["1.pt"]


def test_a_version_published_here_is_drawn_there(hosts: Hosts, write_bundle: WriteBundle) -> None:
    (_, one), (_, two) = hosts
    version = one.import_folder(write_bundle(seed=1))
    assert not two.folder(version).exists()
    cards = [registry.load(version).card for registry in (one, two)]
    assert cards[0] == cards[1]
    assert bundle.digest(two.folder(version)) == version
    assert two.promote(version) == version
    assert one.aliases()["default"] == version


def test_a_damaged_copy_is_replaced_by_the_buckets(hosts: Hosts, write_bundle: WriteBundle) -> None:
    (_, one), _ = hosts
    version = one.import_folder(write_bundle(seed=1))
    (one.folder(version) / bundle.SAMPLES).write_bytes(b"flipped on disk")
    one.load(version)
    assert bundle.digest(one.folder(version)) == version


def test_a_damaged_copy_never_replaces_a_good_one(hosts: Hosts, write_bundle: WriteBundle) -> None:
    (_, one), (_, two) = hosts
    version = one.import_folder(write_bundle(seed=1))
    (one.folder(version) / bundle.SAMPLES).write_bytes(b"flipped on disk")
    one.blobs.put_once(one.folder(version))
    two.load(version)


def test_what_was_changed_in_the_bucket_is_refused_and_not_kept(
    hosts: Hosts, write_bundle: WriteBundle
) -> None:
    (_, one), (_, two) = hosts
    version = one.import_folder(write_bundle(seed=1))
    (one.folder(version) / bundle.SAMPLES).write_bytes(b"changed by somebody")
    one.blobs.put(one.folder(version) / bundle.SAMPLES)
    with pytest.raises(BadBundle, match="damaged"):
        two.load(version)
    assert not two.folder(version).exists()


def test_a_damaged_copy_stays_where_the_buckets_is_no_better(
    hosts: Hosts, write_bundle: WriteBundle
) -> None:
    (_, one), _ = hosts
    version = one.import_folder(write_bundle(seed=1))
    one.blobs.remove(one.folder(version) / bundle.CARD)
    with pytest.raises(BadBundle):
        one.load(version)
    assert (one.folder(version) / bundle.WEIGHTS).exists()


def test_a_dataset_uploaded_here_is_trained_on_there(hosts: Hosts, tmp_path: Path) -> None:
    (local, one), (remote, two) = hosts
    upload = tmp_path / "upload.tmp"
    upload.write_bytes(b"a zip that was checked")
    report = ArchiveReport(3, [], 0)
    row, _ = catalogue.add(
        one.engine, local, upload, name="faces", licence="CC0-1.0", report=report
    )
    path = catalogue.fetch(remote, row["digest"])
    assert path.read_bytes() == b"a zip that was checked"
    assert path.is_relative_to(remote.home)
    catalogue.delete(two.engine, remote, "faces")
    assert local.blobs.names("datasets") == []


def test_a_dataset_of_other_bytes_is_refused(hosts: Hosts, tmp_path: Path) -> None:
    (local, _), (remote, _) = hosts
    path = catalogue.path(local, "0" * 64)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not what the digest says")
    local.blobs.put(path)
    with pytest.raises(DatasetError, match="damaged"):
        catalogue.fetch(remote, "0" * 64)
    assert not catalogue.path(remote, "0" * 64).exists()


def test_a_new_host_serves_what_the_others_do(
    hosts: Hosts, write_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, one), (remote, two) = hosts
    monkeypatch.setattr(bootstrap, "shipped_bundles", list)
    version = one.import_folder(write_bundle(seed=1))
    shutil.rmtree(two.bundles, ignore_errors=True)
    bootstrap.prepare(remote).dispose()
    assert two.resolve("default") == version
    two.load(version)


@pytest.mark.parametrize("fault", ["gone", "frozen"])
def test_a_bucket_that_does_not_answer_is_reported_and_local_models_serve(
    hosts: Hosts, s3: S3, write_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    (_, one), (_, two) = hosts
    version = one.import_folder(write_bundle(seed=1))
    for name in ("RETRY", "READ"):
        monkeypatch.setattr(f"models.storage.blob_store.{name}", datetime.timedelta(seconds=0.5))
    two.blobs = Blobs(two.blobs.folder, two.blobs.url)
    if fault == "gone":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    else:
        s3.process.send_signal(signal.SIGSTOP)
    try:
        one.load(version)
        start = time.monotonic()
        with pytest.raises(StorageUnreachable):
            two.load(version)
        assert time.monotonic() - start < 20
    finally:
        s3.process.send_signal(signal.SIGCONT)
    two.blobs = Blobs(two.blobs.folder, two.blobs.url)
    if fault == "frozen":
        two.load(version)


def test_a_slow_upload_to_the_bucket_keeps_no_writer_waiting(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (local, one), (_, two) = hosts
    upload = tmp_path / "upload.tmp"
    upload.write_bytes(b"a zip that was checked")
    writes: list[str] = []
    put_once = Blobs.put_once

    def write_meanwhile(self: Blobs, path: Path, name: str | None = None) -> None:
        with two.engine.begin() as db:  # waits for the lock, and fails after 30 s
            writes.append(db.dialect.name)
        put_once(self, path, name)

    monkeypatch.setattr(Blobs, "put_once", write_meanwhile)
    report = ArchiveReport(3, [], 0)
    catalogue.add(one.engine, local, upload, name="a", licence="CC0-1.0", report=report)
    assert writes == ["sqlite"]
    assert one.blobs.names("datasets")
