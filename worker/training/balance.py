"""How often each picture is shown in training, so that rare values of labels are learnt too."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOST = 10.0  # times as often as an image of frequent values; more would memorise a rare one


def weights(codes: Sequence[NDArray[np.int64]], balance: float) -> NDArray[np.float64]:
    """How often each image is shown, relative to the mean: (N,), one label's `codes` (N,) a row.

    An image counts by the rarest of its values. For a value that a share f of the images has, of a
    label with K values, it is shown (1 / (K f)) ** balance times as often, at least once and at
    most MOST ** balance times. `balance` 0 shows all alike; 1 shows each value of a label about
    equally often, where the rarest has at least a tenth of an equal share. The repeat factors of
    LVIS (Gupta et al. 2019, arXiv:1908.03195) without their threshold.
    """
    frequencies = [np.bincount(row) / len(row) for row in codes]
    rarity = [
        1 / (np.count_nonzero(frequency) * frequency[row])
        for row, frequency in zip(codes, frequencies, strict=True)
    ]
    rarest: NDArray[np.float64] = np.clip(np.max(rarity, axis=0), 1, MOST)
    repeats: NDArray[np.float64] = rarest**balance
    mean: np.float64 = repeats.mean()
    return repeats / mean


class Balance:
    """Selects images by their weights."""

    def __init__(self, weights: NDArray[np.float64]) -> None:
        """weights: (N,), how often each image is shown, with a mean of 1."""
        self._edges = torch.from_numpy(np.cumsum(weights) / len(weights))

    def order(self, random: torch.Generator) -> Tensor:
        """(N,) images of a pass, in random order: each as often as its weight, rounded up or down.

        Systematic sampling: one random offset and equal distances, so that a pass varies little.
        """
        count = len(self._edges)
        offset = torch.rand(1, dtype=torch.float64, generator=random)
        rows = self._at((torch.arange(count, dtype=torch.float64) + offset) / count)
        return rows[torch.randperm(count, generator=random)]

    def sample(self, count: int, random: torch.Generator) -> Tensor:
        """(count,) images, independent of each other."""
        return self._at(torch.rand(count, dtype=torch.float64, generator=random))

    def _at(self, quantiles: Tensor) -> Tensor:
        # The last edge is 1 but for rounding.
        return torch.searchsorted(self._edges, quantiles, right=True).clamp(
            max=len(self._edges) - 1
        )
