"""The largest scale for which the set has enough pictures, and what the pairs hold."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.bundle.generator import Pixels
from models.errors import DatasetError
from worker.datasets.packing import PackedDataset
from worker.enlarging import pairs


def _packer(sides: list[int], folder: Path) -> pairs.Pack:
    """Pack a set of pictures with these shorter sides."""

    def pack(side: int, most: int) -> PackedDataset:
        count = sum(one >= side for one in sides[:most])
        if count < 2:
            raise DatasetError("too few")
        np.save(folder / "images.npy", np.zeros((count, side, side, 3), np.uint8))
        return PackedDataset(folder, "set", "f" * 64, "CC0-1.0", "", count, side)

    return pack


@pytest.mark.parametrize(
    ("sides", "scale", "count"),
    [
        pytest.param([64] * 60, 4, 60, id="all-large"),
        pytest.param([64] * 50 + [63] * 50, 4, 50, id="enough-large"),
        pytest.param([64] * 10 + [32] * 50, 2, 60, id="enough-for-twice"),
        pytest.param([64] + [32] * 50, 2, 51, id="one-large"),
        pytest.param([31] * 100, None, 0, id="too-small"),
        pytest.param([64] * 39, None, 0, id="too-few"),
    ],
)
def test_the_scale_depends_on_how_large_the_pictures_are(
    tmp_path: Path, sides: list[int], scale: int | None, count: int
) -> None:
    training_pairs = pairs.find(_packer(sides, tmp_path), 16)
    assert (training_pairs and training_pairs.scale) == scale
    assert (len(training_pairs.large) if training_pairs else 0) == count


def test_a_limit_is_kept(tmp_path: Path) -> None:
    training_pairs = pairs.find(_packer([64] * 100, tmp_path), 16, limit=45)
    assert training_pairs is not None
    assert len(training_pairs.large) == 45


def test_the_small_side_is_the_large_one_reduced(large: Pixels) -> None:
    training_pairs = pairs.make(large, 4, "discs")
    assert training_pairs.small.shape == (2, 60, 16, 16, 3)
    assert training_pairs.resolution == 16
    area = large.reshape(60, 16, 4, 16, 4, 3).mean((2, 4))
    assert np.abs(training_pairs.small[0] - area).max() <= 1
    lanczos = Image.fromarray(large[5]).resize((16, 16), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(training_pairs.small[1, 5], np.asarray(lanczos))


def test_a_twentieth_is_held_out(large: Pixels) -> None:
    training_pairs = pairs.make(large, 4, "discs")
    assert (training_pairs.held_out, training_pairs.trained_on) == (3, 57)


def test_pictures_for_measuring_train_no_enlarger(tmp_path: Path) -> None:
    def pack(side: int, most: int) -> PackedDataset:
        packed = _packer([64] * 60, tmp_path)(side, most)
        names = [f"{number:02}.png" for number in range(packed.count)]
        (packed.folder / "names.json").write_text(json.dumps(names))
        return packed

    without = {"03.png", "59.png"}
    training_pairs = pairs.find(pack, 16, without=without)
    assert training_pairs is not None
    assert len(training_pairs.large) == 58
