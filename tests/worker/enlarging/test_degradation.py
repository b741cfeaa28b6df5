"""Small pictures are damaged as a generator damages them: edges move, areas stay."""

import torch
from torch import Tensor

from worker.enlarging.degradation import DISPLACEMENT, GRAIN, degrade
from worker.rng import random_stream


def _degrade_seeded(images: Tensor, key: int = 0) -> Tensor:
    return degrade(images, random_stream(1, key))


def test_the_same_random_numbers_give_the_same_damage() -> None:
    images = torch.rand(3, 3, 16, 16) * 2 - 1
    assert torch.equal(_degrade_seeded(images), _degrade_seeded(images))
    assert not torch.equal(_degrade_seeded(images), _degrade_seeded(images, 1))


def test_flat_areas_get_grain_alone() -> None:
    flat = torch.full((64, 3, 16, 16), 0.25)
    difference = _degrade_seeded(flat) - flat
    assert 0 < difference.std() < GRAIN
    assert difference.mean().abs() < GRAIN / 20


def test_edges_move_by_about_a_pixel_at_most() -> None:
    edge = torch.full((64, 3, 16, 16), -1.0)
    edge[..., 8:] = 1.0
    damage = (_degrade_seeded(edge) - edge).abs().mean((0, 1, 2))
    assert damage[7:9].min() > 0.1
    # Beyond three standard deviations of the displacement there is grain alone.
    reach = round(3 * DISPLACEMENT)
    assert damage[: 8 - reach].max() < GRAIN
    assert damage[8 + reach :].max() < GRAIN
