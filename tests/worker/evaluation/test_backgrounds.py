"""Backgrounds of two colours are found, and nothing else is mistaken for one."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.datasets import starter
from worker.datasets.packing import PackedDataset
from worker.evaluation import backgrounds

SIDE = 64
COLOURS = np.array([(251, 199, 212), (180, 226, 245), (255, 240, 168)])
HAIR = (60, 40, 40)

Pixels = NDArray[np.uint8]


def plain(colour: int, noise: int = 3) -> Pixels:
    """One background, hair down both sides of the lower half, a little noise."""
    image = np.broadcast_to(COLOURS[colour], (SIDE, SIDE, 3)).copy()
    image[SIDE // 2 :, :12] = image[SIDE // 2 :, -12:] = HAIR
    image += np.random.default_rng(colour).integers(-noise, noise + 1, image.shape)
    return image.clip(0, 255).astype(np.uint8)


def write_dataset(folder: Path, images: Pixels) -> PackedDataset:
    folder.mkdir(exist_ok=True)
    np.save(folder / "images.npy", images)
    (folder / "names.json").write_text(json.dumps([str(place) for place in range(len(images))]))
    return PackedDataset(folder, "plain", "0" * 64, "CC0-1.0", "", len(images), images.shape[1])


@pytest.fixture
def plain_set(tmp_path: Path) -> PackedDataset:
    return write_dataset(tmp_path / "plain", np.stack([plain(number % 3) for number in range(60)]))


def split(share: float, axis: int = 1) -> Pixels:
    """A share of the picture, from the right or from below, has another background."""
    image, other = plain(0), plain(1)
    place = round(SIDE * (1 - share))
    both = np.concatenate([image[:, :place], other[:, place:]], axis=1)
    return both if axis == 1 else np.swapaxes(both, 0, 1).copy()


@pytest.mark.parametrize(
    ("image", "two"),
    [
        pytest.param(plain(0), False, id="one colour"),
        pytest.param(plain(2, noise=9), False, id="one noisy colour"),
        pytest.param(split(0.5), True, id="halves"),
        pytest.param(split(0.25), True, id="a quarter at the right"),
        pytest.param(split(0.5, axis=0), True, id="above and below"),
        pytest.param(split(0), False, id="none of another"),
    ],
)
def test_two_large_regions_count(plain_set: PackedDataset, image: Pixels, two: bool) -> None:
    colours = backgrounds.palette(plain_set)
    assert colours is not None
    assert len(colours) == 3
    assert backgrounds.two_coloured(image[None], colours).tolist() == [two]


def test_a_patch_of_another_background_in_a_corner_counts(plain_set: PackedDataset) -> None:
    colours = backgrounds.palette(plain_set)
    assert colours is not None
    image = plain(2)
    image[:4, :4] = COLOURS[1]
    assert not backgrounds.two_coloured(image[None], colours).any(), "too small to be seen"
    image[:20, :20] = COLOURS[1]
    assert backgrounds.two_coloured(image[None], colours).all()


def test_the_measure_is_the_share_of_both_kinds(plain_set: PackedDataset) -> None:
    shares = backgrounds.measure(np.stack([plain(0), split(0.5), plain(1), plain(2)]), plain_set)
    assert shares is not None
    assert (shares.samples, shares.two_coloured, shares.two_coloured_real) == (4, 0.25, 0.0)


def test_no_starter_picture_has_two(tmp_path: Path) -> None:
    images = np.stack([starter.render(index, SIDE) for index in range(150)])
    starters = write_dataset(tmp_path / "starter", images)
    colours = backgrounds.palette(starters)
    assert colours is not None
    assert not backgrounds.two_coloured(images, colours).any()
    # The right third of each as in the next picture, where their backgrounds differ.
    other = np.roll(images, 1, axis=0)
    halves = np.concatenate([images[:, :, :40], other[:, :, 40:]], axis=2)
    corners = [images[:, 0, 0].astype(int), other[:, 0, -1].astype(int)]
    differ = np.abs(corners[0] - corners[1]).sum(1) > 60
    assert differ.sum() > 50
    assert backgrounds.two_coloured(halves, colours)[differ].mean() > 0.9


def test_photographs_have_no_plain_backgrounds(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE, 3), dtype=np.uint8)
    photographs = write_dataset(tmp_path / "photographs", images)
    assert backgrounds.palette(photographs) is None
    assert backgrounds.measure(images, photographs) is None
