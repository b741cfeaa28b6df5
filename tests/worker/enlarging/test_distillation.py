"""A generator learns to draw what its enlarger makes of its pictures, reduced."""

import copy
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.networks.enlarger import Enlarger
from models.networks.modern import Generator
from worker.enlarging.distillation import Distillation, Plan

LATENT = 8


def latents(number: int) -> Mapping[str, Tensor]:
    """Four latents, of which two are mixed with others from the second layer on."""
    random = torch.Generator().manual_seed(number)
    z, other = torch.randn(2, 4, LATENT, generator=random)
    return {"z": z, "other": other, "cut": torch.tensor([1, 3, 1, 3])}


@pytest.fixture
def generator() -> Generator:
    """Small, and with a grain: its last convolution has random weights."""
    torch.manual_seed(0)
    return Generator(16, LATENT, 8, 4).eval()


@pytest.fixture
def distillation(generator: Generator) -> Distillation:
    """Beside an enlarger without training, which blurs as bilinear enlargement does."""
    return Distillation(generator, Enlarger(4, 4, 1, 1), 4, latents, Plan(steps=60, start=7))


def test_the_student_comes_nearer_to_the_enlarger_and_only_its_synthesis_learns(
    generator: Generator, distillation: Distillation
) -> None:
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    while not distillation.is_finished:
        distillation.advance()
    student, teacher = distillation.measure()
    assert student < 0.8 * teacher
    for name, value in generator.state_dict().items():
        assert torch.equal(value, before[name]), "the teacher stays as it was"
    learnt = {
        name
        for name, value in distillation.student.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert learnt
    assert all(name.startswith("synthesis.") for name in learnt)
    assert not any("running" in name or "num_batches" in name for name in learnt)


def test_the_difference_is_from_the_enlarged_pictures_reduced_by_area(
    generator: Generator, distillation: Distillation
) -> None:
    expected = []
    for number in range(7 + 60, 7 + 64):
        pictures = generator(**latents(number)).detach()
        large = F.interpolate(pictures.clamp(-1, 1), scale_factor=4, mode="bilinear")
        expected.append((pictures - F.avg_pool2d(large, 4)).abs().mean() * 127.5)
    student, teacher = distillation.measure()
    assert student == teacher == pytest.approx(float(torch.stack(expected).mean()), rel=1e-4)


def test_a_restored_one_goes_on_to_the_same_weights(
    generator: Generator, distillation: Distillation
) -> None:
    other = Distillation(generator, Enlarger(4, 4, 1, 1), 4, latents, distillation.plan)
    for _ in range(3):
        distillation.advance()
    other.restore(copy.deepcopy(distillation.state()))
    for each in (distillation, other):
        each.advance()
    assert other.step == 4
    for one, two in zip(distillation.student.parameters(), other.student.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("plan", [Plan(steps=61, start=7), Plan(steps=60, start=8)])
def test_a_state_of_another_plan_is_left_unread(
    generator: Generator, distillation: Distillation, plan: Plan
) -> None:
    distillation.advance()
    other = Distillation(generator, Enlarger(4, 4, 1, 1), 4, latents, plan)
    other.restore(distillation.state())
    assert other.step == 0
