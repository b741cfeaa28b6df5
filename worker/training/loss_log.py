"""The losses of the last steps, kept on the device until they are read together."""

from collections.abc import Mapping

import torch
from torch import Tensor

Losses = dict[str, float]

# Reading a number halts a GPU until all work before it is done; a CPU computes at once anyway.
GPU_STEPS = 50
MOST_LOSSES = 16


class LossLog:
    """A table of a row a step on the device. every: steps between two readings."""

    def __init__(self, device: torch.device, every: int | None = None) -> None:
        self.every = every or (GPU_STEPS if device.type == "cuda" else 1)
        self._rows = torch.zeros(self.every, MOST_LOSSES, device=device)
        self._names: list[list[str]] = []

    @property
    def is_full(self) -> bool:
        """Whether it must be read before the next step."""
        return len(self._names) == self.every

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add a step's losses, scalars on the device."""
        values = torch.stack(list(losses.values()))
        self._rows[len(self._names), : len(losses)].copy_(values)
        self._names.append(list(losses))

    def read(self) -> list[Losses]:
        """The losses of the steps since the last reading, the oldest first."""
        rows = self._rows[: len(self._names)].tolist()
        losses = [
            dict(zip(names, row[: len(names)], strict=True))
            for names, row in zip(self._names, rows, strict=True)
        ]
        self._names.clear()
        return losses
