"""Whether a GPU can be used here, and if not, the one thing to mend."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Seen:
    """What torch, the driver and the system say.

    built_for: the CUDA version of this torch, None for a CPU build; driver: whether libcuda can be
    loaded; device: whether /dev has an NVIDIA one; names: usable GPUs; error: CUDA's own words.
    """

    built_for: str | None
    driver: bool
    device: bool
    names: tuple[str, ...]
    error: str | None
    container: bool


def look() -> Seen:
    """Ask them."""
    error = None
    if torch.version.cuda is not None:
        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as failed:
            error = str(failed).partition("\n")[0]
    count = torch.cuda.device_count() if error is None and torch.cuda.is_available() else 0
    marks = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")
    return Seen(
        built_for=torch.version.cuda,
        driver=_loads("libcuda.so.1"),
        device=any(Path("/dev").glob("nvidia[0-9]*")),
        names=tuple(torch.cuda.get_device_name(number) for number in range(count)),
        error=error,
        container=any(Path(mark).exists() for mark in marks),
    )


def told(seen: Seen) -> tuple[bool, str]:
    """Whether all is as it should be, and a sentence that says what is or what to do."""
    if seen.names:
        return True, f"{', '.join(seen.names)}, CUDA {seen.built_for}"
    here = seen.driver or seen.device
    if seen.built_for is None:
        if not here:
            return True, "none: training and drawing use the CPU"
        return False, (
            "an NVIDIA driver is here, but this torch is its CPU build: "
            + ("build the image `worker`, not `worker-cpu`" if seen.container else _INSTALL)
        )
    if not here:
        return False, (
            f"this torch is built for CUDA {seen.built_for}, but no NVIDIA driver is to be seen: "
            + (_GIVE if seen.container else f"install the driver, or {_INSTALL}")
        )
    if not seen.driver:
        return False, f"the GPU's device is here, but not its driver's libcuda.so.1: {_GIVE}"
    if not seen.device:
        return False, f"the driver's libcuda.so.1 is here, but no GPU's device: {_GIVE}"
    return False, (
        f"the GPU cannot be used ({seen.error or 'CUDA says no more'}): this torch is for CUDA "
        f"{seen.built_for}; `nvidia-smi` says which the driver knows, and docs/operations.md how "
        "to build with another"
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
