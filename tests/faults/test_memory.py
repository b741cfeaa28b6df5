"""Out of memory: the run fails and says what to make smaller; the worker takes the next one."""

from pathlib import Path

import pytest
import torch

from models import runs
from tests.support.process_group import House
from worker.training import resource_errors


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_gpu_out_of_memory_fails_the_run_and_not_the_worker(house: House) -> None:
    full = house.folder / "full"
    full.touch()
    house.queue()
    folder = str(Path(__file__).parent / "injected")
    worker = house.worker(PYTHONPATH=folder, FAULT_OOM=str(full))
    run = house.wait_for_end(house.submit(160), "failed")
    assert run["attempt"] == 1, "trying again would need as much"
    assert "`batch`" in run["error"]
    assert "`resolution`" in run["error"]
    full.unlink()
    house.wait_for_end(house.submit(160))
    runs.resume(house.engine, run["id"])
    house.wait_for_end(run["id"])
    assert worker.poll() is None


def test_pytorchs_own_message_about_memory_is_recognised() -> None:
    with pytest.raises(RuntimeError) as failure:
        torch.empty(2**55)
    message = resource_errors.explain(failure.value)
    assert message is not None
    assert "`batch`" in message


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    ],
)
def test_the_messages_of_cuda_about_memory_are_recognised(text: str) -> None:
    """They come as RuntimeError, where the driver or a library allocates and not PyTorch."""
    assert str(resource_errors.explain(RuntimeError(text))).startswith("The GPU has too little")


def test_any_other_error_is_not_explained_away() -> None:
    assert (
        resource_errors.explain(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    )
    assert resource_errors.explain(FileNotFoundError(2, "No such file")) is None
