"""The precision in which the networks compute: bf16 where the recipe and the device say so."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# What autocast computes in bf16 among the operations of Kao's networks.
_NARROW: set[Callable[..., Any]] = {F.conv2d, F.conv_transpose2d, F.linear, torch.matmul}


def autocast(device: torch.device, bf16: bool) -> AbstractContextManager[Any]:
    """Compute convolutions and linear layers in bf16, if `bf16`; weights and sums stay float32."""
    if device.type == "meta":
        return _NarrowOperations(bf16)
    # A graph replays its casts, so weights must be cast within it, not taken from a cache.
    return torch.autocast(
        device.type, torch.bfloat16, enabled=bf16, cache_enabled=device.type != "cuda"
    )


class _NarrowOperations(TorchFunctionMode):
    """Autocast for tensors without data, which PyTorch's does not cover (see `memory.py`)."""

    def __init__(self, enabled: bool) -> None:
        super().__init__()
        self.enabled = enabled

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if self.enabled and function in _NARROW:
            args = [each.to(torch.bfloat16) if isinstance(each, Tensor) else each for each in args]
        return function(*args, **(kwargs or {}))
