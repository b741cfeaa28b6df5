"""Several processes train as one: each takes its share of every batch, gradients are averaged.

`torchrun` starts them. Tensors on the CPU go through gloo, those on a GPU through NCCL. The global
batch is the recipe's, whatever the number of processes.
"""

import atexit
import os
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from models.errors import KaoError

LEAST_ROWS = 2  # of a micro-batch: the spread of one row is no number
MOMENTUM = 0.1  # nn.BatchNorm2d's default
# The other processes wait in a broadcast while the first packs a set, measures, publishes or
# searches sliders; gloo's default of 30 minutes would abort them.
LONGEST_WAIT = timedelta(hours=12)


@dataclass(frozen=True)
class Share:
    """One process among `world`; alone by default."""

    rank: int = 0
    world: int = 1

    @property
    def rows(self) -> slice:
        """Which rows of a global batch are this process's.

        Every world-th one, so that the discriminator's strided groups (`modern.spread`) stay
        whole within a process.
        """
        return slice(self.rank, None, self.world)


def join(device: torch.device) -> Share:
    """Join the process group that torchrun started (RANK, WORLD_SIZE, MASTER_ADDR)."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Share()
    # The defaults of its functions are the group at the time of the import. Imported later, as
    # optimizers do, it would hold the group and its threads after `destroy_process_group`.
    import_module("torch.distributed.nn.functional")
    # Orders and states are on the CPU: through NCCL, each would wait until the GPU has done all
    # work before it, and a process that ended would be waited for.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=LONGEST_WAIT)
    # Its threads must end before the interpreter, else the process may abort (std::terminate).
    atexit.register(dist.destroy_process_group)
    return Share(dist.get_rank(), dist.get_world_size())


def check(batch: int, share: Share, accumulation: int = 1) -> None:
    """Check that a batch divides evenly among processes and micro-batches. Raises KaoError."""
    parts = share.world * accumulation
    if batch % parts or batch < LEAST_ROWS * parts:
        each = f" in {accumulation} parts each" if accumulation > 1 else ""
        raise KaoError(
            f"A batch of {batch} cannot be shared by {share.world} processes{each}; "
            f"choose `batch` as a multiple of {parts}, and at least {LEAST_ROWS * parts}."
        )


def average_gradients(network: nn.Module, share: Share) -> None:
    """Give every process the mean of all processes' gradients."""
    if share.world == 1:
        return
    gradients = [each.grad for each in network.parameters() if each.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= share.world
    for gradient, part in zip(
        gradients, flat.split([each.numel() for each in gradients]), strict=True
    ):
        gradient.copy_(part.view(gradient.shape))


def average_buffer(buffer: Tensor, share: Share) -> None:
    """Give every process the mean of all processes' buffers, in place."""
    if share.world > 1:
        dist.all_reduce(buffer)
        buffer /= share.world


def agree(values: list[float], share: Share) -> list[float]:
    """Return rank 0's values in every process: clocks and signals differ between processes."""
    if share.world == 1:
        return values
    shared = torch.tensor(values, dtype=torch.float64)
    dist.broadcast(shared, src=0)
    return [float(value) for value in shared.tolist()]


def use_global_batch_norm(network: nn.Module, share: Share) -> nn.Module:
    """Make BatchNorm use the global batch. (SyncBatchNorm does not support CPUs.)"""
    if share.world > 1:
        for module in network.modules():
            if type(module) is nn.BatchNorm2d:
                # Only `forward` differs: parameters and buffers are the same.
                module.__class__ = _GlobalBatchNorm
    return network


class _GlobalBatchNorm(nn.BatchNorm2d):
    num_batches_tracked: Tensor
    running_mean: Tensor
    running_var: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.float()
        count = wide.numel() / wide.shape[1] * dist.get_world_size()
        mean = _sum(wide.sum((0, 2, 3))) / count
        deviations = wide - mean[:, None, None]
        variance = _sum(deviations.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, MOMENTUM)
            self.running_var.lerp_(variance * count / (count - 1), MOMENTUM)
        y = deviations * torch.rsqrt(variance + self.eps)[:, None, None]
        if self.affine:
            y = y * self.weight[:, None, None] + self.bias[:, None, None]
        return y.to(x.dtype)


class _AllReduce(torch.autograd.Function):
    """The sum over processes. Each one's input reaches every output, so gradients add up too."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        return _sum(gradients[0])


def _sum(x: Tensor) -> Tensor:
    total: Tensor = _AllReduce.apply(x)  # type: ignore[no-untyped-call]
    return total
