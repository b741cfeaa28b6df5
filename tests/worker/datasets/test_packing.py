"""A dataset is packed once, whole or not at all, and says what it left out."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.datasets.archive import ArchiveError
from models.errors import DatasetError
from worker.datasets import packing, source
from worker.datasets.packing import PackedDataset, pack


def picture(shade: int, format: str = "PNG") -> bytes:
    """Draw a plain grey picture."""
    buffer = io.BytesIO()
    Image.new("L", (20, 24), shade).save(buffer, format)
    return buffer.getvalue()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Make a folder of six pictures, one of them twice, two broken, and litter."""
    folder = tmp_path / "faces"
    (folder / "deep").mkdir(parents=True)
    for name, shade in [("c", 30), ("a", 10), ("b", 20), ("deep/d", 40), ("same", 10)]:
        (folder / f"{name}.png").write_bytes(picture(shade))
    (folder / "e.jpg").write_bytes(picture(50, "JPEG"))
    (folder / "text.png").write_bytes(b"no picture")
    (folder / "cut.jpg").write_bytes(picture(60, "JPEG")[:-40])
    (folder / "notes.txt").write_text("hello")
    return folder


def write_zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder).as_posix())
    return path


def shades(dataset: PackedDataset) -> list[int]:
    return [int(image[0, 0, 0]) for image in dataset.images()]


def test_a_folder_is_packed_in_order_of_its_names(faces: Path, cache: Path) -> None:
    dataset = pack(faces, 16, cache)
    assert shades(dataset) == [10, 20, 30, 40, 50, 10]
    assert (dataset.name, dataset.count, dataset.size) == ("faces", 6, 16)
    assert dataset.duplicates == 1
    assert dataset.labels() == {}
    images = dataset.images()
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert isinstance(images, np.memmap)


def test_what_was_skipped_is_named_with_its_reason(faces: Path, cache: Path) -> None:
    left_out = pack(faces, 16, cache).skipped
    assert [one.name for one in left_out] == ["cut.jpg", "text.png"]
    assert "decoded" in left_out[0].reason
    assert "format" in left_out[1].reason


def test_the_manifest_says_it_all(faces: Path, cache: Path) -> None:
    dataset = pack(faces, 16, cache, name="mine", licence="CC-BY-4.0")
    manifest = json.loads((dataset.folder / "manifest.json").read_text())
    pixels = dataset.images().tobytes()
    assert manifest == {
        "format": 1,
        "name": "mine",
        "licence": "CC-BY-4.0",
        "credit": "",
        "count": 6,
        "size": 16,
        "fingerprint": hashlib.sha256(pixels).hexdigest(),
        "skipped": [{"name": one.name, "reason": one.reason} for one in dataset.skipped],
        "left_out": [
            {"reason": "no picture by its name", "count": 1, "examples": ["notes.txt"]},
        ],
        "duplicates": 1,
        "near_duplicates": {"looked": 6, "count": 1, "groups": [["a.png", "same.png"]]},
    }
    files = sorted(path.name for path in dataset.folder.iterdir())
    assert files == ["images.npy", "manifest.json", "names.json"]
    assert dataset.names() == ["a.png", "b.png", "c.png", "deep/d.png", "e.jpg", "same.png"]


def test_a_zip_gives_what_its_folder_gives(faces: Path, cache: Path, tmp_path: Path) -> None:
    dataset = pack(write_zip(faces, tmp_path / "faces.zip"), 16, cache)
    assert dataset.name == "faces"
    assert dataset.fingerprint == pack(faces, 16, cache).fingerprint


@pytest.mark.parametrize("workers", [1, 3])
def test_the_workers_change_nothing(faces: Path, cache: Path, workers: int) -> None:
    assert shades(pack(faces, 16, cache, workers=workers)) == [10, 20, 30, 40, 50, 10]


def test_a_limit_takes_the_first_names(faces: Path, cache: Path, tmp_path: Path) -> None:
    assert shades(pack(faces, 16, cache, limit=3)) == [10, 20, 30]
    archive = write_zip(faces, tmp_path / "faces.zip")
    assert shades(pack(archive, 16, cache, limit=2)) == [10, 20]
    assert shades(pack(archive, 16, cache, limit=1000)) == [10, 20, 30, 40, 50, 10]


def test_more_than_a_batch_stays_in_order(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(source.AHEAD + 20):
        (folder / f"{number:03}.png").write_bytes(picture(number))
    reports: list[tuple[int, int]] = []
    dataset = pack(folder, 8, cache, progress=lambda count, total: reports.append((count, total)))
    assert shades(dataset) == list(range(source.AHEAD + 20))
    assert reports == [(n, dataset.count) for n in range(1, dataset.count + 1)]


def test_the_starter_is_packed_with_its_labels(cache: Path) -> None:
    dataset = pack("starter", 8, cache, limit=5, workers=1)
    assert (dataset.name, dataset.licence, dataset.count) == ("starter", "CC0-1.0", 5)
    assert "Lisa Wischofsky" in dataset.credit
    assert all(len(row["codes"]) == 5 for row in dataset.labels().values())


@pytest.mark.parametrize("kind", ["starter", "folder", "zip"])
def test_the_second_time_reads_nothing(
    kind: str, faces: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_zip(faces, tmp_path / "f.zip")
    source = {"starter": "starter", "folder": str(faces), "zip": str(archive)}[kind]
    first = pack(source, 8, cache, limit=4)

    def never(*_: Any) -> None:
        raise AssertionError("packed again")

    monkeypatch.setattr(packing, "_write", never)
    assert pack(source, 8, cache, limit=4) == first


def test_another_size_name_or_content_is_another_dataset(faces: Path, cache: Path) -> None:
    folders = {pack(faces, 16, cache).folder, pack(faces, 8, cache).folder}
    folders.add(pack(faces, 16, cache, name="other").folder)
    (faces / "a.png").write_bytes(picture(99))
    os.utime(faces / "a.png", (1, 1))
    new_dataset = pack(faces, 16, cache)
    folders.add(new_dataset.folder)
    assert len(folders) == 4
    assert shades(new_dataset)[0] == 99


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda f: (f / "manifest.json").unlink(), id="no-manifest"),
        pytest.param(lambda f: (f / "manifest.json").write_text("{"), id="torn-manifest"),
        pytest.param(lambda f: (f / "images.npy").unlink(), id="no-images"),
        pytest.param(lambda f: (f / "images.npy").write_bytes(b"\x93NUMPY"), id="torn-images"),
        pytest.param(lambda f: (f / "images.npy").write_bytes(b""), id="empty-images"),
        pytest.param(lambda f: os.truncate(f / "images.npy", 2000), id="short-images"),
    ],
)
def test_a_damaged_cache_is_packed_again(faces: Path, cache: Path, spoil: Any) -> None:
    dataset = pack(faces, 16, cache)
    spoil(dataset.folder)
    assert shades(pack(faces, 16, cache)) == [10, 20, 30, 40, 50, 10]


def test_stopping_halfway_leaves_nothing(faces: Path, cache: Path) -> None:
    def stop(count: int, total: int) -> None:
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(faces, 16, cache, progress=stop)
    assert list(cache.iterdir()) == []


def test_what_a_kill_left_is_swept(faces: Path, cache: Path) -> None:
    old, young = cache / ".packing-old", cache / ".packing-young"
    old.mkdir(parents=True)
    young.mkdir()
    os.utime(old, (1, 1))
    pack(faces, 16, cache)
    assert not old.exists()
    assert young.exists()


def test_two_packers_at_once_share_the_first_result(faces: Path, cache: Path) -> None:
    inner: list[PackedDataset] = []

    def race(count: int, total: int) -> None:
        if count == 4:
            inner.append(pack(faces, 16, cache))

    assert pack(faces, 16, cache, progress=race) == inner[0]
    assert [path.name for path in cache.iterdir()] == [inner[0].folder.name]


def one_picture(folder: Path) -> Path:
    (folder / "a.png").write_bytes(picture(1))
    return folder


def only_broken(folder: Path) -> Path:
    for name in "abc":
        (folder / f"{name}.png").write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda folder: folder, "no pictures; put", id="empty"),
        pytest.param(one_picture, "1 readable of 1", id="one"),
        pytest.param(only_broken, r"0 readable of 3.*a\.png: not a picture", id="all-broken"),
        pytest.param(lambda folder: folder / "absent", "no folder or zip", id="absent"),
    ],
)
def test_an_unusable_folder_says_what_to_do(
    tmp_path: Path, cache: Path, make: Any, reason: str
) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(DatasetError, match=reason):
        pack(make(tmp_path / "set"), 16, cache)
    assert not cache.exists() or list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        pytest.param({"a.txt": b"x"}, "no", id="no-pictures"),
        pytest.param({"../a.png": picture(1), "b.png": picture(2)}, "outside", id="evil"),
    ],
)
def test_a_bad_zip_is_refused(
    tmp_path: Path, cache: Path, entries: dict[str, bytes], reason: str
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    with pytest.raises(ArchiveError, match=reason):
        pack(tmp_path / "a.zip", 16, cache)


@pytest.mark.parametrize(("size", "limit"), [(7, None), (1025, None), (16, 1), (16, 0)])
def test_numbers_out_of_range_are_refused(
    faces: Path, cache: Path, size: int, limit: int | None
) -> None:
    with pytest.raises(DatasetError):
        pack(faces, size, cache, limit=limit)


def labelled_folder(folder: Path) -> Path:
    """Add thirteen pictures in two classes, with a column beside, to a folder."""
    rows = ["file_name,mood,number"]
    for number in range(13):
        name = f"{('cat', 'dog')[number % 2]}/{number:02}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(10 * number))
        rows.append(f"{name},{('happy', 'sad', 'calm')[number % 3]},{number / 7}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_labels_are_packed_beside_the_pictures_that_were_read(
    kind: str, cache: Path, tmp_path: Path
) -> None:
    folder = labelled_folder(tmp_path / "set")
    (folder / "cat" / "00.png").write_bytes(b"no picture")
    source = folder if kind == "folder" else write_zip(folder, tmp_path / "set.zip")
    dataset = pack(source, 8, cache)
    label = dataset.labels()["mood"]
    assert list(dataset.labels()) == ["mood"]
    assert dataset.names()[0] == "cat/02.png"
    moods = [label["values"][code] for code in label["codes"]]
    numbers = [int(Path(name).stem) for name in dataset.names()]
    assert moods == [("happy", "sad", "calm")[number % 3] for number in numbers]
    assert shades(dataset) == [10 * number for number in numbers]
    part = pack(source, 8, cache, sample=6)
    assert part.count == len(part.labels()["mood"]["codes"]) >= 5
    assert set(part.names()) <= {*dataset.names(), "cat/00.png"}


def test_changed_labels_pack_a_folder_again(cache: Path, tmp_path: Path) -> None:
    folder = labelled_folder(tmp_path / "set")
    before = pack(folder, 8, cache)
    (folder / "metadata.csv").unlink()
    after = pack(folder, 8, cache)
    assert after.fingerprint == before.fingerprint
    assert list(after.labels()) == ["class"]


def test_linked_folders_are_followed_and_loops_end(cache: Path, tmp_path: Path) -> None:
    """pytorch-image-models#334: most of a set may lie behind links."""
    real = labelled_folder(tmp_path / "elsewhere")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "linked").symlink_to(real, target_is_directory=True)
    (real / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "gone.png").symlink_to(tmp_path / "nothing.png")
    dataset = pack(folder, 8, cache)
    assert dataset.count == 13
    assert dataset.names()[0] == "linked/cat/00.png"


def test_names_that_are_not_utf_8_are_packed_and_reported(cache: Path, tmp_path: Path) -> None:
    """internetarchive#284: one unreadable picture with such a name ended the packing."""
    folder = tmp_path / "set"
    folder.mkdir()
    for name, content in ((b"\xe9.png", picture(1)), (b"b.png", picture(2)), (b"\xff.png", b"x")):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(content)
    dataset = pack(folder, 8, cache)
    assert dataset.names() == ["b.png", "\udce9.png"]
    assert [each.name for each in dataset.skipped] == ["\udcff.png"]
    assert pack(folder, 8, cache) == dataset


def test_a_disk_without_room_is_named_before_anything_is_written(
    faces: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(faces)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DatasetError, match=r"of 512 pixels need \d+ MB.*has 1 MB; make room"):
        pack(faces, 512, cache)
    assert list(cache.iterdir()) == []


def test_one_picture_is_too_few_and_says_so_at_once(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture(1))
    with pytest.raises(DatasetError, match="1 readable of 1 pictures and training needs at least"):
        pack(folder, 8, cache)
