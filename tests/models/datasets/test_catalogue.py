"""Uploaded datasets: no failure loses a zip that a row names; an upload replaces damaged copies."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from models.datasets import catalogue
from models.datasets.archive import ArchiveReport
from models.errors import DatasetError, UnknownDataset
from models.settings import Settings

CONTENT = b"a zip that was checked"
Add = Callable[[str], catalogue.Row]


@pytest.fixture
def add(settings: Settings, engine: sa.Engine) -> Add:
    """`add(name)` keeps CONTENT under a name; its row."""

    def add(name: str) -> catalogue.Row:
        upload = settings.storage / "upload.tmp"
        upload.parent.mkdir(parents=True, exist_ok=True)
        upload.write_bytes(CONTENT)
        report = ArchiveReport(3, [], 0)
        row, _ = catalogue.add(
            engine, settings, upload, name=name, licence="CC0-1.0", report=report
        )
        return row

    return add


def test_a_deletion_that_is_not_committed_keeps_the_zip(
    settings: Settings, engine: sa.Engine, add: Add
) -> None:
    """The disk is full, which is why a dataset is deleted, and the commit fails."""
    row = add("faces")

    def fail(_: sa.Connection) -> None:
        raise OSError("No space left on device")

    event.listen(engine, "commit", fail)
    with pytest.raises(OSError, match="space"):
        catalogue.delete(engine, settings, "faces")
    event.remove(engine, "commit", fail)
    assert catalogue.get(engine, "faces") == row
    assert catalogue.path(settings, row["digest"]).read_bytes() == CONTENT


def test_a_zip_is_removed_with_its_last_name(
    settings: Settings, engine: sa.Engine, add: Add
) -> None:
    digest = add("faces")["digest"]
    assert add("other")["digest"] == digest
    catalogue.delete(engine, settings, "faces")
    assert catalogue.path(settings, digest).read_bytes() == CONTENT
    catalogue.delete(engine, settings, "other")
    assert list(catalogue.path(settings, digest).parent.iterdir()) == []
    with pytest.raises(UnknownDataset):
        catalogue.get(engine, "other")


def test_a_zip_that_is_uploaded_while_its_last_name_is_deleted_stays(
    settings: Settings, engine: sa.Engine, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, remove = add("faces")["digest"], catalogue._remove

    def upload_first(*arguments: object) -> None:
        add("other")
        remove(engine, settings, digest)

    monkeypatch.setattr(catalogue, "_remove", upload_first)
    catalogue.delete(engine, settings, "faces")
    assert catalogue.path(settings, digest).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["faces", "other"])
def test_uploading_a_zip_again_replaces_a_damaged_copy(
    settings: Settings, add: Add, name: str
) -> None:
    path = catalogue.path(settings, add("faces")["digest"])
    path.write_bytes(b"b" + CONTENT[1:])
    add(name)
    assert path.read_bytes() == CONTENT


def test_a_zip_that_was_lost_is_named(settings: Settings, engine: sa.Engine, add: Add) -> None:
    row = add("faces")
    catalogue.path(settings, row["digest"]).unlink()
    with pytest.raises(DatasetError, match="missing; upload it again"):
        catalogue.label_table(settings, row)
    assert add("faces") == row
    assert catalogue.fetch(settings, row["digest"]).read_bytes() == CONTENT
