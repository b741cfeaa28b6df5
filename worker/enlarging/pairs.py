"""Pairs of the same picture at the generator's resolution and larger, from the run's own set."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from models.bundle.generator import Pixels
from models.errors import DatasetError
from models.recipes.automatic import ENLARGER_SCALES, FEWEST_PAIRS
from worker.datasets.packing import PackedDataset

MOST = 4_000  # pictures; more do not improve the enlarger
MOST_BYTES = 2**30  # of packed larger pictures
HELD_OUT = 0.05  # share of the pictures
MOST_HELD_OUT = 100
# Sets differ in how they were reduced, so the network learns to enlarge both.
FILTERS = (Image.Resampling.BOX, Image.Resampling.LANCZOS)

# (side, most pictures) → the set's pictures whose shorter side has as many pixels.
Pack = Callable[[int, int], PackedDataset]


@dataclass(frozen=True)
class Pairs:
    """small: (filters, N, S, S, 3) uint8; large: (N, scale·S, scale·S, 3) uint8.

    The last `held_out` pictures are for measuring only.
    """

    small: Pixels
    large: Pixels
    scale: Literal[2, 4]
    held_out: int
    dataset: str

    @property
    def trained_on(self) -> int:
        """How many pictures, from the first, are for training."""
        return len(self.large) - self.held_out

    @property
    def resolution(self) -> int:
        """The small pictures' side in pixels."""
        return int(self.small.shape[2])


def find(
    pack: Pack, resolution: int, limit: int | None = None, without: Collection[str] = ()
) -> Pairs | None:
    """The pairs with the largest scale of which the set has enough; None where it has for none.

    limit: use only the set's first so many pictures. without: names of pictures that are for
    measuring what was trained. Raises what `pack` raises but DatasetError.
    """
    for scale in ENLARGER_SCALES:
        side = scale * resolution
        most = min(MOST, MOST_BYTES // (3 * side**2), limit or MOST)
        try:
            dataset = pack(side, most)
        except DatasetError:  # fewer than two pictures are so large
            continue
        images = dataset.images()
        if without:
            names = enumerate(dataset.names())
            images = images[[place for place, name in names if name not in without]]
        if len(images) >= FEWEST_PAIRS:
            return make(images, scale, dataset.name)
    return None


def make(large: Pixels, scale: Literal[2, 4], dataset: str) -> Pairs:
    """Pair pictures (N, scale·S, scale·S, 3) with themselves, reduced by each of FILTERS."""
    side = large.shape[1] // scale
    small = np.empty((len(FILTERS), len(large), side, side, 3), np.uint8)
    for number, pixels in enumerate(large):
        image = Image.fromarray(pixels)
        for place, method in enumerate(FILTERS):
            small[place, number] = np.asarray(image.resize((side, side), method))
    held_out = min(MOST_HELD_OUT, max(1, round(len(large) * HELD_OUT)))
    return Pairs(small, large, scale, held_out, dataset)
