"""Interrupts an attempt at a run in a stage after its training, and goes on with it."""

import signal

import pytest

from models import runs
from worker.enlarging.distillation import Distillation
from worker.enlarging.training import EnlargerTrainer
from worker.training.run import Attempt

Stage = type[EnlargerTrainer] | type[Distillation]


def send_signal(
    monkeypatch: pytest.MonkeyPatch, stage: Stage, run: Attempt, number: signal.Signals, at: int
) -> None:
    """Let the run receive a signal as the stage begins its step `at`."""
    advance = stage.advance

    def advance_and_signal(self: EnlargerTrainer | Distillation) -> float:
        if self.step == at:
            run._on_signal(number, None)
        return float(advance(self))  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "advance", advance_and_signal)


def record_steps(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> list[int]:
    """A list that gets the number of each step that the stage takes."""
    steps: list[int] = []
    advance = stage.advance

    def advance_and_record(self: EnlargerTrainer | Distillation) -> float:
        steps.append(self.step)
        return float(advance(self))  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "advance", advance_and_record)
    return steps


def next_attempt(run: Attempt) -> Attempt:
    """Another attempt at a run that handed back, in another process as far as it knows."""
    runs.requeue(run.engine, run.run, run.fence, "stopped", stalled=False)
    claimed = runs.claim(run.engine, run.run)
    assert claimed is not None
    return Attempt(run.settings, run.engine, *claimed)
