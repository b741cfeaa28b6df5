"""Weights on a grid: whole numbers from -127 to 127 times one scale for each channel.

Publishing puts weights there, so that they travel in a quarter of their bytes and are still the
numbers that the server multiplies. A scale has at most 16 significant bits, so its product with a
whole number of 7 bits is exact in float32, and a reader finds both again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LARGEST = 127
SCALE_BITS = 16
FEWEST = 1024  # numbers of a tensor that is put on a grid; smaller ones are not worth it
AXES = (0, 1)  # a channel is a place along one of these


@dataclass(frozen=True)
class Grid:
    """A tensor as whole numbers and scales along one axis.

    whole: int8 in the tensor's shape. scales: (channels,) float32.
    """

    axis: int
    whole: NDArray[np.int8]
    scales: Floats

    def floats(self) -> Floats:
        """The tensor: exact products, and no negative zeros."""
        return self.whole.astype(np.float32) * _along(self.scales, self.axis, self.whole.ndim)


def snap(weights: Floats, axis: int) -> Floats:
    """The nearest weights on the grid, in their shape; channels are the places along `axis`.

    Tensors with fewer than FEWEST numbers or less than two axes are returned as they are.
    """
    if not is_large(weights):
        return weights
    peaks = np.abs(weights).max(_other_axes(axis, weights.ndim))
    scales = _round_up(peaks / np.float32(LARGEST))
    divisors = _along(np.where(scales > 0, scales, np.float32(1)), axis, weights.ndim)
    whole = np.rint(weights / divisors).clip(-LARGEST, LARGEST).astype(np.int8)
    # A reader computes the scale from the largest number, so each channel needs one of LARGEST.
    whole = _with_peaks(whole, weights, axis)
    return Grid(axis, whole, scales).floats()


def find(weights: Floats) -> Grid | None:
    """The grid on which these weights lie, bit for bit; None where they lie on none."""
    if not is_large(weights):
        return None
    for axis in AXES:
        peaks = np.abs(weights).max(_other_axes(axis, weights.ndim))
        scales = peaks / np.float32(LARGEST)
        divisors = _along(np.where(scales > 0, scales, np.float32(1)), axis, weights.ndim)
        quotients = weights / divisors
        if not np.isfinite(quotients).all():
            return None
        grid = Grid(axis, np.rint(quotients).astype(np.int8), scales)
        if grid.floats().tobytes() == weights.tobytes():
            return grid
    return None


def is_large(weights: Floats) -> bool:
    """Whether a tensor is worth a grid."""
    return weights.ndim >= 2 and weights.size >= FEWEST


def _other_axes(axis: int, rank: int) -> tuple[int, ...]:
    return tuple(other for other in range(rank) if other != axis)


def _along(scales: Floats, axis: int, rank: int) -> Floats:
    return scales.reshape([-1 if place == axis else 1 for place in range(rank)])


def _round_up(scales: Floats) -> Floats:
    """The next numbers with SCALE_BITS significant bits, so that no peak leaves the grid."""
    mantissas, exponents = np.frexp(scales)
    steps = np.ceil(mantissas * 2**SCALE_BITS) / 2**SCALE_BITS
    result: Floats = np.ldexp(steps, exponents).astype(np.float32)
    return result


def _with_peaks(whole: NDArray[np.int8], weights: Floats, axis: int) -> NDArray[np.int8]:
    """Set the number of largest magnitude of each channel to ±LARGEST."""
    rows = np.moveaxis(whole, axis, 0).reshape(whole.shape[axis], -1).copy()
    originals = np.moveaxis(weights, axis, 0).reshape(whole.shape[axis], -1)
    places = np.abs(originals).argmax(1)
    signs = np.sign(np.take_along_axis(originals, places[:, None], 1))
    np.put_along_axis(rows, places[:, None], (signs * LARGEST).astype(np.int8), 1)
    result = rows.reshape(np.moveaxis(whole, axis, 0).shape)
    return np.ascontiguousarray(np.moveaxis(result, 0, axis))
