"""The enlarger: a small network that draws a face larger than the generator's resolution.

It computes on a grid of half the picture's side, where a convolution costs a quarter and sees
twice as far; docs/experiments.md has what was measured against it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCALES = (2, 4)
FOLD = 2  # pixels along a side of one place of the grid
SLOPE = 0.1


class Enlarger(nn.Module):
    """(N, 3, S, S) → (N, 3, scale·S, scale·S), both about [-1, 1]; S even.

    A correction is added to the bilinear enlargement. The body is residual pairs of convolutions
    without normalisation (EDSR, arXiv:1707.02921); the head is a sub-pixel convolution
    (arXiv:1609.05158). A new network gives exactly the bilinear enlargement.
    """

    def __init__(self, scale: int, width: int, convolutions: int) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Conv2d(3, width, 3 * FOLD, FOLD, FOLD)
        self.body = nn.ModuleList(Pair(width) for _ in range(convolutions // 2))
        self.last = nn.Conv2d(width, 3 * (scale * FOLD) ** 2, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.first(x), SLOPE)
        for pair in self.body:
            h = pair(h)
        correction = F.pixel_shuffle(self.last(F.leaky_relu(h, SLOPE)), self.scale * FOLD)
        enlarged: Tensor = correction + F.interpolate(x, scale_factor=self.scale, mode="bilinear")
        return enlarged


class Pair(nn.Module):
    """Two convolutions, added to what they read: (N, width, H, W) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.second(F.leaky_relu(self.first(x), SLOPE))
        return y


def loss(enlarged: Tensor, real: Tensor) -> Tensor:
    """L1, and half an L1 of the horizontal and of the vertical differences, for crisp lines.

    enlarged, real: (N, 3, S, S) float32.
    """
    total = (enlarged - real).abs().mean()
    for axis in (2, 3):
        total = total + 0.5 * (enlarged.diff(dim=axis) - real.diff(dim=axis)).abs().mean()
    return total


def psnr(enlarged: Tensor, real: Tensor) -> float:
    """The mean over pictures of the peak signal-to-noise ratio, in dB.

    enlarged, real: (N, 3, S, S), in [-1, 1].
    """
    error = (enlarged.clamp(-1, 1) - real).square().mean((1, 2, 3)).clamp(min=1e-10)
    return float((10 * torch.log10(4 / error)).mean())
