"""Folders as four systems leave them: pictures are counted, what lies beside them is left out."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.errors import DatasetError
from tests.worker.datasets.test_packing import picture
from worker.datasets.packing import pack
from worker.datasets.source import Part
from worker.datasets.sources import open_source
from worker.datasets.sources.folder import FolderSource
from worker.datasets.sources.starter import StarterSource

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


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    """As git-annex and DVC leave them where the files were not fetched."""
    for name in ("0.png", "1.png"):
        (tmp_path / name).write_bytes(picture(0, "PNG"))
    for name in ("2.png", "metadata.csv", ".#lock"):
        (tmp_path / name).symlink_to(tmp_path / ".git/annex/gone")
    left_out = FolderSource(tmp_path, "set").contents(Part(), 16).left_out
    reason = "a link to a file that is not there"
    assert sorted(left_out) == [("2.png", reason), ("metadata.csv", reason)]


def test_a_folder_of_links_to_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "0.png").symlink_to(tmp_path / "gone")
    with pytest.raises(DatasetError, match=r"no pictures .*'0.png': a link to a file that is not"):
        FolderSource(tmp_path, "set").contents(Part(), 16)


def test_a_folder_called_like_the_built_in_set_needs_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "starter").mkdir()
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_source("starter"), StarterSource)
    assert isinstance(open_source("./starter"), FolderSource)


def test_pictures_that_are_left_out_are_no_missing_labels(tmp_path: Path) -> None:
    """A column is left out where a tenth of the pictures has no value: of those that are used."""
    rows = ["file_name,hat"]
    for number in range(16):
        (tmp_path / f"{number:02}.png").write_bytes(picture(number, "PNG"))
        rows.append(f"{number:02}.png,{('cap', 'crown')[number % 2]}")
    for number in range(4):
        (tmp_path / f"broken{number}.png").touch()
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    packed = pack(tmp_path, 16, tmp_path / "cache")
    assert packed.count == 16
    assert set(packed.labels() or {}) == {"hat"}
