"""Target batches of a generator that learns its own pictures as its enlarger makes them."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.networks.enlarger import Enlarger
from models.networks.modern import Generator
from worker.enlarging.distillation import EnlargedPictures
from worker.student import Plan, StudentTraining

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
def teacher(generator: Generator) -> EnlargedPictures:
    """Of an enlarger without training, which blurs as bilinear enlargement does."""
    return EnlargedPictures(generator, Enlarger(4, 4, 1, 1), 4, latents)


def test_a_picture_is_the_enlarged_one_reduced_by_area(
    generator: Generator, teacher: EnlargedPictures
) -> None:
    batch = teacher(3)
    pictures = generator(**latents(3)).detach()
    large = F.interpolate(pictures.clamp(-1, 1), scale_factor=4, mode="bilinear")
    torch.testing.assert_close(batch.pictures, F.avg_pool2d(large, 4))
    for name, value in latents(3).items():
        assert torch.equal(batch.latents[name], value)


def test_a_batch_in_parts_has_the_same_pictures(
    generator: Generator, teacher: EnlargedPictures
) -> None:
    in_parts = EnlargedPictures(generator, Enlarger(4, 4, 1, 1), 4, latents, accumulation=2)
    whole, parts = teacher(3), in_parts(3)
    torch.testing.assert_close(parts.pictures, whole.pictures)
    assert parts.latents.keys() == whole.latents.keys()


def test_a_student_loses_its_grain(generator: Generator, teacher: EnlargedPictures) -> None:
    training = StudentTraining(generator, teacher, Plan(steps=60, start=7, mapping=False))
    while not training.is_finished:
        training.advance()
    after, before = training.measure()
    assert after < 0.8 * before
