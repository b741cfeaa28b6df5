"""Distances between two sets of features: how real drawn faces look, and how varied they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

NEIGHBOURS = 5  # k of precision, recall, density and coverage
Z95 = 1.96  # standard errors to each side that hold 95 % of a normal distribution
CHUNK = 1000  # rows of a distance matrix at once: bounds the memory


@dataclass(frozen=True)
class Moments:
    """A normal distribution fitted to features: mean, the covariance's trace and its root.

    factor (R, D): factorᵀ·factor is the covariance's symmetric root, R at most D.
    """

    mean: Doubles
    trace: float
    factor: Doubles

    @classmethod
    def of(cls, features: Floats) -> "Moments":
        """features: (N, D), N at least 2."""
        mean, deviations = _centre(features)
        values, vectors = _spectrum(deviations)
        # √λ·vvᵀ = (λ^¼·v)(λ^¼·v)ᵀ
        return cls(mean, float(np.square(deviations).sum()), (vectors * values**0.25).T)


@dataclass(frozen=True)
class Frechet:
    """A Fréchet distance with its standard error over the choice of the drawn faces."""

    distance: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval."""
        return max(0.0, self.distance - Z95 * self.error), self.distance + Z95 * self.error


def frechet(real: Moments, fake: Floats) -> Frechet:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½) (arXiv:1706.08500 §A), and its standard error.

    The product's root has the trace of (Σ₁^½ Σ₂ Σ₁^½)^½, which is symmetric. The error is the
    infinitesimal jackknife's, what the bootstrap tends to (Efron 1982, §6): each row's influence
    is 2(μ₂ - μ₁)·c + |c|² - cᵀTc - mean, with c = x - μ₂ and T = Σ₁^½(Σ₁^½ Σ₂ Σ₁^½)^(-½)Σ₁^½.
    """
    mean, deviations = _centre(fake)
    shift = mean - real.mean
    # Rows of C·Σ₁^½, where CᵀC = Σ₂; the eigenvalues of its square are those of Σ₁^½ Σ₂ Σ₁^½.
    product = (deviations @ real.factor.T) @ real.factor
    values, vectors = _spectrum(product)
    trace = real.trace + float(np.square(deviations).sum())
    distance = float(shift @ shift + trace - 2 * np.sqrt(values).sum())
    count = len(fake)
    # A direction without variance contributes nothing.
    has_variance = values > values.max(initial=0) * 1e-14
    through = (np.square(product @ vectors[:, has_variance]) / np.sqrt(values[has_variance])).sum(1)
    influence = (
        2 * np.sqrt(count - 1) * (deviations @ shift)
        + (count - 1) * (np.square(deviations).sum(1) - through)
    )  # fmt: skip
    return Frechet(distance, float(influence.std() / np.sqrt(count)))


def kernel(real: Floats, fake: Floats) -> float:
    """Unbiased squared MMD with the kernel (x·y/D + 1)³ (arXiv:1801.01401 §4).

    real: (M, D), fake: (N, D) features.
    """
    return float(_within(real) + _within(fake) - 2 * _cubic(real, fake).mean())


@dataclass(frozen=True)
class Manifolds:
    """One value an image; their means are the four measures (arXiv:2002.09797 §2, §3).

    precision, density: a drawn image each; recall, coverage: a real image each.
    """

    precision: Doubles
    recall: Doubles
    density: Doubles
    coverage: Doubles


def manifolds(real: Floats, fake: Floats, k: int = NEIGHBOURS) -> Manifolds:
    """Whether images of one set lie within the other's balls to the k-th neighbour.

    real: (M, D), fake: (N, D) features.
    """
    real_radius, fake_radius = radii(real, real, k), radii(fake, fake, k)
    recall, coverage = np.zeros(len(real)), np.zeros(len(real))
    inside = np.zeros(len(fake))
    for rows, distance in distance_chunks(real, fake):
        within = distance < real_radius[rows, None]
        inside += within.sum(0)
        coverage[rows] = within.any(1)
        recall[rows] = (distance < fake_radius).any(1)
    return Manifolds((inside > 0).astype(float), recall, inside / k, coverage)


def summarise(real: Floats, moments: Moments, fake: Floats) -> dict[str, float]:
    """FD-Lite0 (`fd`, `fd_error`), KID-Lite0 (`kid`), precision and coverage of drawn faces.

    real, fake: features (N, D); moments: those of `real`, fitted once.
    """
    distance = frechet(moments, fake)
    faces = manifolds(real, fake)
    return {
        "fd": distance.distance,
        "fd_error": distance.error,
        "kid": kernel(real, fake),
        "precision": float(faces.precision.mean()),
        "coverage": float(faces.coverage.mean()),
    }


def radii(features: Floats, among: Floats, k: int) -> Doubles:
    """(N,): squared distance of each row of `features` (N, D) to its k-th neighbour in `among`.

    among: (M, D), the rows of `features` too.
    """
    squares = np.empty(len(features))
    k = min(k, len(among) - 1)
    for rows, distance in distance_chunks(features, among):
        squares[rows] = np.partition(distance, k, axis=1)[:, k]
    return squares


def nearest(features: Floats, among: Floats) -> tuple[Doubles, NDArray[np.int64]]:
    """Squared distance of each row to the nearest of `among` (M, D), and which that is."""
    distances, places = np.empty(len(features)), np.empty(len(features), np.int64)
    for rows, distance in distance_chunks(features, among):
        places[rows] = distance.argmin(1)
        distances[rows] = distance.min(1)
    return distances, places


def distance_chunks(left: Floats, right: Floats) -> Iterator[tuple[slice, Floats]]:
    """Squared distances (rows, M) of rows of `left` (N, D) to all of `right` (M, D)."""
    lengths = np.square(right).sum(1)
    for start in range(0, len(left), CHUNK):
        rows = slice(start, start + CHUNK)
        part = left[rows]
        distance = np.square(part).sum(1)[:, None] + lengths - 2 * part @ right.T
        yield rows, np.maximum(distance, 0)


def interval(
    measure: Callable[[NDArray[np.int64]], float], count: int, repeats: int, seed: int = 0
) -> tuple[float, float]:
    """95 % of `measure(rows)`, which is at least 0, over bootstrap draws of `count` rows.

    Centred on its value: repeated rows bias a Fréchet distance upwards, so only the spread of
    the draws is used.
    """
    random = np.random.default_rng(seed)
    value = measure(np.arange(count))
    spread = np.std([measure(random.integers(0, count, count)) for _ in range(repeats)])
    return max(0.0, float(value - Z95 * spread)), float(value + Z95 * spread)


def _centre(features: Floats) -> tuple[Doubles, Doubles]:
    """The mean (D,), and the rows less it, scaled so that CᵀC is the covariance."""
    values = features.astype(np.float64)
    mean = values.mean(0)
    return mean, (values - mean) / np.sqrt(len(values) - 1)


def _spectrum(rows: Doubles) -> tuple[Doubles, Doubles]:
    """Eigenvalues (R,) and eigenvectors (D, R) of rowsᵀ·rows, rows (N, D), R = min(N, D).

    Fewer rows than columns: from the smaller rows·rowsᵀ, which has the same eigenvalues.
    """
    count, length = rows.shape
    if count >= length:
        values, vectors = np.linalg.eigh(rows.T @ rows)
        return np.clip(values, 0, None), vectors
    values, left = np.linalg.eigh(rows @ rows.T)
    values = np.clip(values, 0, None)
    scale = np.where(values > values[-1] * 1e-14, np.sqrt(values), np.inf)
    return values, (rows.T @ left) / scale


def _cubic(left: Floats, right: Floats) -> Doubles:
    result: Doubles = (
        left.astype(np.float64) @ right.T.astype(np.float64) / left.shape[1] + 1
    ) ** 3
    return result


def _within(features: Floats) -> float:
    count, values = len(features), _cubic(features, features)
    return float((values.sum() - np.trace(values)) / (count * (count - 1)))
