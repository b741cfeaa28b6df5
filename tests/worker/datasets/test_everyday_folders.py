"""Folders as four systems leave them: pictures are counted, what lies beside them is left out."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import DatasetError
from tests.worker.datasets.test_packing import picture
from worker.datasets.source import Part
from worker.datasets.sources import open_source
from worker.datasets.sources.folder import FolderSource

SYSTEMS = [
    ("macOS, apple/turicreate#644",
     [".DS_Store", "a/.DS_Store", "._0.png", "a/._1.png", ".Trashes/501/old.png",
      ".Spotlight-V100/x.png", "__MACOSX/a/._1.png"]),
    ("Windows, d8ahazard/sd_dreambooth_extension#64, soft-matter/trackpy#87",
     ["Thumbs.db", "a/desktop.ini", "$RECYCLE.BIN/S-1-5/old.png",
      "System Volume Information/x.png"]),
    ("Synology and QNAP, bghira/SimpleTuner#94",
     ["@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg", "a/@eaDir/1.png@SynoEAStream.png", "#recycle/old.png",
      "@Recycle/old.png", ".@__thumb/s1000.jpg"]),
    ("Linux and Jupyter, pytorch/vision#2831",
     [".Trash-1000/files/old.png", ".thumbnails/large/x.png", "lost+found/x.png",
      "a/.ipynb_checkpoints/1-checkpoint.png", ".directory"]),
]  # fmt: skip


@pytest.mark.parametrize("litter", [pytest.param(row[1], id=row[0]) for row in SYSTEMS])
def test_files_of_operating_systems_are_left_out_and_listed(
    tmp_path: Path, litter: list[str]
) -> None:
    for place, name in enumerate(["0.png", "a/1.png", "a/2.JPG", *litter]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(10 * place, "JPEG" if name.endswith("JPG") else "PNG"))
    contents = FolderSource(tmp_path, "set").contents(Part(), 16)
    assert contents.names == ["0.png", "a/1.png", "a/2.JPG"]
    assert {each.name for each in contents.left_out} == set(litter)
    assert {each.reason for each in contents.left_out} == {"hidden, thumbnail or trash"}


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("0.png", "1.png"):
        (tmp_path / name).write_bytes(picture(0, "PNG"))
    walk = os.walk

    def refuse(
        top: Path, *, followlinks: bool, onerror: Callable[[OSError], None]
    ) -> Iterator[Any]:
        onerror(PermissionError(13, "Permission denied", str(top / "private")))
        return walk(top, followlinks=followlinks, onerror=onerror)

    monkeypatch.setattr("worker.datasets.sources.folder.os.walk", refuse)
    contents = FolderSource(tmp_path, "set").contents(Part(), 16)
    assert contents.names == ["0.png", "1.png"]
    assert [(each.name, each.reason) for each in contents.left_out] == [
        ("private", "cannot be read: Permission denied")
    ]


@pytest.mark.parametrize("name", ["list_attr_celeba.csv", "labels.xlsx", "data.parquet"])
def test_a_table_with_another_name_says_which_is_read(tmp_path: Path, name: str) -> None:
    for file in ("0.png", "1.png", name):
        (tmp_path / file).write_bytes(picture(0, "PNG"))
    left_out = FolderSource(tmp_path, "set").contents(Part(), 16).left_out
    assert left_out == [(name, "a table, but not metadata.csv, .tsv or .jsonl")]


def test_an_empty_name_is_not_the_current_folder() -> None:
    with pytest.raises(DatasetError, match="has no name"):
        open_source("")
