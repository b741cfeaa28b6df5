"""Measures against what their formulas give by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.evaluation import metrics
from worker.evaluation.features import Features
from worker.evaluation.metrics import Moments
from worker.evaluation.novelty import novelty, side_by_side

Rows = NDArray[np.float32]
random = np.random.default_rng(0)


def normal(count: int, length: int = 8, shift: float = 0.0, scale: float = 1.0) -> Rows:
    return (random.standard_normal((count, length)) * scale + shift).astype(np.float32)


def test_the_frechet_distance_of_a_set_to_itself_is_zero() -> None:
    real = normal(500)
    assert metrics.frechet(Moments.of(real), real).distance == pytest.approx(0, abs=1e-5)


def test_the_frechet_distance_of_normals_is_the_closed_form() -> None:
    """‖μ₁ - μ₂‖² + Σ(σ₁ - σ₂)² where covariances are diagonal."""
    real, fake = normal(200_000), normal(200_000, shift=0.5, scale=2.0)
    result = metrics.frechet(Moments.of(real), fake)
    assert result.distance == pytest.approx(8 * 0.25 + 8 * 1.0, rel=0.02)


def test_the_frechet_distance_survives_fewer_images_than_features() -> None:
    real, fake = normal(40, 64), normal(40, 64)
    result = metrics.frechet(Moments.of(real), fake)
    assert 0 < result.distance < 128
    assert 0 < result.error < result.distance


def test_the_standard_error_is_the_spread_over_other_faces_of_the_same_model() -> None:
    moments = Moments.of(normal(4_000, 16))
    distances = [
        metrics.frechet(moments, normal(500, 16, shift=0.3, scale=1.2)) for _ in range(100)
    ]
    spread = np.std([each.distance for each in distances])
    assert np.mean([each.error for each in distances]) == pytest.approx(spread, rel=0.25)
    low, high = distances[0].interval
    assert low < distances[0].distance < high


def test_the_kernel_distance_is_unbiased_and_sees_a_shift() -> None:
    real = normal(1_000)
    distances = [metrics.kernel(real, normal(1_000)) for _ in range(8)]
    assert abs(np.mean(distances)) < 0.02
    assert metrics.kernel(real, normal(1_000, shift=1.0)) > 0.5


def test_the_kernel_distance_equals_the_double_sum() -> None:
    x, y = normal(6, 3), normal(5, 3)

    def k(a: Rows, b: Rows) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    across = np.mean([k(a, b) for a in x for b in y])
    assert metrics.kernel(x, y) == pytest.approx(within_x + within_y - 2 * across, rel=1e-4)


def test_manifolds_of_equal_distributions_are_full() -> None:
    manifolds = metrics.manifolds(normal(2_000), normal(2_000))
    assert manifolds.precision.mean() > 0.9
    assert manifolds.recall.mean() > 0.9
    assert manifolds.density.mean() == pytest.approx(1, abs=0.1)
    assert manifolds.coverage.mean() > 0.9


def test_a_collapse_keeps_precision_and_loses_coverage() -> None:
    real = normal(1_000)
    fake = np.repeat(real[:1], 1_000, axis=0) + normal(1_000, scale=1e-3)
    manifolds = metrics.manifolds(real, fake)
    assert manifolds.precision.mean() == 1
    assert manifolds.coverage.mean() < 0.05
    assert manifolds.recall.mean() < 0.05


def test_radii_do_not_count_the_image_itself() -> None:
    line = np.array([[0.0], [1.0], [3.0]], np.float32)
    assert metrics.radii(line, line, 1).tolist() == [1.0, 1.0, 4.0]


def test_nearest_finds_the_place_in_every_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CHUNK", 3)
    among = normal(10)
    distances, places = metrics.nearest(among[::-1], among)
    assert places.tolist() == list(range(10))[::-1]
    assert distances.max() < 1e-4


def test_the_interval_covers_the_truth() -> None:
    values = random.standard_normal(400) + 5
    low, high = metrics.interval(lambda rows: float(values[rows].mean()), 400, 200)
    assert low < values.mean() < high
    assert high - low == pytest.approx(4 * values.std() / 20, rel=0.2)


def test_copies_are_distinguished_from_new_faces() -> None:
    training = normal(1_000, 32)
    of_copies = novelty(training, training[:200] + normal(200, 32, scale=1e-3))
    assert of_copies.copies == 1
    assert of_copies.nearest.tolist() == list(range(200))
    of_inventions = novelty(training, normal(200, 32))
    assert of_inventions.copies < 0.05
    assert 0.8 < of_inventions.ratio < 1.2


def test_side_by_side_puts_the_training_image_beneath() -> None:
    fake, training = np.zeros((3, 8, 8, 3), np.uint8), np.full((3, 8, 8, 3), 9, np.uint8)
    picture = side_by_side(fake, training)
    assert picture.shape == (16, 3 * 8 + 2 * 4, 3)
    assert (picture[:8, :8] == 0).all()
    assert (picture[8:, :8] == 9).all()


def test_features_are_the_same_in_any_batch_and_see_a_blur() -> None:
    features = Features(threads=1)
    images = random.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    batch_features = features.extract(images)
    assert batch_features.shape == (40, 1280)
    assert batch_features.dtype == np.float32
    np.testing.assert_allclose(features.extract(images[33:34])[0], batch_features[33], atol=1e-4)
    smooth = features.extract(np.full((2, 32, 32, 3), 128, np.uint8))
    assert np.abs(smooth[0] - batch_features[0]).mean() > 0.05
