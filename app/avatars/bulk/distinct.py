"""Chooses distinct faces for a team: a face too similar to an earlier one is replaced by a variant.

`docs/seeds.md` specifies it; of two similar faces, the seed that comes first keeps its own.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.avatars.generate import faces
from app.avatars.request.picture_request import PictureRequest
from models.bundle.generator import Drawer, Pixels

# RMS over a thumbnail, of the full range. Of 400 faces of the first shipped models, pairs below it
# looked alike at a glance and pairs above it did not; 1 in 60 pairs lies below.
SIMILAR = 0.12
THUMBNAIL = 16  # pixels along a side
MOST_VARIANTS = 16

Thumbnail = NDArray[np.int32]


class Team:
    """The thumbnails of the faces so far, 3 kB each."""

    def __init__(self, drawer: Drawer) -> None:
        self.drawer = drawer
        self._thumbnails: Thumbnail = np.empty((0, THUMBNAIL * THUMBNAIL * 3), np.int32)

    def add(self, request: PictureRequest) -> tuple[PictureRequest, Pixels]:
        """The seed's first variant that differs enough from earlier faces, else the most different.

        Returns its request and its pixels (1, S, S, 3), not enlarged. Draws at most MOST_VARIANTS
        faces.
        """
        best: tuple[float, PictureRequest, Pixels, Thumbnail] | None = None
        for variant in range(MOST_VARIANTS):
            candidate = request.with_values(variant=variant)
            pixels = faces.draw_face(candidate.values, self.drawer)
            thumbnail = _reduce(pixels[0])
            distance = self._distance(thumbnail)
            if best is None or distance > best[0]:
                best = distance, candidate, pixels, thumbnail
            if distance >= SIMILAR:
                break
        assert best is not None
        self._thumbnails = np.vstack([self._thumbnails, best[3]])
        return best[1], best[2]

    def _distance(self, thumbnail: Thumbnail) -> float:
        """The RMS difference from the most similar earlier face, from 0 to 1."""
        if not len(self._thumbnails):
            return float("inf")
        # In integers, so that the order of summation cannot change a face.
        squares = np.square(self._thumbnails - thumbnail).sum(axis=1)
        return math.sqrt(int(squares.min()) / thumbnail.size) / 255


def _reduce(pixels: Pixels) -> Thumbnail:
    small = Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small).astype(np.int32).ravel()
