"""Degrades clean small pictures as a generator degrades faces; the enlarger learns to correct it.

Without the displacement the enlarger only enlarges: at 256 px the shipped model then stands at
FD 110 instead of 70 (docs/experiments.md).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

DISPLACEMENT = 0.9  # pixels at most; to the power of 1.5, so mostly less
DISPLACED_SHARE = 0.75  # share of pictures
NEAREST = 0.4  # share of batches that are sampled to the nearest pixel, which frays edges
WHITE, SMOOTH = 0.6, 0.5  # amplitudes of the displacement: of single pixels, and of regions
REGION = 4  # pixels along a side of a region
GRAIN = 6 / 127.5  # standard deviation at most
BLUR = 0.4  # weight of the 3×3 mean at most
BLURRED_SHARE = 0.5  # share of pictures


def degrade(images: Tensor, random: torch.Generator) -> Tensor:
    """Displace pixels, blur a little, add grain; each picture by an amount of its own.

    images: (N, 3, H, W) float32 in [-1, 1], on the CPU like `random`; the same shape comes back.
    """
    images = _displace(images, random)
    local_mean = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    blur = _amounts(images, BLUR, BLURRED_SHARE, random)
    grain = torch.randn(images.shape, generator=random) * _amounts(images, GRAIN, 1.0, random)
    return images + blur * (local_mean - images) + grain


def _displace(images: Tensor, random: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    grid = torch.stack([x, y], -1).expand(count, -1, -1, -1)
    white = torch.randn(count, height, width, 2, generator=random)
    regions = torch.randn(count, 2, height // REGION, width // REGION, generator=random)
    smooth = F.interpolate(regions, size=(height, width), mode="bicubic").permute(0, 2, 3, 1)
    amplitude = _amounts(images, DISPLACEMENT, DISPLACED_SHARE, random, power=1.5)
    # grid_sample counts a side as 2.
    offset = (WHITE * white + SMOOTH * smooth) * amplitude * 2 / height
    mode = "nearest" if torch.rand((), generator=random) < NEAREST else "bilinear"
    return F.grid_sample(
        images, grid + offset, mode=mode, padding_mode="border", align_corners=True
    )


def _amounts(
    images: Tensor, most: float, share: float, random: torch.Generator, power: float = 1.0
) -> Tensor:
    """One amount a picture: up to `most` (then to `power`) in a `share` of them, else 0."""
    shape = (len(images), 1, 1, 1)
    amount = (torch.rand(shape, generator=random) * most).pow(power)
    return amount * (torch.rand(shape, generator=random) < share)
