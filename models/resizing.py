"""Brings a drawn face to the size that a picture of it is served at."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def resize(pixels: Pixels, size: int) -> Image.Image:
    """Resize (S, S, 3) uint8 pixels to a square RGB image of `size`; at S they stay untouched."""
    image = Image.fromarray(pixels)
    if image.width == size:
        return image
    # Enlarging, Lanczos rings beside dark lines and shows the pixels' grid in flat colour;
    # reducing, it keeps the lines that bicubic blurs.
    method = Image.Resampling.BICUBIC if size > image.width else Image.Resampling.LANCZOS
    return image.resize((size, size), method)
