"""Adam for the networks, on a GPU such that a CUDA graph can replay it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam


def adam(
    parameters: Iterable[nn.Parameter],
    rate: float,
    betas: tuple[float, float],
    device: torch.device,
) -> Adam:
    """Fused Adam; on a GPU the learning rate is a tensor, since a graph would keep a number."""
    parameters = list(parameters)
    if device.type != "cuda":
        return Adam(parameters, lr=rate, betas=betas, fused=True)
    lr = torch.tensor(rate, device=device)
    return Adam(parameters, lr=lr, betas=betas, fused=True, capturable=True)


def set_learning_rate(optimizer: Adam, rate: float) -> None:
    """Set the learning rate, in place where it is a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def state(optimizer: Adam) -> dict[str, Any]:
    """The optimiser's state, the same for all devices: the learning rate is a number."""
    state: dict[str, Any] = optimizer.state_dict()
    groups = [
        {**group, "lr": float(group["lr"]), "capturable": False} for group in state["param_groups"]
    ]
    return {**state, "param_groups": groups}


def load_state(optimizer: Adam, state: dict[str, Any]) -> None:
    """Load what `state` returned on any device; how it computes stays this device's.

    The betas stay this recipe's, which may be changed between two attempts.
    """
    own = [(group["lr"], group["capturable"], group["betas"]) for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, (rate, capturable, betas) in zip(optimizer.param_groups, own, strict=True):
        new_rate = float(group["lr"])
        group["lr"], group["capturable"], group["betas"] = rate, capturable, betas
        if not isinstance(rate, Tensor):
            group["lr"] = new_rate
    set_learning_rate(optimizer, new_rate)
