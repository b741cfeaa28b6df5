"""The memory of a training, estimated before it starts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.errors import KaoError
from tests.support.reference_training import trainer
from tests.worker.training.types import Attempts, EventsOf
from worker.training import memory
from worker.training.memory import Allocations
from worker.training.trainer import Trainer

FIELDS = {"batch": 32, "penalty": "r1+r2", "mixing": 0.5, "noise": 4.0}


def real_peak(one: Trainer) -> int:
    """What the first step really allocates on a CPU, without Adam."""
    object.__setattr__(one.step_program, "update", lambda name: None)
    inputs = one.step_inputs()
    allocations = Allocations()
    with allocations:
        one.step_program.run(inputs)
    return allocations.most


@pytest.mark.parametrize("bf16", [False, True])
def test_the_estimate_is_what_a_step_on_a_cpu_takes(bf16: bool) -> None:
    one = trainer({**FIELDS, "penalty_every": 1}, bf16)
    estimate = memory.peak(one.step_program, one.step_inputs())
    assert estimate == pytest.approx(real_peak(one), rel=0.1)


def test_bytes_are_counted_once_and_until_they_are_freed() -> None:
    with Allocations() as allocations:
        one = torch.zeros(1000)
        view = one[10:].view(-1)
        other = torch.ones(500)
        assert allocations.now == 6000
        del other
        assert allocations.now == 4000
        total = view + 1
    del one, view, total
    assert allocations.most == 4000 + 3960


def test_micro_batches_take_less() -> None:
    one = trainer(FIELDS)
    inputs = one.step_inputs()
    steps = [replace(one.step_program, accumulation=parts) for parts in (1, 2, 4)]
    whole, halves, quarters = (memory.peak(step, inputs) for step in steps)
    assert whole > 1.5 * halves
    assert halves > 1.5 * quarters


def test_a_recipe_that_does_not_fit_is_refused_with_one_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = trainer({"batch": 8})
    monkeypatch.setattr(memory, "FEW_PIXELS", 0)
    enough = memory.bytes_needed(one, 2)
    monkeypatch.setattr(memory, "available", lambda device: enough)
    with pytest.raises(KaoError, match=r"With `accumulation` 2 it needs about 0\.0"):
        memory.check(one)
    monkeypatch.setattr(memory, "available", lambda device: 1000.0)
    with pytest.raises(KaoError, match=r"has 0\.0\. Lower `batch`"):
        memory.check(one)
    monkeypatch.setattr(memory, "available", lambda device: 1e12)
    estimate = memory.check(one)
    assert estimate is not None
    assert str(estimate).endswith(" of 1000.0 GB")


def test_a_run_says_what_it_needs(
    attempt: Attempts, pictures: Path, events_of: EventsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "FEW_PIXELS", 0)
    run = attempt(pictures, images=16)
    run.execute()
    (event,) = events_of(run, "memory.estimated")
    assert 0 < event["needs"] < event["available"]
