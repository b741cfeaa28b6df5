"""Flat art and photographs are told apart by their pixels, whatever their format and background."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.datasets.flatness import flatness
from models.recipes.automatic import FLAT
from tests.support.drawings import draw_flat, draw_photograph, draw_shaded, jpeg, on_white
from worker.datasets import starter


def small(image: Image.Image) -> NDArray[np.uint8]:
    """64 pixels, as a picture is read."""
    return np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.LANCZOS))


Make = Callable[[int], Image.Image]
FLAT_ART: dict[str, Make] = {
    "starter": lambda number: Image.fromarray(starter.render(number, 256)),
    "drawn": draw_flat,
    "drawn-as-jpeg": lambda number: jpeg(draw_flat(number), 75),
    "drawn-on-white": lambda number: on_white(draw_flat(number)),
}
SHADED: dict[str, Make] = {
    "photograph": draw_photograph,
    "photograph-as-jpeg": lambda number: jpeg(draw_photograph(number), 60),
    "photograph-on-white": lambda number: on_white(draw_photograph(number)),
    "shaded": draw_shaded,
    "shaded-as-jpeg": lambda number: jpeg(draw_shaded(number), 80),
}


@pytest.mark.parametrize("kind", FLAT_ART)
def test_flat_art_is_above_the_limit(kind: str) -> None:
    values = [flatness(small(FLAT_ART[kind](number))) for number in range(8)]
    assert np.median(values) > 1.25 * FLAT, values


@pytest.mark.parametrize("kind", SHADED)
def test_photographs_and_shaded_art_are_below_the_limit(kind: str) -> None:
    values = [flatness(small(SHADED[kind](number))) for number in range(8)]
    assert np.median(values) < FLAT / 1.25, values


def test_one_colour_is_flat() -> None:
    assert flatness(np.full((64, 64, 3), 7, np.uint8)) == 1


def test_half_of_the_pairs_are_equal() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2] = 100  # the background by number of pixels, at the first of equals: 0
    pixels[0, 0] = 200
    # 24 pairs: 10 within the background, 4 across its edge, and of the other 10 two with the 200.
    assert flatness(pixels) == pytest.approx(8 / 14)
