"""The device that a process computes on, and whether it computes in bf16."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from models.recipes.recipe import Recipe


def own() -> torch.device:
    """The device of this process: on a host with several GPUs each process has its own."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    # The shapes of a training never change: cuDNN tries its algorithms once and keeps the fastest.
    torch.backends.cudnn.benchmark = True
    return device


def name(device: torch.device) -> str:
    """The device as a card shows it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} {'thread' if threads == 1 else 'threads'}"


def uses_bf16(recipe: Recipe, device: torch.device) -> bool:
    """Whether the networks compute in bf16 on this device, as the recipe says."""
    return has_bf16(device) if recipe.precision == "auto" else recipe.precision == "bf16"


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 by itself."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


@contextmanager
def exact_float32() -> Iterator[None]:
    """Within the context cuDNN computes in float32, not in TF32, which has ten bits of it."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def transfer(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; a GPU is not waited for."""
    if device.type != "cuda":
        return tensor.to(device)
    # The allocator of pinned memory reuses it only once the copy is done.
    return tensor.pin_memory().to(device, non_blocking=True)
