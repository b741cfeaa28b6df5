"""One model against one dataset: every measure, with what a perfect model would get."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle.generator import Drawer
from models.errors import DatasetError
from models.faces import latents
from worker.datasets.packing import Packed
from worker.evaluation import metrics, reference
from worker.evaluation.features import Features, Floats, Pixels
from worker.evaluation.metrics import Moments
from worker.evaluation.novelty import SHOWN, novelty, side_by_side

REPEATS = 20  # bootstrap draws; a Fréchet distance takes about a second
BATCH = 32
FEWEST = 20  # images on each side: below, neighbours and covariances mean nothing

Interval = tuple[float, float]
Places = NDArray[np.int64]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """Measures of `samples` drawn faces against as many real ones.

    fd: FD-Lite0; kid: KID-Lite0. fd_floor, kid_floor: real against other real images, what a
    perfect model would get. fd_blur2: real images against themselves blurred ×2.
    """

    samples: int
    floor_samples: int
    fd: float
    fd_interval: Interval
    fd_floor: float
    fd_blur2: float
    kid: float
    kid_floor: float
    precision: float
    recall: float
    density: float
    coverage: float
    coverage_interval: Interval
    coverage_floor: float
    novelty: float
    copies: float


def evaluate(
    drawer: Drawer,
    packed: Packed,
    samples: int,
    cache: Path,
    threads: int,
    psi: float = 1.0,
    progress: Progress | None = None,
) -> tuple[Evaluation, Pixels]:
    """Draw seeds "0", "1", …, measure them; also the picture of the likeliest copies.

    Raises DatasetError for a set of fewer than 40 images.
    """
    samples = min(samples, packed.count)
    if packed.count < 2 * FEWEST:
        raise DatasetError(
            f"{packed.name!r} has {packed.count} images; measuring needs at least {2 * FEWEST}."
        )
    features = Features(threads)
    tell = progress or (lambda stage, done, total: None)
    drawn = draw(drawer, samples, psi, lambda done: tell("drawing", done, samples))
    real = reference.real(
        packed, packed.count, features, cache, lambda *at: tell("real images", *at)
    )
    blurred = reference.blurred(packed, samples, features, cache, lambda *at: tell("blurring", *at))
    measured = features.extract(drawn)
    evaluation, places, shown = _measure(real, blurred, measured)
    chosen = reference.order(packed)[places]
    return evaluation, side_by_side(drawn[shown], packed.images()[chosen])


def draw(
    drawer: Drawer, count: int, psi: float = 1.0, told: Callable[[int], None] | None = None
) -> Pixels:
    """Faces (count, S, S, 3) of the seeds "0", "1", …"""
    parts = []
    for start in range(0, count, BATCH):
        seeds = range(start, min(start + BATCH, count))
        z = latents.derive_all(map(str, seeds), drawer.card.network.latent)
        parts.append(drawer.draw(z, psi))
        if told:
            told(seeds.stop)
    return np.concatenate(parts)


def _measure(real: Floats, blurred: Floats, drawn: Floats) -> tuple[Evaluation, Places, Places]:
    count = len(drawn)
    # The floor needs a second, disjoint half; a small set gives each side what it has.
    half = min(count, len(real) // 2)
    against, first, second = real[:count], real[:half], real[half : 2 * half]
    moments, floor = Moments.of(against), Moments.of(first)
    faces, perfect = metrics.manifolds(against, drawn), metrics.manifolds(first, second)
    found = novelty(real, drawn)
    shown = found.closest_first[:SHOWN]
    evaluation = Evaluation(
        samples=count,
        floor_samples=half,
        fd=metrics.frechet(moments, drawn),
        fd_interval=metrics.interval(
            lambda rows: metrics.frechet(moments, drawn[rows]), count, REPEATS
        ),
        fd_floor=metrics.frechet(floor, second),
        fd_blur2=metrics.frechet(moments, blurred),
        kid=metrics.kernel(against, drawn),
        kid_floor=metrics.kernel(first, second),
        precision=float(faces.precision.mean()),
        recall=float(faces.recall.mean()),
        density=float(faces.density.mean()),
        coverage=float(faces.coverage.mean()),
        coverage_interval=metrics.interval(
            lambda rows: float(faces.coverage[rows].mean()), len(against), 200
        ),
        coverage_floor=float(perfect.coverage.mean()),
        novelty=found.ratio,
        copies=found.copies,
    )
    return evaluation, found.nearest[shown], shown
