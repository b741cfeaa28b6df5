"""The stage that trains an enlarger: it learns, resumes exactly, and reads no held-out picture."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch

from models.bundle.generator import Pixels
from models.networks.enlarger import Enlarger, loss, psnr
from worker.enlarging import pairs
from worker.enlarging.training import EnlargerTrainer, Plan

CPU = torch.device("cpu")
PLAN = Plan(width=8, blocks=1, fold=2, steps=6, seed=3)


def _trainer(large: Pixels, scale: Literal[2, 4] = 4, plan: Plan = PLAN) -> EnlargerTrainer:
    return EnlargerTrainer(pairs.make(large, scale, "discs"), plan, CPU, bf16=False)


def _weights(trainer: EnlargerTrainer) -> torch.Tensor:
    return torch.cat([each.flatten() for each in trainer.network.state_dict().values()])


def _train(trainer: EnlargerTrainer, steps: int) -> None:
    for _ in range(steps):
        trainer.advance()


@pytest.mark.parametrize("fold", [1, 2])
@pytest.mark.parametrize("scale", [2, 4])
def test_a_new_enlarger_enlarges_bilinearly(scale: int, fold: int) -> None:
    images = torch.rand(2, 3, 10, 10)
    large_images = Enlarger(scale, 8, 1, fold)(images)
    plain = torch.nn.functional.interpolate(images, scale_factor=scale, mode="bilinear")
    assert torch.equal(large_images, plain)


@pytest.mark.parametrize("scale", [2, 4])
def test_held_out_pictures_become_better_than_resized_ones(
    outlined_discs: Callable[[int, int], Pixels], scale: Literal[2, 4]
) -> None:
    pictures = outlined_discs(60, 32 * scale)
    trainer = _trainer(pictures, scale, Plan(width=32, blocks=2, fold=2, steps=300, seed=3))
    before = trainer.measure()
    _train(trainer, 300)
    after = trainer.measure()
    assert trainer.is_finished
    assert after.psnr_without == before.psnr_without
    assert after.psnr > before.psnr + 0.5
    assert after.is_better


def test_resuming_gives_the_weights_of_an_unbroken_training(large: Pixels) -> None:
    unbroken, first_half, second_half = (_trainer(large) for _ in range(3))
    _train(unbroken, 6)
    _train(first_half, 3)
    assert second_half.restore(first_half.state())
    assert second_half.step == 3
    _train(second_half, 3)
    assert torch.equal(_weights(second_half), _weights(unbroken))


def test_another_plan_does_not_go_on_from_a_state(large: Pixels) -> None:
    trainer = _trainer(large)
    _train(trainer, 3)
    other = _trainer(large, plan=dataclasses.replace(PLAN, steps=7))
    assert not other.restore(trainer.state())
    assert other.step == 0


def test_the_weights_depend_on_the_seed_alone(large: Pixels) -> None:
    torch.manual_seed(5)
    expected = torch.random.get_rng_state()
    first = _trainer(large)
    assert torch.equal(torch.random.get_rng_state(), expected)
    torch.manual_seed(6)
    second, other = _trainer(large), _trainer(large, plan=dataclasses.replace(PLAN, seed=4))
    for trainer in (first, second, other):
        _train(trainer, 2)
    assert torch.equal(_weights(first), _weights(second))
    assert not torch.equal(_weights(first), _weights(other))


def test_held_out_pictures_are_never_trained_on(large: Pixels) -> None:
    other_pictures = large.copy()
    other_pictures[-3:] = np.random.default_rng(0).integers(0, 256, other_pictures[-3:].shape)
    first, second = _trainer(large), _trainer(other_pictures)
    for trainer in (first, second):
        _train(trainer, 6)
    assert torch.equal(_weights(first), _weights(second))
    assert first.measure() != second.measure()


def test_psnr_is_that_of_its_definition() -> None:
    real = torch.zeros(1, 3, 4, 4)
    assert psnr(real + 0.02, real) == pytest.approx(40, abs=1e-4)


def test_the_loss_is_that_of_its_definition_and_so_is_its_gradient() -> None:
    random = torch.Generator().manual_seed(0)
    prediction = torch.randn(2, 3, 6, 5, generator=random, dtype=torch.float64, requires_grad=True)
    real = torch.randn(2, 3, 6, 5, generator=random, dtype=torch.float64)
    error = prediction - real
    expected = error.abs().mean()
    for axis in (2, 3):
        expected = expected + 0.5 * error.diff(dim=axis).abs().mean()
    torch.testing.assert_close(loss(prediction, real), expected)
    assert torch.autograd.gradcheck(lambda x: loss(x, real), prediction)
