"""Real images on their way to a device; a CPU stands in for the GPU."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from models.recipes.recipe import resolve
from worker.training import batches
from worker.training.batches import Reals
from worker.training.distributed.collectives import Share

CPU = torch.device("cpu")
PIXELS = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), np.uint8)


def test_a_set_is_loaded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LOADED_AT_ONCE", 24)
    assert torch.equal(batches.load(PIXELS, CPU), torch.from_numpy(PIXELS))


@pytest.fixture
def streamed_reals(monkeypatch: pytest.MonkeyPatch) -> Reals:
    """The first of two processes, with a set that is too large for its GPU."""
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
    reals = Reals(PIXELS, resolve({"preset": "smoke"}), CPU, Share(0, 2))
    reals._loader = ThreadPoolExecutor(1)
    return reals


def test_the_next_batch_is_read_ahead(
    streamed_reals: Reals, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [PIXELS[streamed_reals._indices(step).numpy()] for step in range(3)]
    for step, pixels in enumerate(expected):
        assert np.array_equal(streamed_reals.inputs(step)["pixels"], pixels)
    assert streamed_reals._ahead is not None
    streamed_reals._ahead[1].result()
    monkeypatch.setattr(Reals, "_read", lambda self, step: None)  # nothing is read now but ahead
    assert len(streamed_reals._pixels(3)) == 4


def test_a_batch_that_was_read_ahead_is_not_used_for_another_share(streamed_reals: Reals) -> None:
    """The stages after the training run in one process, with whole batches."""
    assert len(streamed_reals.inputs(0)["pixels"]) == 4
    streamed_reals.share = Share()
    assert len(streamed_reals.inputs(1)["pixels"]) == 8
