"""Terms of a step's loss beside the adversarial ones of `models/recipes/adversarial_losses.py`."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def label_loss(logits: Tensor, labels: Tensor, sizes: Sequence[int]) -> Tensor:
    """Cross-entropy of the labels that the discriminator reads (AC-GAN, arXiv:1610.09585 §3).

    logits, labels: (N, values of all attributes) float32, the labels with one 1 an attribute;
    sizes: how many values each has. The mean of all attributes, in nats.
    """
    pairs = zip(logits.split(list(sizes), 1), labels.split(list(sizes), 1), strict=True)
    return torch.stack([cross_entropy(part, true) for part, true in pairs]).mean()


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """E[‖∇D(x)‖²], the squared norm summed over one image's pixels (arXiv:1801.04406 §4.1).

    R1 at real images, R2 at drawn ones. images: (N, 3, S, S) float32. Returns a scalar whose
    gradient reaches D's weights.
    """
    x = images.detach().requires_grad_()
    scores = discriminator(x)
    (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()
