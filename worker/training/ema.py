"""The averaged generator: what is sampled and published."""

import copy

import torch
from torch import nn


def average_of(generator: nn.Module) -> nn.Module:
    """A copy that no optimiser touches, in eval mode."""
    return copy.deepcopy(generator).eval().requires_grad_(False)


@torch.no_grad()
def update(average: nn.Module, generator: nn.Module, decay: float) -> None:
    """average ← decay·average + (1 - decay)·generator (arXiv:1806.04498), in place.

    BatchNorm's running statistics are averaged too: those of the last step do not belong to
    averaged weights. Counters are copied.
    """
    pairs = list(zip(average.state_dict().values(), generator.state_dict().values(), strict=True))
    averages = [mine for mine, _ in pairs if mine.is_floating_point()]
    sources = [theirs for _, theirs in pairs if theirs.is_floating_point()]
    # A few operations on a GPU, not one for each tensor.
    torch._foreach_lerp_(averages, sources, 1 - decay)
    for mine, theirs in pairs:
        if not mine.is_floating_point():
            mine.copy_(theirs)
