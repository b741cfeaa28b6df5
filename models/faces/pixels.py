"""Conversion between uint8 pixels and the range of the networks, [-1, 1].

onnx_export.py writes the same operations into graphs, where their order is part of the digest.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that importing this module does not load torch
    from torch import Tensor

HALF_RANGE = 127.5


def to_network(pixels: "Tensor") -> "Tensor":
    """Convert (N, H, W, C) uint8 to (N, C, H, W) float32 in [-1, 1]."""
    return pixels.permute(0, 3, 1, 2).float().div(HALF_RANGE).sub(1)


def to_pixels(images: "Tensor") -> "Tensor":
    """Convert (N, C, H, W) float to (N, H, W, C) uint8; values outside [-1, 1] are clipped."""
    return images.clamp(-1, 1).add(1).mul(HALF_RANGE).round().byte().permute(0, 2, 3, 1)
