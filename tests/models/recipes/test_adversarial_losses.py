"""The losses are those of their papers, written out with NumPy."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.recipes.adversarial_losses import LOSSES, LossName

Doubles = NDArray[np.float64]
Formula = Callable[[Doubles, Doubles], float]

REAL, FAKE = np.array([0.9, 0.4, 0.6]), np.array([0.2, 0.7, 0.5])


def softplus(x: Doubles) -> Doubles:
    result: Doubles = np.log1p(np.exp(x))
    return result


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        pytest.param(
            "bce",
            lambda real, fake: -np.log(real).mean() - np.log(1 - fake).mean(),
            lambda real, fake: -np.log(fake).mean(),
            id="bce",
        ),
        pytest.param(
            "logistic",
            lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
            lambda real, fake: softplus(-fake).mean(),
            id="logistic",
        ),
        pytest.param(
            "relativistic",
            lambda real, fake: softplus(-(real - fake)).mean(),
            lambda real, fake: softplus(real - fake).mean(),
            id="relativistic",
        ),
    ],
)
def test_a_loss_is_its_papers_formula(
    name: LossName, discriminator: Formula, generator: Formula
) -> None:
    loss = LOSSES[name]
    scores = torch.from_numpy(REAL), torch.from_numpy(FAKE)
    for function, formula in ((loss.discriminator, discriminator), (loss.generator, generator)):
        assert function(*scores, functional).item() == pytest.approx(formula(REAL, FAKE))


def test_relativistic_losses_mirror_each_other() -> None:
    loss, real, fake = LOSSES["relativistic"], torch.randn(8), torch.randn(8)
    assert torch.equal(
        loss.discriminator(real, fake, functional), loss.generator(fake, real, functional)
    )


@pytest.mark.parametrize("name", list(LOSSES))
def test_both_losses_have_a_gradient_at_the_fake_scores(name: LossName) -> None:
    for function in LOSSES[name][:2]:
        fake = torch.from_numpy(FAKE).requires_grad_()
        function(torch.from_numpy(REAL), fake, functional).backward()
        assert fake.grad is not None
        assert fake.grad.abs().min() > 0
