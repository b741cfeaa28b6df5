"""Networks in the form in which ONNX Runtime computes them fastest, equal to rounding."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.networks import modern

# A transposed convolution reads its kernel backwards.
BACKWARDS = torch.from_numpy(np.eye(9, dtype=np.float32)[::-1].copy())
NO_SPREAD = 1e-4  # the deviation of a group of equal images


class ServingBlock(modern.Block):
    """BatchNorm within the kernel.

    What is computed from weights alone, ONNX Runtime folds when it loads the graph.
    """

    def _convolve(self, x: Tensor) -> Tensor:
        mean, gain = _statistics(self.normalise)
        kernel = self.convolution.weight * gain[:, None, None]
        return F.conv_transpose2d(x, kernel, -mean * gain, stride=2, padding=1)


class ServingResidual(modern.Residual):
    """BatchNorm within the kernel."""

    def _convolve(self, x: Tensor) -> Tensor:
        mean, gain = _statistics(self.normalise)
        kernel = self.convolution.weight * gain[:, None, None, None]
        return F.conv2d(x, kernel, -mean * gain, padding=1)


class ServingSynthesis(modern.Synthesis):
    """The last convolution transposed: ONNX Runtime multiplies 27 rows instead of 3."""

    def _to_rgb(self, x: Tensor) -> Tensor:
        kernel = (self.paint.weight.flatten(2) @ BACKWARDS).unflatten(2, (3, 3)).transpose(0, 1)
        return F.conv_transpose2d(x, kernel, self.paint.bias, padding=1)


class ServingDiscriminator(modern.Discriminator):
    """A critic, which judges each face alone: no spread among a batch."""

    def _spread(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :1]) + NO_SPREAD


SERVING_CLASSES: dict[type[nn.Module], type[nn.Module]] = {
    modern.Block: ServingBlock,
    modern.Residual: ServingResidual,
    modern.Synthesis: ServingSynthesis,
    modern.Discriminator: ServingDiscriminator,
}


@contextmanager
def serving_form(network: nn.Module) -> Iterator[None]:
    """Within the context, the network and its parts compute in the form for serving."""
    classes = [(each, type(each)) for each in network.modules() if type(each) in SERVING_CLASSES]
    for module, original in classes:
        # Only `forward` differs: parameters and buffers are the same.
        module.__class__ = SERVING_CLASSES[original]
    try:
        yield
    finally:
        for module, original in classes:
            module.__class__ = original


def _statistics(normalise: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """BatchNorm's running mean, and the inverse of its standard deviation: (C,) each."""
    mean, variance = normalise.running_mean, normalise.running_var
    assert mean is not None
    assert variance is not None
    return mean, torch.rsqrt(variance + normalise.eps)
