"""Kao's networks: a style-modulated generator, and a residual discriminator without BatchNorm.

Every side b·2^k (b from 4 to 7) is possible; `width` is the number of channels at full
resolution, doubled at each halving up to eight times.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2
CAP = 8


def stages(resolution: int, width: int) -> tuple[int, list[int]]:
    """The base side, and the channels from the base up to full resolution."""
    base, doublings = resolution, 0
    while base % 2 == 0 and base > 7:
        base, doublings = base // 2, doublings + 1
    return base, [width * min(2**step, CAP) for step in range(doublings, -1, -1)]


class Mapping(nn.Module):
    """z (N, latent) → style w (N, style), after RMS normalisation (arXiv:1812.04948 §2)."""

    average: Tensor

    def __init__(self, latent: int, style: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent, style),
            nn.LeakyReLU(SLOPE),
            nn.Linear(style, style),
            nn.LeakyReLU(SLOPE),
        )
        self.register_buffer("average", torch.zeros(style))

    def forward(self, z: Tensor) -> Tensor:
        w: Tensor = self.layers(z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8))
        if self.training:
            # The centre that truncation pulls towards (arXiv:1812.04948 §2, decay 0.995).
            self.average.lerp_(w.detach().float().mean(0), 0.005)
        return w


class Block(nn.Module):
    """(N, in, S, S) → (N, out, 2S, 2S): resize, convolve, then scale and shift by w.

    Resizing before a 3×3 convolution leaves no checkerboard; normalising before the style's
    scale is self-modulation (arXiv:1810.01365).
    """

    def __init__(self, channels: int, out: int, style: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.normalise = nn.BatchNorm2d(out, affine=False)
        self.affine = nn.Linear(style, 2 * out)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.normalise(self.convolution(x))
        scale, shift = self.affine(w)[:, :, None, None].chunk(2, dim=1)
        return F.leaky_relu(x * (1 + scale) + shift, SLOPE)


class Synthesis(nn.Module):
    """w (N, L, style), one row a layer → images (N, 3, S, S) about [-1, 1], not clamped."""

    def __init__(self, resolution: int, style: int, width: int) -> None:
        super().__init__()
        self.base, channels = stages(resolution, width)
        self.start = nn.Linear(style, channels[0] * self.base**2)
        self.normalise = nn.BatchNorm2d(channels[0])
        self.blocks = nn.ModuleList(
            Block(before, after, style) for before, after in pairwise(channels)
        )
        self.paint = nn.Conv2d(channels[-1], 3, 3, padding=1)

    @property
    def layers(self) -> int:
        """How many rows of w are used: the start and each block."""
        return 1 + len(self.blocks)

    def forward(self, w: Tensor) -> Tensor:
        x = self.start(w[:, 0]).unflatten(1, (-1, self.base, self.base))
        x = F.leaky_relu(self.normalise(x), SLOPE)
        for layer, block in enumerate(self.blocks, start=1):
            x = block(x, w[:, layer])
        images: Tensor = self.paint(x)
        return images


class Generator(nn.Module):
    """z (N, latent) → images (N, 3, S, S)."""

    def __init__(self, resolution: int, latent: int, style: int, width: int) -> None:
        super().__init__()
        self.mapping = Mapping(latent, style) if style else None
        self.synthesis = Synthesis(resolution, style or latent, width)
        for module in self.modules():
            if isinstance(module, Block):
                # Near the plain network at first: the style's scale starts close to one.
                nn.init.normal_(module.affine.weight, std=0.1)
                nn.init.zeros_(module.affine.bias)

    def forward(self, z: Tensor) -> Tensor:
        w = self.mapping(z) if self.mapping is not None else z
        images: Tensor = self.synthesis(w[:, None].expand(-1, self.synthesis.layers, -1))
        return images


class Down(nn.Module):
    """(N, in, S, S) → (N, out, S/2, S/2), residual; averaging keeps odd sides out."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, out, 4, stride=2, padding=1)
        self.skip = nn.Conv2d(channels, out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(F.leaky_relu(x, SLOPE))
        y = self.second(F.leaky_relu(y, SLOPE))
        skip: Tensor = self.skip(F.avg_pool2d(x, 2))
        joined: Tensor = (y + skip) * 0.5**0.5
        return joined


class Discriminator(nn.Module):
    """Images (N, 3, S, S) → scores (N,), unbounded; a higher one looks more real."""

    def __init__(self, resolution: int, width: int) -> None:
        super().__init__()
        base, channels = stages(resolution, width)
        channels = channels[::-1]
        # Space to depth: full resolution costs most on a CPU and sees little.
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, channels[1], 3, padding=1))
        self.blocks = nn.Sequential(
            *(Down(before, after) for before, after in pairwise(channels[1:]))
        )
        self.last = nn.Conv2d(channels[-1] + 1, channels[-1], 3, padding=1)
        self.score = nn.Linear(channels[-1] * base**2, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.blocks(self.stem(images))
        x = torch.cat([x, spread(x)], dim=1)
        x = F.leaky_relu(self.last(F.leaky_relu(x, SLOPE)), SLOPE)
        scores: Tensor = self.score(x.flatten(1))
        return scores.flatten()


def spread(x: Tensor, group: int = 8) -> Tensor:
    """How much a group of images differs, as one more channel (arXiv:1710.10196 §3).

    x: (N, C, S, S). Returns (N, 1, S, S). Groups are of at most `group` that divide N, and
    strided, so that an image's mates are the same whatever the number of images beside them.
    """
    count = x.shape[0]
    size = next(size for size in range(min(group, count), 0, -1) if count % size == 0)
    grouped = x.float().unflatten(0, (size, count // size))
    deviation = (grouped.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    channel: Tensor = deviation.repeat(size)[:, None, None, None]
    return channel.expand(-1, 1, *x.shape[2:]).to(x.dtype)
