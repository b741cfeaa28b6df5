"""The losses that a recipe may choose: what the two networks minimise.

The app reads their names for the recipe's schema and must not import torch, so each function gets
`torch.nn.functional` as its last argument. real, fake: (N,) float32 scores of real and of generated
images; each returns a scalar.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor

LossName = Literal["bce", "logistic", "relativistic"]


class Functional(Protocol):
    """What a loss may use of `torch.nn.functional`."""

    def softplus(self, input: "Tensor", /) -> "Tensor": ...
    def binary_cross_entropy(self, input: "Tensor", target: "Tensor", /) -> "Tensor": ...


LossFunction = Callable[["Tensor", "Tensor", Functional], "Tensor"]


def bce_discriminator(real: "Tensor", fake: "Tensor", F: Functional) -> "Tensor":
    """-E[log D(x)] - E[log(1 - D(G(z)))]: labels 1 and 0 (arXiv:1406.2661 §3).

    real, fake: probabilities.
    """
    ones, zeros = real.new_ones(real.shape), fake.new_zeros(fake.shape)
    return F.binary_cross_entropy(real, ones) + F.binary_cross_entropy(fake, zeros)


def bce_generator(_real: "Tensor", fake: "Tensor", F: Functional) -> "Tensor":
    """-E[log D(G(z))] (arXiv:1406.2661 §3, the non-saturating form)."""
    return F.binary_cross_entropy(fake, fake.new_ones(fake.shape))


def logistic_discriminator(real: "Tensor", fake: "Tensor", F: Functional) -> "Tensor":
    """The same as `bce_discriminator` for unbounded scores: E[softplus(-D(x)) + softplus(D(G))]."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def logistic_generator(_real: "Tensor", fake: "Tensor", F: Functional) -> "Tensor":
    """E[softplus(-D(G(z)))]."""
    return F.softplus(-fake).mean()


def relativistic_discriminator(real: "Tensor", fake: "Tensor", F: Functional) -> "Tensor":
    """E[softplus(-t)], t = D(x) - D(G(z)) (RpGAN, arXiv:2501.05441 §2)."""
    return F.softplus(fake - real).mean()


def relativistic_generator(real: "Tensor", fake: "Tensor", F: Functional) -> "Tensor":
    """E[softplus(t)], t = D(x) - D(G(z)) (RpGAN, arXiv:2501.05441 §2)."""
    return F.softplus(real - fake).mean()


class Loss(NamedTuple):
    """A pair of losses, and when the discriminator has won.

    is_won: of both losses, averaged: whether the generator learns little from now on.
    """

    discriminator: LossFunction
    generator: LossFunction
    is_won: Callable[[float, float], bool]


def _is_small(discriminator: float, _generator: float) -> bool:
    """Far under 2 ln 2, the loss at a draw; the tutorial's discriminator ran at 0.01 to 0.1."""
    return discriminator < 0.15


def _is_wide(_discriminator: float, generator: float) -> bool:
    """With the relativistic loss the generator still learns at a small loss of the discriminator.

    A healthy run on two cores stands at 0.04 to 0.15 and a mean gap between real and generated
    scores of 3 to 5 (docs/experiments.md); its generator's loss is that gap.
    """
    return generator > 10.0


LOSSES: dict[LossName, Loss] = {
    "bce": Loss(bce_discriminator, bce_generator, _is_small),
    "logistic": Loss(logistic_discriminator, logistic_generator, _is_small),
    "relativistic": Loss(relativistic_discriminator, relativistic_generator, _is_wide),
}
