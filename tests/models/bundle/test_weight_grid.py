"""Weights on a grid are found again, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from models.bundle import weight_grid


def weights_of(shape: tuple[int, ...], scale: float, seed: int = 0) -> weight_grid.Floats:
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)


@pytest.mark.parametrize("axis", weight_grid.AXES)
@pytest.mark.parametrize("shape", [(192, 96, 4, 4), (3072, 128), (64, 16)])
@settings(max_examples=20, deadline=None)  # a busy machine is no failure
@given(exponent=st.floats(-25, 10), seed=st.integers(0, 1000))
def test_snapped_weights_are_found_again(
    shape: tuple[int, ...], axis: int, exponent: float, seed: int
) -> None:
    grid_weights = weight_grid.snap(weights_of(shape[:2], 2**exponent, seed), axis)
    axis_steps = weight_grid.find(grid_weights)
    assert (axis_steps is None) == (grid_weights.size < weight_grid.FEWEST)
    if axis_steps is not None:
        assert axis_steps.floats().tobytes() == grid_weights.tobytes()


def test_snapping_moves_no_weight_by_more_than_half_a_step() -> None:
    weights = weights_of((128, 64), 0.02)
    grid_weights = weight_grid.snap(weights, 0)
    steps = np.abs(weights).max(1, keepdims=True) / weight_grid.LARGEST
    assert (np.abs(grid_weights - weights) <= steps * 0.51).all()
    assert len(np.unique(grid_weights[0])) <= 2 * weight_grid.LARGEST + 1


def test_snapping_twice_changes_nothing() -> None:
    once = weight_grid.snap(weights_of((128, 64), 3.0), 1)
    assert weight_grid.snap(once, 1).tobytes() == once.tobytes()


def test_a_channel_of_zeros_stays_zero() -> None:
    weights = weights_of((64, 64), 1.0)
    weights[3] = 0
    grid_weights = weight_grid.snap(weights, 0)
    assert not grid_weights[3].any()
    assert weight_grid.find(grid_weights) is not None


def test_common_weights_lie_on_no_grid() -> None:
    assert weight_grid.find(weights_of((128, 64), 1.0)) is None


def test_small_tensors_stay_as_they_are() -> None:
    weights = weights_of((3, 24), 1.0)
    assert weight_grid.snap(weights, 0) is weights
    assert weight_grid.find(weights) is None
