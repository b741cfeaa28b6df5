"""Flat pictures with curved edges, as drawn art has them."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from models.bundle.generator import Pixels

COLOURS = ("#2c2536", "#f0629a", "#ffe2d1", "#3b74e0", "#f6d563")


def _draw(count: int, side: int) -> Pixels:
    """(count, side, side, 3): two outlined discs each, without grain."""
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(count):
        image = Image.new("RGB", (4 * side, 4 * side), COLOURS[random.integers(len(COLOURS))])
        draw = ImageDraw.Draw(image)
        for _ in range(2):
            x, y = random.integers(0, 4 * side, 2)
            radius = int(random.integers(side // 2, 2 * side))
            box = (int(x) - radius, int(y) - radius, int(x) + radius, int(y) + radius)
            draw.ellipse(box, COLOURS[random.integers(len(COLOURS))], "#101018", side // 8)
        pictures.append(np.asarray(image.resize((side, side), Image.Resampling.BOX)))
    return np.stack(pictures)


@pytest.fixture(scope="session")
def large() -> Pixels:
    return _draw(60, 64)


@pytest.fixture(scope="session")
def outlined_discs() -> Callable[[int, int], Pixels]:
    """How many, and their side in pixels → (N, S, S, 3)."""
    return _draw
