"""Drawn faces against real pictures at one size: every measure, beside a perfect model's."""

from dataclasses import dataclass

import numpy as np

from worker.datasets.held_out import Places
from worker.evaluation import metrics
from worker.evaluation.features import Floats
from worker.evaluation.metrics import Frechet, Moments

COVERAGE_REPEATS = 200  # bootstrap draws of the coverage's interval

Interval = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """Measures of `samples` drawn faces against as many real pictures, both `size` pixels wide.

    fd: FD-Lite0; kid: KID-Lite0; fd_own: FD-Own. The floors are those of real pictures against
    `floor_samples` other real ones, what a perfect model would have. fd_blur2: real pictures
    against themselves blurred ×2. Intervals hold 95 %.
    """

    size: int
    samples: int
    floor_samples: int
    fd: float
    fd_interval: Interval
    fd_floor: float
    fd_blur2: float
    fd_own: float
    fd_own_interval: Interval
    fd_own_floor: float
    kid: float
    kid_floor: float
    precision: float
    recall: float
    density: float
    coverage: float
    coverage_interval: Interval
    coverage_floor: float


@dataclass(frozen=True)
class HeldOut:
    """The same faces against pictures that the model never saw, beside as many that it saw.

    A model that memorised its pictures is nearer to those that it saw. fd_trained, …: against
    training pictures, equally many.
    """

    size: int
    samples: int
    fd: float
    fd_trained: float
    precision: float
    precision_trained: float
    recall: float
    recall_trained: float
    coverage: float
    coverage_trained: float


@dataclass(frozen=True)
class RealSide:
    """Features of real pictures at one size.

    training: (M, D) Lite0 features of pictures that the model may have seen, shuffled; places:
    theirs in the packed set; held_out: of those that it never saw; training_blurred:
    of the first training pictures, blurred; own, own_second: FD-Own's of the first pictures and
    as many others.
    """

    size: int
    training: Floats
    places: Places
    held_out: Floats
    training_blurred: Floats
    own: Floats
    own_second: Floats


def compare(real: RealSide, fake: Floats, fake_own: Floats) -> Comparison:
    """Measure faces by their features: fake (N, 1280) of Lite0, fake_own (N, 256) of FD-Own."""
    count = len(fake)
    half = floor_count(count, len(real.training))
    against, first = real.training[:count], real.training[:half]
    second = real.training[half : 2 * half]
    moments = Moments.of(against)
    distance, own = metrics.frechet(moments, fake), _frechet_own(real.own, fake_own)
    manifolds, floor_manifolds = metrics.manifolds(against, fake), metrics.manifolds(first, second)
    return Comparison(
        size=real.size,
        samples=count,
        floor_samples=half,
        fd=distance.distance,
        fd_interval=distance.interval,
        fd_floor=metrics.frechet(Moments.of(first), second).distance,
        fd_blur2=metrics.frechet(moments, real.training_blurred).distance,
        fd_own=own.distance,
        fd_own_interval=own.interval,
        fd_own_floor=_frechet_own(real.own[:half], real.own_second).distance,
        kid=metrics.kernel(against, fake),
        kid_floor=metrics.kernel(first, second),
        precision=float(manifolds.precision.mean()),
        recall=float(manifolds.recall.mean()),
        density=float(manifolds.density.mean()),
        coverage=float(manifolds.coverage.mean()),
        coverage_interval=metrics.interval(
            lambda rows: float(manifolds.coverage[rows].mean()), len(against), COVERAGE_REPEATS
        ),
        coverage_floor=float(floor_manifolds.coverage.mean()),
    )


def floor_count(count: int, real: int) -> int:
    """How many pictures each side of the floor has: `count`, or half of a small set."""
    return min(count, real // 2)


def compare_held_out(real: RealSide, fake: Floats) -> HeldOut | None:
    """Measure fake (N, 1280) against as many held-out as training pictures; None without any."""
    count = min(len(real.held_out), len(fake), len(real.training))
    if not count:
        return None
    sides = {"": real.held_out[:count], "_trained": real.training[:count]}
    marks: dict[str, float] = {}
    for suffix, against in sides.items():
        manifolds = metrics.manifolds(against, fake[:count])
        marks[f"fd{suffix}"] = metrics.frechet(Moments.of(against), fake[:count]).distance
        marks[f"precision{suffix}"] = float(manifolds.precision.mean())
        marks[f"recall{suffix}"] = float(manifolds.recall.mean())
        marks[f"coverage{suffix}"] = float(manifolds.coverage.mean())
    return HeldOut(size=real.size, samples=count, **marks)


def _frechet_own(real: Floats, fake: Floats) -> Frechet:
    # In units of the features' mean variance: what the network calls 1 is arbitrary.
    scale = np.float32(np.sqrt(real.var(0).mean()) or 1)
    return metrics.frechet(Moments.of(real / scale), fake / scale)
