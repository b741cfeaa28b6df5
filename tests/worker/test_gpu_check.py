"""A wrong GPU setup is told from a right one in a sentence."""

from dataclasses import replace

import pytest
import torch

from worker import gpu_check
from worker.gpu_check import Seen

RIGHT = Seen(
    built_for="13.0",
    driver=True,
    device=True,
    names=("NVIDIA H100",),
    error=None,
    container=True,
)
NONE = replace(RIGHT, names=())


@pytest.mark.parametrize(
    ("seen", "good", "words"),
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
            "no NVIDIA driver is to be seen: give the container the GPU",
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
def test_a_setup_is_told_in_a_sentence(seen, good, words) -> None:
    fine, told = gpu_check.told(seen)
    assert fine is good
    assert words in told
    assert "\n" not in told


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_this_machine_without_a_driver_is_seen_as_it_is() -> None:
    seen = gpu_check.look()
    assert (seen.names, seen.driver) == ((), False)
    assert seen.built_for == torch.version.cuda
    assert gpu_check.told(seen)[0] is (torch.version.cuda is None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_cuda_build_without_a_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The build says CUDA; what torch then says when it is asked to start it is its own."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    fine, told = gpu_check.told(gpu_check.look())
    assert not fine
    assert "no NVIDIA driver is to be seen" in told
