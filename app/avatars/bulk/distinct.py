"""A team's faces, kept apart: a face too like an earlier one gives way to its seed's next variant.

`docs/seeds.md` specifies it; the order of the seeds decides who keeps the first face.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.avatars.generate import faces
from app.avatars.request.parameters import Values
from models.bundle.generator import Drawer, Pixels

# RMS over a thumbnail, of the full range. Of 400 faces of the first shipped models, pairs below
# looked alike at a glance and pairs above did not; 1 in 60 pairs lies below.
NEAR = 0.12
THUMBNAIL = 16  # pixels along a side
TRIES = 16

Thumbnail = NDArray[np.int32]


class Team:
    """The faces so far, as thumbnails: 3 kB each; `given`: what they have in common."""

    def __init__(self, drawer: Drawer, given: Values) -> None:
        self.drawer, self.given = drawer, given
        self._seen: Thumbnail = np.empty((0, THUMBNAIL * THUMBNAIL * 3), np.int32)

    def add(self, seed: str) -> tuple[int, Pixels]:
        """A seed's first variant that is like nobody, else the least alike; its pixels (S, S, 3).

        Draws up to TRIES faces.
        """
        best: tuple[float, int, Pixels, Thumbnail] | None = None
        for variant in range(TRIES):
            asked = {**self.given, "seed": seed, "variant": variant, "best_of": 1}
            (pixels,) = faces.face(asked, self.drawer)
            thumbnail = _reduced(pixels)
            distance = self._distance(thumbnail)
            if best is None or distance > best[0]:
                best = distance, variant, pixels, thumbnail
            if distance >= NEAR:
                break
        assert best is not None
        self._seen = np.vstack([self._seen, best[3]])
        return best[1], best[2]

    def _distance(self, thumbnail: Thumbnail) -> float:
        if not len(self._seen):
            return float("inf")
        # In whole numbers, so that no order of summing can move a face.
        squares = np.square(self._seen - thumbnail).sum(axis=1)
        return math.sqrt(int(squares.min()) / thumbnail.size) / 255


def _reduced(pixels: Pixels) -> Thumbnail:
    small = Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small).astype(np.int32).ravel()
