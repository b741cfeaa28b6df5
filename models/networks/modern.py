"""Kao's networks: a style-modulated generator, and a residual discriminator without BatchNorm.

Every side b·2^k (b from 4 to 7) is possible; `width` is the number of channels at full
resolution, doubled at each halving up to eight times.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.faces.attributes import Attribute

SLOPE = 0.2
CAP = 8
# Along one axis, where the taps k0, k1, k2 of a convolution fall when what it reads was doubled:
# on the four taps of one transposed convolution of stride 2. (Weights of version 0.1.0.)
_AXIS = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]], np.float32)
DOUBLING = torch.from_numpy(np.kron(_AXIS, _AXIS))  # (3·3, 4·4)


def stages(resolution: int, width: int) -> tuple[int, list[int]]:
    """The base side, and the channels from the base up to full resolution."""
    base, doublings = resolution, 0
    while base % 2 == 0 and base > 7:
        base, doublings = base // 2, doublings + 1
    return base, [width * min(2**step, CAP) for step in range(doublings, -1, -1)]


class Mapping(nn.Module):
    """z (N, latent + attributes) → style w (N, style), after RMS normalisation.

    (arXiv:1812.04948 §2.) Each of z's last numbers selects an attribute's value (attributes.py).
    """

    average: Tensor
    columns: Tensor
    above: Tensor
    up_to: Tensor
    parents: Tensor

    def __init__(self, latent: int, style: int, attributes: Sequence[Attribute] = ()) -> None:
        super().__init__()
        self.latent = latent
        pieces = [piece for attribute in attributes for piece in attribute.intervals()]
        self.selector_columns = [
            latent + place for place, attribute in enumerate(attributes) for _ in attribute.values
        ]
        # A buffer: an index from the host would halt a GPU at every step.
        columns = torch.tensor(self.selector_columns, dtype=torch.long)
        self.register_buffer("columns", columns, persistent=False)
        if pieces:
            above, up_to = zip(*pieces, strict=True)
            self.register_buffer("above", torch.tensor(above))
            self.register_buffer("up_to", torch.tensor(up_to))
        self.has_nested = any(attribute.parent for attribute in attributes)
        if self.has_nested:
            parents = torch.tensor(_parent_pieces(attributes), dtype=torch.long)
            self.register_buffer("parents", parents, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(latent + len(pieces), style),
            nn.LeakyReLU(SLOPE),
            nn.Linear(style, style),
            nn.LeakyReLU(SLOPE),
        )
        self.register_buffer("average", torch.zeros(style))
        self.register_load_state_dict_pre_hook(_pad_for_labels)  # type: ignore[no-untyped-call]

    def labels(self, z: Tensor) -> Tensor:
        """The attributes that z selects: (N, values of all) float32, one 1 an attribute."""
        choices = z[:, self.columns]
        selected = ((choices > self.above) & (choices <= self.up_to)).float()
        # Of a nested attribute each value of the parent has one candidate: its own remains.
        return selected * selected[:, self.parents] if self.has_nested else selected

    def forward(self, z: Tensor) -> Tensor:
        free = z[:, : self.latent]
        x = free * torch.rsqrt(free.square().mean(1, keepdim=True) + 1e-8)
        if self.selector_columns:
            x = torch.cat([x, self.labels(z)], dim=1)
        w: Tensor = self.layers(x)
        if self.training:
            # The centre that truncation pulls towards (arXiv:1812.04948 §2, decay 0.995).
            self.average.lerp_(w.detach().float().mean(0), 0.005)
        return w


def _parent_pieces(attributes: Sequence[Attribute]) -> list[int]:
    """For each value of all attributes the place of the value that it refines, or its own."""
    starts, count = {}, 0
    for attribute in attributes:
        starts[attribute.name] = count
        count += len(attribute.values)
    places = []
    for attribute in attributes:
        if attribute.parent:
            places += [starts[attribute.parent] + code for code in attribute.parent_codes]
        else:
            start = starts[attribute.name]
            places += range(start, start + len(attribute.values))
    return places


def _pad_for_labels(mapping: Mapping, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Load weights of fewer labels: zero columns, so that new ones have no effect at first."""
    name = f"{prefix}layers.0.weight"
    weight, columns = state.get(name), mapping.latent + len(mapping.selector_columns)
    if weight is not None and mapping.latent <= weight.shape[1] < columns:
        state[name] = F.pad(weight, (0, columns - weight.shape[1]))


class Block(nn.Module):
    """(N, in, S, S) → (N, out, 2S, 2S): enlarge, then scale and shift by w.

    A transposed convolution whose kernel of 4 is a multiple of its stride of 2 overlaps evenly,
    so it leaves no checkerboard; it learns faster than resizing and convolving, with 4
    multiplications where that has 9 (docs/experiments.md). Normalising before the style's scale
    is self-modulation (arXiv:1810.01365).
    """

    def __init__(self, channels: int, out: int, style: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1, bias=False)
        self.normalise = nn.BatchNorm2d(out, affine=False)
        self.affine = nn.Linear(style, 2 * out)
        self.register_load_state_dict_pre_hook(_enlarge_kernels)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = self._convolve(x)
        scale, shift = self.affine(w)[:, :, None, None].chunk(2, dim=1)
        return F.leaky_relu(x * (1 + scale) + shift, SLOPE)

    def _convolve(self, x: Tensor) -> Tensor:
        features: Tensor = self.normalise(self.convolution(x))
        return features


class Residual(nn.Module):
    """(N, C, S, S) → the same shape: a modulated 3×3 convolution, added to its input.

    It refines what the transposed convolution before it placed. Its gain starts at 0
    (arXiv:2003.04887), so that weights trained without it draw the same images.
    """

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.affine = nn.Linear(style, 2 * channels)
        self.gain = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        y = self._convolve(x)
        scale, shift = self.affine(w)[:, :, None, None].chunk(2, dim=1)
        return x + self.gain[:, None, None] * F.leaky_relu(y * (1 + scale) + shift, SLOPE)

    def _convolve(self, x: Tensor) -> Tensor:
        features: Tensor = self.normalise(self.convolution(x))
        return features


def _enlarge_kernels(block: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Read the weights of version 0.1.0, which doubled each pixel and then convolved by 3×3."""
    name = f"{prefix}convolution.weight"
    kernel = state.get(name)
    if kernel is not None and kernel.shape[2:] == (3, 3):
        wide = (kernel.flatten(2) @ DOUBLING.to(kernel)).unflatten(2, (4, 4))
        state[name] = wide.transpose(0, 1).contiguous()


Offsets = tuple[tuple[int, int], ...]  # in pixels, each as (down, right)


def side_offsets(reach: int) -> Offsets:
    """Above, below and to both sides, `reach` pixels away."""
    return (-reach, 0), (reach, 0), (0, -reach), (0, reach)


def corner_offsets(reach: int) -> Offsets:
    """At the four corners, `reach` pixels away along both axes."""
    return (-reach, -reach), (reach, reach), (reach, -reach), (-reach, reach)


class Flatten(nn.Module):
    """Images (N, 3, S, S) → the same, without differences fainter than `levels` of 255.

    Drawn art is flat between its lines. A convolution leaves a grain of one or two levels there,
    invisible to people but not to a discriminator; the generator then learns nothing else from it
    (docs/experiments.md). An edge-avoiding à-trous filter (Dammertz et al., HPG 2010): each pass
    averages a pixel with the four of PASSES around it, each the less the more it differs.
    """

    PASSES = (
        side_offsets(1),
        corner_offsets(2),
        side_offsets(8),
        corner_offsets(4),
        side_offsets(2),
        side_offsets(1),
    )

    def __init__(self, levels: float) -> None:
        super().__init__()
        self.scale = (127.5 / levels) ** 2 / 3 if levels else 0.0

    def forward(self, x: Tensor) -> Tensor:
        if not self.scale:
            return x
        # Three channels last would fill a vector register badly: a third slower.
        x = x.float().contiguous()
        for offsets in self.PASSES:
            x = self._average(x, offsets)
        return x

    def _average(self, x: Tensor, offsets: Offsets) -> Tensor:
        side, reach = x.shape[-1], max(down for down, _ in offsets)
        wide = F.pad(x, (reach,) * 4, mode="replicate")
        shift, total = torch.zeros_like(x), torch.ones_like(x[:, :1])
        for down, right in offsets:
            top, left = reach + down, reach + right
            difference = wide[:, :, top : top + side, left : left + side] - x
            weight = F.relu(1 - self.scale * difference.square().sum(1, keepdim=True)).square()
            shift, total = shift + weight * difference, total + weight
        return x + shift / total


class Synthesis(nn.Module):
    """w (N, L, style), one row a layer → images (N, 3, S, S) about [-1, 1], not clamped."""

    def __init__(
        self, resolution: int, style: int, width: int, flatten: float = 0.0, residuals: int = 0
    ) -> None:
        super().__init__()
        self.base, channels = stages(resolution, width)
        self.start = nn.Linear(style, channels[0] * self.base**2)
        self.normalise = nn.BatchNorm2d(channels[0])
        self.blocks = nn.ModuleList(
            Block(before, after, style) for before, after in pairwise(channels)
        )
        # By the block that each follows, so that a name says where it is.
        self.residuals = nn.ModuleDict(
            {
                str(layer): Residual(channels[layer], style)
                for layer in range(max(1, len(channels) - residuals), len(channels))
            }
        )
        self.paint = nn.Conv2d(channels[-1], 3, 3, padding=1)
        self.flatten = Flatten(flatten)

    @property
    def layers(self) -> int:
        """How many rows of w are used: the start and each block."""
        return 1 + len(self.blocks)

    def forward(self, w: Tensor) -> Tensor:
        x = self.start(w[:, 0]).unflatten(1, (-1, self.base, self.base))
        x = F.leaky_relu(self.normalise(x), SLOPE)
        for layer, block in enumerate(self.blocks, start=1):
            x = block(x, w[:, layer])
            if str(layer) in self.residuals:
                x = self.residuals[str(layer)](x, w[:, layer])
        images: Tensor = self.flatten(self._to_rgb(x))
        return images

    def _to_rgb(self, x: Tensor) -> Tensor:
        colours: Tensor = self.paint(x)
        return colours


class Generator(nn.Module):
    """z (N, latent + attributes) → images (N, 3, S, S)."""

    def __init__(
        self,
        resolution: int,
        latent: int,
        style: int,
        width: int,
        attributes: Sequence[Attribute] = (),
        flatten: float = 0.0,
        residuals: int = 0,
    ) -> None:
        super().__init__()
        self.mapping = Mapping(latent, style, attributes) if style else None
        self.synthesis = Synthesis(resolution, style or latent, width, flatten, residuals)
        for module in self.modules():
            if isinstance(module, Block | Residual):
                # Near the plain network at first: the style's scale starts close to one.
                nn.init.normal_(module.affine.weight, std=0.1)
                nn.init.zeros_(module.affine.bias)

    def forward(self, z: Tensor, other: Tensor | None = None, cut: Tensor | None = None) -> Tensor:
        """With `other` (N, latent), layers from `cut` (N,) on take its style (mixing)."""
        images: Tensor = self.synthesis(self.styles(z, other, cut))
        return images

    def styles(self, z: Tensor, other: Tensor | None = None, cut: Tensor | None = None) -> Tensor:
        """The style of each layer, (N, layers, style), that `forward` draws."""
        layers = self.synthesis.layers
        w = self._style(z)[:, None].expand(-1, layers, -1)
        if other is not None and cut is not None:
            coarse = torch.arange(layers, device=z.device) < cut[:, None]
            w = torch.where(coarse[:, :, None], w, self._style(other)[:, None])
        return w

    def _style(self, z: Tensor) -> Tensor:
        style: Tensor = self.mapping(z) if self.mapping is not None else z
        return style


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
        result: Tensor = (y + skip) * 0.5**0.5
        return result


class Discriminator(nn.Module):
    """Images (N, 3, S, S) → scores (N,), unbounded; a higher one looks more real.

    With labels (N, labels) it judges whether the image shows them (projection,
    arXiv:1802.05637 §3); with `has_classifier` it also predicts which labels it sees
    (arXiv:1610.09585 §3).
    """

    def __init__(
        self, resolution: int, width: int, labels: int = 0, has_classifier: bool = False
    ) -> None:
        super().__init__()
        base, channels = stages(resolution, width)
        channels = channels[::-1]
        # Space to depth: full resolution costs most on a CPU and sees little.
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, channels[1], 3, padding=1))
        self.blocks = nn.Sequential(
            *(Down(before, after) for before, after in pairwise(channels[1:]))
        )
        self.last = nn.Conv2d(channels[-1] + 1, channels[-1], 3, padding=1)
        features = channels[-1] * base**2
        self.score = nn.Linear(features, 1)
        self.expected = nn.Linear(labels, features, bias=False) if labels else None
        self.named = nn.Linear(features, labels) if has_classifier else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.read(images, labels)[0]

    def read(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Scores (N,), and logits (N, labels) of the labels, where it has a classifier."""
        x = self.blocks(self.stem(images))
        x = torch.cat([x, self._spread(x)], dim=1)
        x = F.leaky_relu(self.last(F.leaky_relu(x, SLOPE)), SLOPE)
        x = x.flatten(1)
        scores: Tensor = self.score(x).flatten()
        if self.expected is not None and labels is not None:
            scores = scores + (self.expected(labels) * x).sum(1) / x.shape[1] ** 0.5
        return scores, None if self.named is None else self.named(x)

    def _spread(self, x: Tensor) -> Tensor:
        return spread(x)


def spread(x: Tensor, group: int = 8) -> Tensor:
    """How much a group of images differs, as one more channel (arXiv:1710.10196 §3).

    x: (N, C, S, S). Returns (N, 1, S, S). Groups are of at most `group` that divide N, and
    strided, so that an image's group does not depend on the number of processes.
    """
    count = x.shape[0]
    size = next(size for size in range(min(group, count), 0, -1) if count % size == 0)
    groups = x.float().unflatten(0, (size, count // size))
    # Tensor.var over the first dimension is three times as slow on a CPU.
    variance = (groups - groups.mean(0)).square().mean(0)
    deviation = (variance + 1e-8).sqrt().mean((1, 2, 3))
    channel: Tensor = deviation.repeat(size)[:, None, None, None]
    return channel.expand(-1, 1, *x.shape[2:]).to(x.dtype)
