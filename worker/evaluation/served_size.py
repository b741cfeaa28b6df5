"""Measures at the size that most people see, and whether one model is better than another there."""

import math
from collections.abc import Mapping
from pathlib import Path

from models.bundle.generator import Drawer
from worker.datasets.packing import PackedDataset
from worker.evaluation import metrics, reference
from worker.evaluation.evaluate import draw
from worker.evaluation.features import Features
from worker.evaluation.metrics import Z95, Moments

# Seeds begin with it, so that they are none of those by which a run measures itself: the snapshot
# with the lowest FD on those has it partly by chance.
SEED = "judge "

Measures = dict[str, float]


class ServedSize:
    """Real pictures of one set at the served size, to compare models against."""

    def __init__(self, dataset: PackedDataset, samples: int, cache: Path, threads: int) -> None:
        """dataset: the set, or a fair part of it, packed at the served size."""
        self.size, self.samples = dataset.size, min(samples, dataset.count)
        self._features = Features(threads)
        self._real = reference.real(dataset, self.samples, self._features, cache)
        self._moments = Moments.of(self._real)

    def measure(self, drawer: Drawer, psi: float = 1.0) -> Measures:
        """FD-Lite0 with its standard error, KID, precision and coverage of the served faces."""
        fake = self._features.extract(draw(drawer, self.samples, psi, self.size, SEED))
        return {
            **metrics.summarise(self._real, self._moments, fake),
            "size": self.size,
            "samples": self.samples,
        }


def is_lower(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether one FD is lower than another beyond their noise, with 95 % confidence.

    The margin is Z95 standard errors of the difference. Measures of earlier versions have no
    `fd_error`; theirs counts as the other's.
    """
    errors = [measures["fd_error"] for measures in (one, other) if "fd_error" in measures]
    margin = Z95 * math.hypot(*(errors * 2)[:2]) if errors else 0.0
    return one["fd"] < other["fd"] - margin
