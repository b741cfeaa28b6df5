"""Whether a face has a background of two colours, which no picture of a plain set has.

A set is plain where its pictures' borders show few colours: drawn avatars, not photographs. Its
background colours are read from its own pictures, so that hair which touches the border is not
mistaken for a second background.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.datasets.packing import PackedDataset
from worker.evaluation.features import Pixels

PICTURES = 1_000  # real ones that the colours are read from
NEAR = 24.0  # Euclidean distance of RGB colours (0..442) that count as one
NOISE = 30.0  # how far a drawn pixel may be from the background colour that it shows
MOST_COLOURS = 32
PLAIN = 0.9  # share of a plain set's pictures whose background is one of those colours
UNIFORM = 0.35  # share of a picture's border that its background takes at least
SECOND = 0.06  # share of the border from which a second background is large
SHOULDERS = 0.75  # of the height: below, a neck in skin colour meets the border
RING = 32  # the border is 1/32 of the side wide
ROUNDS = 8  # of k-means

Colours = NDArray[np.float32]


def palette(dataset: PackedDataset) -> Colours | None:
    """The set's background colours (K, 3), K at least 1; None where the set is not plain.

    Each is the most frequent border colour of at least 1 % of the pictures.
    """
    sample = dataset.images()[:: max(1, dataset.count // PICTURES)]
    modes = [_mode(_ring(image)) for image in sample]
    frequent = np.array([colour for colour, share in modes if share >= UNIFORM], np.float32)
    if len(frequent) < PLAIN * len(sample):
        return None
    colours: list[NDArray[np.float32]] = []
    remaining_colours = frequent
    while len(remaining_colours) >= max(1, 0.01 * len(sample)) and len(colours) < MOST_COLOURS:
        counts = [
            (_distance(remaining_colours, colour) < NEAR).sum() for colour in remaining_colours
        ]
        colour = remaining_colours[int(np.argmax(counts))]
        near = _distance(remaining_colours, colour) < NEAR / 2
        colours.append(remaining_colours[near].mean(0))
        remaining_colours = remaining_colours[~near]
    return np.stack(colours) if len(remaining_colours) <= (1 - PLAIN) * len(sample) else None


def two_coloured(images: Pixels, colours: Colours) -> NDArray[np.bool_]:
    """images: (N, S, S, 3). Which have two large background regions of different colours."""
    return np.array([_is_two_coloured(_ring(image), colours) for image in images], bool)


@dataclass(frozen=True)
class Backgrounds:
    """Shares, 0 to 1, of drawn and of real pictures with a background of two colours."""

    samples: int
    two_coloured: float
    two_coloured_real: float


def measure(faces: Pixels, dataset: PackedDataset) -> Backgrounds | None:
    """Drawn faces (N, S, S, 3) of the set's size; None where the set's borders are not plain."""
    colours = palette(dataset)
    if colours is None:
        return None
    real = dataset.images()[:: max(1, dataset.count // PICTURES)]
    return Backgrounds(
        samples=len(faces),
        two_coloured=float(two_coloured(faces, colours).mean()),
        two_coloured_real=float(two_coloured(real, colours).mean()),
    )


def _ring(image: Pixels) -> NDArray[np.float32]:
    """(pixels, 3): the outermost pixels above and at both sides, down to where shoulders begin."""
    side = len(image)
    width = max(1, side // RING)
    border = np.zeros((side, side), bool)
    border[:width] = border[:, :width] = border[:, -width:] = True
    border[round(side * SHOULDERS) :] = False
    return image[border].astype(np.float32)


def _mode(ring: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """The mean of the most frequent colours, and their share of the border."""
    _, where, counts = np.unique(
        (ring // 16).astype(np.int64) @ np.array([256, 16, 1]),
        return_inverse=True,
        return_counts=True,
    )
    centre = ring[where == int(np.argmax(counts))].mean(0)
    near = _distance(ring, centre) < NEAR
    return ring[near].mean(0), float(near.mean())


def _is_two_coloured(ring: NDArray[np.float32], colours: Colours) -> bool:
    to_each = np.linalg.norm(ring[:, None] - colours, axis=2)
    background = ring[to_each.min(1) < NOISE]
    if len(background) < 2 * SECOND * len(ring):
        return False
    first, second = _two_means(background)
    closer = _distance(background, first) <= _distance(background, second)
    smaller = min(closer.sum(), (~closer).sum())
    if smaller < SECOND * len(ring) or _distance(first, second) < NEAR:
        return False
    # Two shades of one drawn colour are one background: the nearest colours of the set decide.
    nearest = [int(np.argmin(_distance(colours, centre))) for centre in (first, second)]
    return nearest[0] != nearest[1]


def _two_means(points: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The centres of two clusters (Lloyd), beginning at the most distant points."""
    first = points[int(np.argmax(_distance(points, points.mean(0))))]
    second = points[int(np.argmax(_distance(points, first)))]
    for _ in range(ROUNDS):
        closer = _distance(points, first) <= _distance(points, second)
        if closer.all() or not closer.any():
            break
        first, second = points[closer].mean(0), points[~closer].mean(0)
    return first, second


def _distance(colours: NDArray[np.float32], colour: NDArray[np.float32]) -> NDArray[np.float32]:
    distance: NDArray[np.float32] = np.linalg.norm(colours - colour, axis=-1)
    return distance
