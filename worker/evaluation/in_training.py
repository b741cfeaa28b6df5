"""The measurements of a run at intervals, small enough to slow it by less than a tenth."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.faces import latents
from models.faces.pixels import to_pixels
from worker.datasets.packing import PackedDataset
from worker.evaluation import metrics, reference
from worker.evaluation.features import Features, Pixels
from worker.evaluation.metrics import Moments
from worker.evaluation.served_size import Measures
from worker.hardware import devices

BATCH = 50


class TrainingMeasurement:
    """Faces of the seeds "0", "1", … against as many real images of the run's set."""

    def __init__(self, dataset: PackedDataset, samples: int, cache: Path, threads: int) -> None:
        self.samples = min(samples, dataset.count)
        self._features = Features(threads)
        self._real = reference.real(dataset, self.samples, self._features, cache)
        self._moments = Moments.of(self._real)

    def measure(self, generator: nn.Module, latent: int) -> Measures:
        """FD-Lite0 (`fd`) with its standard error, KID-Lite0 (`kid`), precision and coverage.

        With few samples an FD is too high; compare it within one run only.
        """
        fake = self._features.extract(draw(generator, latent, self.samples))
        return metrics.summarise(self._real, self._moments, fake)


@torch.no_grad()
def draw(generator: nn.Module, latent: int, count: int) -> Pixels:
    """Faces (count, S, S, 3) of the seeds "0", "1", …, as the published model will draw them."""
    device = next(generator.parameters()).device
    parts = []
    for start in range(0, count, BATCH):
        seeds = range(start, min(start + BATCH, count))
        z = latents.derive_all(map(str, seeds), latent)
        with devices.exact_float32():
            images = generator(torch.from_numpy(z).to(device)).float()
        parts.append(to_pixels(images).cpu().numpy())
    return np.concatenate(parts)
