"""Differentiable changes to what the discriminator sees, real and drawn alike.

Colour, translation and cutout (DiffAugment, arXiv:2006.10738 §3.1), each image with
probability p; no quarter turns, since a face is upright.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

SHIFT = 1 / 8  # of the side, in each direction
HOLE = 1 / 2  # of the side


@dataclass(frozen=True)
class Changes:
    """What happens to each image of a batch; drawn once, so that a step can be repeated.

    Each is (N,) float32: brightness, saturation and contrast around 1 (brightness: 0), shifts in
    pixels, the hole's centre in pixels; `applied` (N, 3) bool: colour, translation, cutout.
    """

    brightness: Tensor
    saturation: Tensor
    contrast: Tensor
    shift: Tensor
    hole: Tensor
    applied: Tensor

    def rows(self, rows: slice, device: torch.device) -> "Changes":
        """Some images' changes, on a device."""
        return Changes(*(getattr(self, name)[rows].to(device) for name in self.__annotations__))

    def only_translated(self) -> "Changes":
        """The same without what recolours or cuts out: labels stay true."""
        keep = torch.tensor([False, True, False])
        return replace(self, applied=self.applied & keep)


def draw(count: int, side: int, probability: float, random: torch.Generator) -> Changes:
    """Changes for `count` images of `side` pixels."""
    reach = round(side * SHIFT)
    return Changes(
        brightness=torch.rand(count, generator=random) - 0.5,
        saturation=torch.rand(count, generator=random) * 2,
        contrast=torch.rand(count, generator=random) + 0.5,
        shift=torch.randint(-reach, reach + 1, (count, 2), generator=random),
        hole=torch.randint(0, side, (count, 2), generator=random),
        applied=torch.rand(count, 3, generator=random) < probability,
    )


def apply(images: Tensor, changes: Changes) -> Tensor:
    """images: (N, 3, S, S) float32. Returns the same shape; gradients pass through."""
    colour, moved, cut = changes.applied.unbind(1)
    images = torch.where(_wide(colour), _coloured(images, changes), images)
    shift = torch.where(moved[:, None], changes.shift, 0)
    images = _translated(images, shift)
    return images * torch.where(_wide(cut), _mask(images, changes.hole), 1.0)


def _coloured(x: Tensor, changes: Changes) -> Tensor:
    x = x + _wide(changes.brightness)
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * _wide(changes.saturation) + grey
    middle = x.mean((1, 2, 3), keepdim=True)
    return (x - middle) * _wide(changes.contrast) + middle


def _translated(x: Tensor, shift: Tensor) -> Tensor:
    """Move each image by its (rows, columns); what comes in is 0, the middle grey."""
    count, _, side, _ = x.shape
    place = torch.arange(side, device=x.device)
    rows, columns = (place[None] - shift[:, axis, None] for axis in (0, 1))
    inside = _within(rows, side)[:, None, :, None] & _within(columns, side)[:, None, None, :]
    batch = torch.arange(count, device=x.device)[:, None, None]
    rows, columns = rows.clamp(0, side - 1)[:, :, None], columns.clamp(0, side - 1)[:, None, :]
    # Advanced indexing puts the channels last.
    moved = x.permute(0, 2, 3, 1)[batch, rows, columns].permute(0, 3, 1, 2)
    return moved * inside


def _mask(x: Tensor, centre: Tensor) -> Tensor:
    """(N, 1, S, S): 0 within a square of half the side around the centre, else 1."""
    side = x.shape[2]
    place = torch.arange(side, device=x.device)
    near = [(place[None] - centre[:, axis, None]).abs() < side * HOLE / 2 for axis in (0, 1)]
    return (~(near[0][:, None, :, None] & near[1][:, None, None, :])).to(x.dtype)


def _within(place: Tensor, side: int) -> Tensor:
    return (place >= 0) & (place < side)


def _wide(values: Tensor) -> Tensor:
    return values[:, None, None, None]
