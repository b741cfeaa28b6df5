"""Recognises a full disk, and explains exhausted memory: a user can make room for both."""

import errno

import torch

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
# The messages of torch, safetensors and protobuf, which drop the error's number.
FULL = ("no space left on device", "os error 28", "disk quota exceeded", "os error 122")
# PyTorch's allocator of host memory raises a plain RuntimeError (c10/core/CPUAllocator.cpp).
HOST_MEMORY = ("defaultcpuallocator", "not enough memory", "can't allocate memory")
# CUDA and its libraries beside PyTorch's allocator, which raise plain RuntimeErrors.
GPU_MEMORY = (
    "cuda error: out of memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cudnn_status_internal_error_device_allocation_failed",
)
FULL_DISK = (
    "The disk is full: the snapshot or model could not be written. What was there before "
    "is whole. Make room (`kao gc --yes` removes what nothing needs), then resume the run."
)


def is_full_disk(error: BaseException) -> bool:
    """Whether a disk or a quota is full."""
    number = error.errno if isinstance(error, OSError) else None
    return number in NO_ROOM or any(words in str(error).lower() for words in FULL)


def explain(error: BaseException) -> str | None:
    """What to do about exhausted memory; None for any other error."""
    text = str(error).lower()
    if isinstance(error, torch.OutOfMemoryError) or any(words in text for words in GPU_MEMORY):
        return _smaller("GPU")
    if isinstance(error, MemoryError) or any(word in text for word in HOST_MEMORY):
        return _smaller("machine")
    return None


def _smaller(device: str) -> str:
    return (
        f"The {device} has too little memory for this recipe: lower `batch`, `width`, "
        "`discriminator_width` or `resolution`, or raise `accumulation`."
    )
