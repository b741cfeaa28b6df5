"""Out of memory: the run fails and says what to make smaller; the worker takes the next one."""

from pathlib import Path

import pytest
import torch

from models import runs
from worker.training import resource_errors


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_gpu_out_of_memory_fails_the_run_and_not_the_worker(house) -> None:
    full = house.folder / "full"
    full.touch()
    house.queue()
    injected = str(Path(__file__).parent / "injected")
    worker = house.worker(PYTHONPATH=injected, KAO_TEST_OOM=str(full))
    failed = house.wait_for_end(house.submit(160), "failed")
    assert failed["attempt"] == 1, "trying again would need as much"
    assert "`batch`" in failed["error"]
    assert "`resolution`" in failed["error"]
    full.unlink()
    house.wait_for_end(house.submit(160))
    runs.resume(house.engine, failed["id"])
    house.wait_for_end(failed["id"])
    assert worker.poll() is None


def test_pytorchs_own_word_for_no_memory_is_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)
    told = resource_errors.told(caught.value)
    assert told is not None
    assert "`batch`" in told


def test_any_other_error_is_not_explained_away() -> None:
    assert resource_errors.told(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert resource_errors.told(FileNotFoundError(2, "No such file")) is None
