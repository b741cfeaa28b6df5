"""`kao-client` uploads datasets and reads everything about them."""

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from kao_client import Refused
from tests.clients.python.conftest import Caller

IMAGES = 12
LABELS = "file_name,hair,years,weather\n" + "".join(
    f"{number}.png,{'pink' if number % 3 else 'black'},{20 + number},rain\n"
    for number in range(IMAGES)
)


def _write_zip(path: Path) -> Path:
    """A zip of small pictures with labels, a copy, and a file that is not a picture."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(IMAGES):
            picture = io.BytesIO()
            Image.effect_noise((40, 40), 30 + number).save(picture, "PNG")
            archive.writestr(f"{number}.png", picture.getvalue())
        archive.writestr("copy.png", picture.getvalue())
        archive.writestr("metadata.csv", LABELS)
        archive.writestr("read.me", "not a picture")
    return path


def test_a_dataset_is_uploaded_listed_and_deleted(kao: Caller, url: str, tmp_path: Path) -> None:
    upload = kao.call(url, "upload", "mine", _write_zip(tmp_path / "faces.zip"), "CC0-1.0", True)
    assert upload.images == IMAGES + 1
    assert [(reason.count, reason.examples) for reason in upload.left_out] == [(1, ["read.me"])]
    assert upload.near_duplicates.looked == IMAGES + 1
    assert [row.name for row in kao.call(url, "datasets")] == ["starter", "mine"]
    kao.call(url, "delete_dataset", "mine")
    assert len(kao.call(url, "datasets")) == 1


def test_the_details_of_a_dataset_are_read(kao: Caller, url: str, tmp_path: Path) -> None:
    upload = kao.call(url, "upload", "mine", _write_zip(tmp_path / "faces.zip"))
    details = kao.call(url, "dataset", "mine")
    assert details.left_out == upload.left_out
    (hair,) = details.labels
    assert (hair.name, hair.values["pink"]) == ("hair", 8)
    (years,) = details.numbers
    assert (years.name, years.least, years.greatest) == ("years", 20, 31)
    (weather,) = details.labels_left_out
    assert weather.name == "weather"
    contents = kao.call(url, "dataset_contents", "mine")
    assert (contents.duplicates, contents.groups) == (1, [["11.png", "copy.png"]])
    preview = kao.call(url, "dataset_preview", "mine", 2, 2, 32, "hair", "pink")
    assert Image.open(io.BytesIO(preview)).size == (64, 32)


def test_the_labels_of_the_drawn_set_are_read(kao: Caller, url: str) -> None:
    assert "hair_colour" in [label.name for label in kao.call(url, "dataset", "starter").labels]


def test_a_strict_upload_is_refused_for_a_broken_picture(
    kao: Caller, url: str, tmp_path: Path
) -> None:
    path = _write_zip(tmp_path / "faces.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("broken.png", b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(Refused) as refusal:
        kao.call(url, "upload", "mine", path, strict=True)
    assert refusal.value.type == "unusable-dataset"
    (reason,) = [row for row in kao.call(url, "upload", "mine", path).left_out if row.count == 1][
        :1
    ]
    assert reason.examples in (["broken.png"], ["read.me"])
