"""Chooses distinct faces for a team: a face too similar to an earlier one is replaced by a variant.

`docs/seeds.md` specifies it; of two similar faces, the seed that comes first keeps its own.
"""

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Candidate:
    """A variant that a team may take.

    pixels: (1, S, S, 3), not enlarged. distance: the RMS difference from the most similar face of
    the team, from 0 to 1; infinite where the team is empty.
    """

    request: PictureRequest
    pixels: Pixels
    thumbnail: Thumbnail
    distance: float


class Team:
    """The thumbnails of the faces so far, 3 kB each."""

    def __init__(self, drawer: Drawer) -> None:
        self.drawer = drawer
        self._thumbnails: Thumbnail = np.empty((0, THUMBNAIL * THUMBNAIL * 3), np.int32)
        self._best: Candidate | None = None

    def try_variant(self, request: PictureRequest, variant: int) -> Candidate:
        """Draw one variant of a seed and compare it with the team."""
        candidate = request.with_values(variant=variant)
        pixels = faces.draw_face(candidate.values, self.drawer)
        thumbnail = _reduce(pixels[0])
        return Candidate(candidate, pixels, thumbnail, self._distance(thumbnail))

    def offer(self, candidate: Candidate) -> bool:
        """Keep it if it is the most different candidate so far; whether it differs enough."""
        if self._best is None or candidate.distance > self._best.distance:
            self._best = candidate
        return candidate.distance >= SIMILAR

    def take(self) -> Candidate:
        """Add the best of the offered candidates to the team, and return it."""
        assert self._best is not None
        best, self._best = self._best, None
        self._thumbnails = np.vstack([self._thumbnails, best.thumbnail])
        return best

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
