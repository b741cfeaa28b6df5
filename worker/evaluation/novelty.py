"""Whether generated faces are new, or copies of training images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.evaluation import metrics
from worker.evaluation.features import Floats, Pixels

CLOSEST = 0.01  # quantile of real-to-real distances under which a drawn face counts as a copy
PAIRS_SHOWN = 8  # pairs in the picture
GAP = 4  # pixels between pairs


@dataclass(frozen=True)
class Novelty:
    """How near drawn faces are to their nearest training images, in feature distance.

    ratio: median distance to the nearest training image, over that of a real image to its
    nearest other; above 1: farther from the set than its images are from each other.
    copies: share nearer than all but 1 % of real images are to another.
    nearest: (N,) place of the nearest training image. closest_first: (N,) drawn faces by distance.
    """

    ratio: float
    copies: float
    nearest: NDArray[np.int64]
    closest_first: NDArray[np.int64]


def novelty(training: Floats, fake: Floats) -> Novelty:
    """Compare generated faces with the training images.

    training: (M, D) features of the whole set, or a fair part of it; fake: (N, D).
    """
    among = np.sqrt(metrics.radii(training[: len(fake)], training, 1))
    squares, nearest = metrics.nearest(fake, training)
    distances = np.sqrt(squares)
    # A set may hold one image twice; its zero must not make every threshold zero.
    apart = among[among > 1e-3]
    middle = float(np.median(apart)) if len(apart) else 1.0
    threshold = float(np.quantile(apart, CLOSEST)) if len(apart) else 0.0
    return Novelty(
        ratio=float(np.median(distances)) / middle,
        copies=float((distances < threshold).mean()),
        nearest=nearest,
        closest_first=np.argsort(distances),
    )


def side_by_side(faces: Pixels, training: Pixels) -> Pixels:
    """One picture: generated faces above, their nearest training images below.

    faces, training: (n, S, S, 3) uint8.
    """
    size = faces.shape[1]
    columns = len(faces)
    canvas = np.full((2 * size, columns * (size + GAP) - GAP, 3), 255, np.uint8)
    for column in range(columns):
        left = column * (size + GAP)
        canvas[:size, left : left + size] = faces[column]
        canvas[size:, left : left + size] = training[column]
    return canvas
