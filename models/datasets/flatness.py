"""Whether pictures are flat, drawn art or photographs: the share of neighbouring pixels alike."""

import numpy as np
from numpy.typing import NDArray

SIDE = 64  # pixels at which flatness is measured: reduced photographs keep their texture
EQUAL = 2  # levels of 255 in each channel: what a JPEG of good quality adds to an area
NEAR_BACKGROUND = 12  # levels of 255


def flatness(image: NDArray[np.uint8]) -> float:
    """The share of neighbouring pixels that are equal within EQUAL levels, 0 to 1.

    image: (S, S, 3) uint8. Pairs within the background, the picture's most frequent colour, do not
    count: photographs on white would else be flat. A picture of one colour gives 1.
    """
    pixels = image.astype(np.int16)
    is_background = _near_most_frequent(pixels)
    equal, total = 0, 0
    for axis in (0, 1):
        difference = np.abs(np.diff(pixels, axis=axis)).max(axis=-1)
        first, second = _neighbours(is_background, axis)
        counts = ~(first & second)
        equal += int(((difference <= EQUAL) & counts).sum())
        total += int(counts.sum())
    return equal / total if total else 1.0


def _near_most_frequent(pixels: NDArray[np.int16]) -> NDArray[np.bool_]:
    """(S, S): whether a pixel has about the most frequent colour, in steps of 16 levels."""
    steps = (pixels >> 4).astype(np.int32)
    codes = (steps[..., 0] << 8) | (steps[..., 1] << 4) | steps[..., 2]
    most_frequent = np.bincount(codes.ravel()).argmax()
    colour = pixels[codes == most_frequent].mean(axis=0)
    near: NDArray[np.bool_] = np.abs(pixels - colour).max(axis=-1) <= NEAR_BACKGROUND
    return near


def _neighbours(mask: NDArray[np.bool_], axis: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The mask at both pixels of each pair along an axis."""
    return (mask[1:], mask[:-1]) if axis == 0 else (mask[:, 1:], mask[:, :-1])
