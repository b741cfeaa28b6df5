"""Numbers that pictures show become sliders; numbers that they do not show are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.networks import modern
from tests.worker.publishing.test_slider_search import SIDE, STYLE, _drawer
from worker.datasets.packing import PackedDataset, pack
from worker.publishing import number_properties, slider_search

COUNT = 600


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PackedDataset:
    """Pictures whose light grows with `sun` (a few have none), and a number of no meaning."""
    folder = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(0)
    suns, noise = rng.uniform(-20, 40, COUNT), rng.uniform(0, 1, COUNT)
    rows = ["file_name,sun,noise"]
    for number, sun in enumerate(suns):
        light = 128 + 1.5 * sun + rng.normal(0, 4, (SIDE, SIDE, 3))
        Image.fromarray(light.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03}.png")
        rows.append(f"{number:03}.png,{'' if number % 50 == 0 else sun},{noise[number]}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return pack(folder, SIDE, folder.parent / "cache")


def test_a_number_that_pictures_show_is_read_from_them(dataset: PackedDataset) -> None:
    properties = number_properties.learn(dataset, ["sun", "noise", "none"])
    assert list(properties) == ["sun"]
    words, measure = properties["sun"]
    assert words == "low to high sun"
    grey = np.full((3, SIDE, SIDE, 3), np.array([105, 140, 180])[:, None, None, None]) / 255
    numbers = measure(grey)
    assert numbers[0] < numbers[1] < numbers[2]
    assert -20 <= numbers.min() <= numbers.max() <= 40


def test_it_becomes_a_slider_in_the_direction_that_raises_it(dataset: PackedDataset) -> None:
    properties = number_properties.learn(dataset, ["sun"])
    torch.manual_seed(0)
    network = modern.Generator(SIDE, STYLE, STYLE, 8)
    result = slider_search.find(network, _drawer(), properties=properties, shapes=())
    (slider,) = result.sliders
    assert (slider.name, slider.changes) == ("sun", "low to high sun")
    direction = result.vectors["sun"]
    assert direction[0] > 0.9 * np.linalg.norm(direction)


def test_without_numeric_labels_nothing_is_learnt(tmp_path: Path) -> None:
    dataset = pack("starter", 16, tmp_path, limit=4)
    assert number_properties.learn(dataset, ["hair"]) == {}
