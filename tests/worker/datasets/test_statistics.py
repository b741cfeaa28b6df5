"""A set of pictures is measured by a sample, so that a recipe can be chosen that fits it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import DatasetError
from models.recipes.automatic import FLAT
from tests.support.drawings import draw_flat
from worker.datasets import statistics
from worker.datasets.sources.folder import FolderSource


def test_a_folder_is_measured_as_it_is(tmp_path: Path) -> None:
    for number in range(12):
        draw_flat(number, 100 if number < 5 else 70).save(tmp_path / f"{number:02}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows = [f"{number:02}.png,{'red' if number % 2 else 'blue'},{number}" for number in range(12)]
    (tmp_path / "metadata.csv").write_text(
        "\n".join(["file_name,hair,years", "broken.png,red,0", *rows])
    )
    pictures = statistics.measure(FolderSource(tmp_path, "faces"))
    assert (pictures.name, pictures.count, pictures.side) == ("faces", 13, 70)
    assert sorted(pictures.sides) == [70] * 7 + [100] * 5
    assert pictures.flatness > FLAT
    assert (pictures.attributes, pictures.numbers) == ({"hair": 2}, ("years",))
    first = statistics.measure(FolderSource(tmp_path, "faces"), limit=4)
    assert (first.count, first.sides) == (4, (100,) * 4)


def test_small_pictures_are_not_enlarged_before_they_are_measured(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(6):
        soft = Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8))
        soft.save(tmp_path / f"{number}.png")
    assert statistics.measure(FolderSource(tmp_path, "noise")).flatness < 0.01


def test_a_folder_without_readable_pictures_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_text(json.dumps({}))
    with pytest.raises(DatasetError, match="fewer than two of 3 pictures"):
        statistics.measure(FolderSource(tmp_path, "texts"))
