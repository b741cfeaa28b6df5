"""Checks whether a GPU can be used here, and says what to correct if not."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class GpuStatus:
    """What torch, the driver and the system report.

    built_for: the CUDA version of this torch, None for a CPU build; driver: whether libcuda can be
    loaded; device: whether /dev has an NVIDIA one; names: usable GPUs; error: CUDA's own message.
    """

    built_for: str | None
    driver: bool
    device: bool
    names: tuple[str, ...]
    error: str | None
    container: bool


def probe() -> GpuStatus:
    """Query torch, the driver and the system."""
    error = None
    if torch.version.cuda is not None:
        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as failure:
            error = str(failure).partition("\n")[0]
    count = torch.cuda.device_count() if error is None and torch.cuda.is_available() else 0
    marks = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")
    return GpuStatus(
        built_for=torch.version.cuda,
        driver=_loads("libcuda.so.1"),
        device=any(Path("/dev").glob("nvidia[0-9]*")),
        names=tuple(torch.cuda.get_device_name(number) for number in range(count)),
        error=error,
        container=any(Path(mark).exists() for mark in marks),
    )


def explain(status: GpuStatus) -> tuple[bool, str]:
    """Whether the setup is right, and a sentence that describes it or says what to do."""
    if status.names:
        return True, f"{', '.join(status.names)}, CUDA {status.built_for}"
    has_gpu = status.driver or status.device
    if status.built_for is None:
        if not has_gpu:
            return True, "none: training and drawing use the CPU"
        return False, (
            "an NVIDIA driver is here, but this torch is its CPU build: "
            + ("build the image `worker`, not `worker-cpu`" if status.container else _INSTALL)
        )
    if not has_gpu:
        return False, (
            f"this torch is built for CUDA {status.built_for}, but there is no NVIDIA driver: "
            + (_GIVE if status.container else f"install the driver, or {_INSTALL}")
        )
    if not status.driver:
        return False, f"the GPU's device is here, but not its driver's libcuda.so.1: {_GIVE}"
    if not status.device:
        return False, f"the driver's libcuda.so.1 is here, but no GPU's device: {_GIVE}"
    return False, (
        f"the GPU cannot be used ({status.error or 'CUDA gives no reason'}): this torch is for "
        f"CUDA {status.built_for}; `nvidia-smi` says which the driver supports, and "
        "docs/operations.md how to build with another"
    )


_INSTALL = "run `make clean install`, which takes the build that fits"
_GIVE = (
    "give the container the GPU: install the NVIDIA container toolkit on its host, and start it by "
    "`docker compose up` (or `--gpus all`); without a GPU add docker-compose.cpu.yml"
)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
