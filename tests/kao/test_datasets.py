"""`kao dataset …` as typed."""

import os
from pathlib import Path

import pytest
from PIL import Image

from models import bootstrap, runs
from models.database.engine import connect
from models.datasets import catalogue
from models.datasets.archive import ArchiveReport
from models.settings import Settings
from tests.kao.conftest import Kao


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of twelve pictures and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(12):
        Image.new("RGB", (40, 30), (20 * number, 100, 200)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def test_the_starter_is_always_listed(quick: Kao) -> None:
    code, table, _ = quick("dataset", "list")
    assert code == 0
    assert "starter" in table


def test_the_starters_labels_are_listed_with_their_values(quick: Kao) -> None:
    code, table, _ = quick("dataset", "labels", "starter")
    assert code == 0
    assert "happy, sad" in table
    assert "half, none, oval, round, shades, square" in table


def test_a_folder_is_packed_and_its_broken_file_named(
    quick: Kao, pictures: Path, settings: Settings
) -> None:
    code, output, message = quick("dataset", "pack", str(pictures), "--size", "16")
    assert code == 0
    assert output.startswith("12 images of 16×16, ")
    assert "skipped broken.png" in message
    (images,) = settings.cache.rglob("images.npy")
    assert quick("dataset", "pack", str(pictures), "--size", "16").out == output
    assert list(settings.cache.rglob("images.npy")) == [images], "packed once"


def test_a_limit_is_kept(quick: Kao, pictures: Path) -> None:
    result = quick("dataset", "pack", str(pictures), "--size", "16", "--limit", "9")
    assert result.out.startswith("9 images")


def test_a_folder_without_pictures_is_a_sentence(quick: Kao, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, output, message = quick("dataset", "pack", str(tmp_path / "empty"))
    assert (code, output) == (1, "")
    assert "picture" in message or "image" in message


def test_an_empty_name_is_not_the_current_folder(quick: Kao) -> None:
    code, output, message = quick("dataset", "labels", "")
    assert (code, output) == (1, "")
    assert message.startswith("kao: There is no folder or zip ''")


def test_a_skipped_file_stays_on_its_line(quick: Kao, pictures: Path) -> None:
    (pictures / "a\n\x1b[31m.png").write_bytes(b"no picture")
    message = quick("dataset", "pack", str(pictures), "--size", "16").err
    assert "skipped a??[31m.png: not a picture" in message


def test_labels_are_listed_with_their_counts(quick: Kao, pictures: Path) -> None:
    rows = [
        f"{number}.png,{('red', 'blue')[number % 2]},{number / 4},text {number}"
        for number in range(12)
    ]
    (pictures / "metadata.csv").write_text("\n".join(["file_name,colour,Weight,caption", *rows]))
    (pictures / "broken.png").unlink()
    code, table, message = quick("dataset", "labels", str(pictures))
    assert code == 0
    assert " colour " in table
    assert " weight (Weight) " in table
    assert "red 6, blue 6" in table
    assert "a slider, from 0 to 2.75" in table
    assert "left out caption: 12 different texts" in message


def test_a_set_without_labels_says_how_to_give_it_some(quick: Kao, pictures: Path) -> None:
    code, output, message = quick("dataset", "labels", str(pictures))
    assert (code, output) == (0, "")
    assert message.startswith("No labels: name the pictures in a metadata.csv")


def test_labels_that_a_folder_lacks_are_refused_before_a_run_exists(
    quick: Kao, pictures: Path, settings: Settings
) -> None:
    options = ("--preset", "smoke", "--dataset", str(pictures), "--set", 'labels=["mood"]')
    code, _, message = quick("train", *options)
    assert code == 1
    assert "cannot be trained with mood; it has no labels" in " ".join(message.split())
    engine = connect(settings)
    assert runs.list_runs(engine) == []
    engine.dispose()


def test_a_folder_that_shadows_an_upload_is_an_error_that_names_both(
    quick: Kao, pictures: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = bootstrap.prepare(settings)
    upload = tmp_path / "upload.zip"
    upload.write_bytes(b"a zip that was checked")
    report = ArchiveReport(3, [], 0)
    catalogue.add(engine, settings, upload, name="pictures", licence="CC0-1.0", report=report)
    engine.dispose()
    monkeypatch.chdir(pictures.parent)
    code, _, message = quick("train", "--preset", "smoke", "--dataset", "pictures")
    assert code == 1
    assert "both an uploaded dataset and" in " ".join(message.split())


def test_a_folder_whose_name_is_not_utf_8_is_packed_but_no_recipe_can_name_it(
    quick: Kao, pictures: Path
) -> None:
    folder = pictures.rename(pictures.with_name(os.fsdecode(b"caf\xe9")))
    assert quick("dataset", "pack", str(folder), "--size", "16").code == 0
    code, _, message = quick("train", "--preset", "smoke", "--dataset", str(folder))
    assert code == 1
    assert "is not UTF-8; rename the folder" in " ".join(message.split())
