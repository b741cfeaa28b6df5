"""What the two networks minimise; nothing here knows devices, ranks or logging."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, cross_entropy, softplus


def bce_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))]: labels 1 and 0 (arXiv:1406.2661 §3).

    real, fake: (N,) float32 probabilities.
    """
    return binary_cross_entropy(real, torch.ones_like(real)) + binary_cross_entropy(
        fake, torch.zeros_like(fake)
    )


def bce_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log D(G(z))] (arXiv:1406.2661 §3, the non-saturating form). `real` plays no part."""
    return binary_cross_entropy(fake, torch.ones_like(fake))


def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """The same as `bce_discriminator` for unbounded scores: E[softplus(-D(x)) + softplus(D(G))]."""
    return softplus(-real).mean() + softplus(fake).mean()


def logistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(-D(G(z)))]. `real` plays no part."""
    return softplus(-fake).mean()


def label_loss(logits: Tensor, labels: Tensor, sizes: Sequence[int]) -> Tensor:
    """Cross-entropy of what the discriminator sees (AC-GAN, arXiv:1610.09585 §3).

    logits, labels: (N, values of all attributes) float32, the labels with one 1 an attribute;
    sizes: how many values each has. The mean of all attributes, in nats.
    """
    pairs = zip(logits.split(list(sizes), 1), labels.split(list(sizes), 1), strict=True)
    return torch.stack([cross_entropy(part, true) for part, true in pairs]).mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(-t)], t = D(x) - D(G(z)) (RpGAN, arXiv:2501.05441 §2).

    real, fake: (N,) float32 scores.
    """
    return softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E[softplus(t)], t = D(x) - D(G(z)) (RpGAN, arXiv:2501.05441 §2)."""
    return softplus(real - fake).mean()


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """E[‖∇D(x)‖²], the squared norm summed over one image's pixels (arXiv:1801.04406 §4.1).

    R1 at real images, R2 at drawn ones. images: (N, 3, S, S) float32. Returns a scalar whose
    gradient reaches D's weights.
    """
    x = images.detach().requires_grad_()
    scores = discriminator(x)
    (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


class Loss(NamedTuple):
    """A pair of losses, and when the discriminator has won.

    discriminator, generator: of real and generated scores, (N,) float32, to a scalar.
    is_won: of both losses, averaged: whether the generator learns little from now on.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    is_won: Callable[[float, float], bool]


def _is_small(discriminator: float, _generator: float) -> bool:
    """Far under 2 ln 2, the loss at a draw; the tutorial's discriminator ran at 0.01 to 0.1."""
    return discriminator < 0.15


def _is_wide(_discriminator: float, generator: float) -> bool:
    """The relativistic loss still teaches at a small discriminator's loss.

    A healthy run on two cores stands at 0.04 to 0.15 and a mean gap between real and generated
    scores of 3 to 5 (docs/experiments.md); its generator's loss is that gap.
    """
    return generator > 10.0


# The names are those of the recipe's field `loss`; tests/guards/test_tables.py compares them.
LOSSES = {
    "bce": Loss(bce_discriminator, bce_generator, _is_small),
    "logistic": Loss(logistic_discriminator, logistic_generator, _is_small),
    "relativistic": Loss(relativistic_discriminator, relativistic_generator, _is_wide),
}
