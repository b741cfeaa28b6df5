"""Differentiable augmentation of the discriminator's input, real and fake images alike.

Colour, translation and cutout (DiffAugment, arXiv:2006.10738 §3.1), each image with
probability p; no quarter turns, since a face is upright.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

SHIFT = 1 / 8  # of the side, in each direction
HOLE = 1 / 2  # of the side


@dataclass(frozen=True)
class Changes:
    """The changes of each image of a batch; sampled once, so that a step can be repeated.

    Each is (N,) float32: brightness, saturation and contrast around 1 (brightness: 0), shifts in
    pixels, the hole's centre in pixels; `is_applied` (N, 3) bool: colour, translation, cutout.
    """

    brightness: Tensor
    saturation: Tensor
    contrast: Tensor
    shift: Tensor
    hole: Tensor
    is_applied: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """The fields by name; `Changes(**tensors)` is the same again."""
        return {name: getattr(self, name) for name in self.__annotations__}

    def without_colour_and_cutout(self) -> "Changes":
        """These changes without colour and cutout, so that labels stay true."""
        keep = torch.tensor([False, True, False])
        return replace(self, is_applied=self.is_applied & keep)


def sample(count: int, side: int, probability: float, random: torch.Generator) -> Changes:
    """Sample the changes of `count` images of `side` pixels."""
    reach = round(side * SHIFT)
    return Changes(
        brightness=torch.rand(count, generator=random) - 0.5,
        saturation=torch.rand(count, generator=random) * 2,
        contrast=torch.rand(count, generator=random) + 0.5,
        shift=torch.randint(-reach, reach + 1, (count, 2), generator=random),
        hole=torch.randint(0, side, (count, 2), generator=random),
        is_applied=torch.rand(count, 3, generator=random) < probability,
    )


def apply(images: Tensor, changes: Changes) -> Tensor:
    """images: (N, 3, S, S) float32. Returns the same shape; gradients pass through."""
    has_colour, has_shift, has_hole = changes.is_applied.unbind(1)
    images = torch.where(_wide(has_colour), _adjust_colours(images, changes), images)
    shift = torch.where(has_shift[:, None], changes.shift, 0)
    images = _translate(images, shift)
    return images * torch.where(_wide(has_hole), _mask(images, changes.hole), 1.0)


def _adjust_colours(x: Tensor, changes: Changes) -> Tensor:
    x = x + _wide(changes.brightness)
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * _wide(changes.saturation) + grey
    middle = x.mean((1, 2, 3), keepdim=True)
    return (x - middle) * _wide(changes.contrast) + middle


def _translate(x: Tensor, shift: Tensor) -> Tensor:
    """Shift each image by its (rows, columns); what enters is 0, middle grey."""
    result: Tensor = _Translation.apply(x, shift)  # type: ignore[no-untyped-call]
    return result


class _Translation(torch.autograd.Function):
    """A translation, whose gradient is the opposite one.

    The gradient of the indexing itself would sort all indices on a GPU.
    """

    @staticmethod
    def forward(context: Any, x: Tensor, shift: Tensor) -> Tensor:
        context.save_for_backward(shift)
        return _gather(x, shift)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (shift,) = context.saved_tensors
        return _translate(gradients[0], -shift), None


def _gather(x: Tensor, shift: Tensor) -> Tensor:
    count, _, side, _ = x.shape
    place = torch.arange(side, device=x.device)
    rows, columns = (place[None] - shift[:, axis, None] for axis in (0, 1))
    inside = _within(rows, side)[:, None, :, None] & _within(columns, side)[:, None, None, :]
    batch = torch.arange(count, device=x.device)[:, None, None]
    rows, columns = rows.clamp(0, side - 1)[:, :, None], columns.clamp(0, side - 1)[:, None, :]
    # Advanced indexing puts the channels last.
    pixels = x.permute(0, 2, 3, 1)[batch, rows, columns].permute(0, 3, 1, 2)
    return pixels * inside


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
