"""A wrong GPU setup is distinguished from a right one, and explained in a sentence."""

from dataclasses import replace

import pytest
import torch

from worker.hardware import gpu_check
from worker.hardware.gpu_check import GpuStatus

RIGHT = GpuStatus(
    built_for="13.0",
    driver=True,
    device=True,
    names=("NVIDIA H100",),
    error=None,
    container=True,
)
NONE = replace(RIGHT, names=())


@pytest.mark.parametrize(
    ("status", "right", "words"),
    [
        pytest.param(RIGHT, True, "NVIDIA H100, CUDA 13.0", id="right"),
        pytest.param(
            replace(NONE, built_for=None, driver=False, device=False),
            True,
            "use the CPU",
            id="cpu-build-without-a-gpu",
        ),
        pytest.param(
            replace(NONE, driver=False, device=False),
            False,
            "there is no NVIDIA driver: give the container the GPU",
            id="container-without-the-gpu",
        ),
        pytest.param(
            replace(NONE, driver=False, device=False, container=False),
            False,
            "install the driver, or run `make clean install`",
            id="host-without-a-driver",
        ),
        pytest.param(
            replace(NONE, built_for=None),
            False,
            "build the image `worker`, not `worker-cpu`",
            id="container-of-the-cpu-build-on-a-gpu",
        ),
        pytest.param(
            replace(NONE, built_for=None, container=False),
            False,
            "this torch is its CPU build: run `make clean install`",
            id="cpu-build-on-a-gpu-host",
        ),
        pytest.param(
            replace(NONE, driver=False), False, "not its driver's libcuda.so.1", id="no-libcuda"
        ),
        pytest.param(replace(NONE, device=False), False, "but no GPU's device", id="no-device"),
        pytest.param(
            replace(NONE, error="The NVIDIA driver on your system is too old"),
            False,
            "too old): this torch is for CUDA 13.0",
            id="old-driver",
        ),
    ],
)
def test_a_setup_is_explained_in_a_sentence(status: GpuStatus, right: bool, words: str) -> None:
    is_right, message = gpu_check.explain(status)
    assert is_right is right
    assert words in message
    assert "\n" not in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_machine_without_a_driver_is_probed_as_it_is() -> None:
    status = gpu_check.probe()
    assert (status.names, status.driver) == ((), False)
    assert status.built_for == torch.version.cuda
    assert gpu_check.explain(status)[0] is (torch.version.cuda is None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_cuda_build_without_a_driver_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version says CUDA; the error of starting it is torch's own."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    is_right, message = gpu_check.explain(gpu_check.probe())
    assert not is_right
    assert "there is no NVIDIA driver" in message
