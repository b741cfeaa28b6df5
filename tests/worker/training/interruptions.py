"""Interrupts an attempt at a run in a stage after its training, and goes on with it."""

import signal
from collections.abc import Callable

import pytest

from models import runs
from worker.enlarging.stage import Trainable
from worker.training.run import Attempt, HandedBack

Stage = type[Trainable]


def send_signal(
    monkeypatch: pytest.MonkeyPatch, stage: Stage, run: Attempt, number: signal.Signals, at: int
) -> None:
    """Let the run receive a signal as the stage begins its step `at`."""

    def signal_at(step: int) -> None:
        if step == at:
            run._on_signal(number, None)

    _call_before_steps(monkeypatch, stage, signal_at)


def hand_back(monkeypatch: pytest.MonkeyPatch, stage: Stage, run: Attempt, at: int) -> str:
    """Execute the run until SIGTERM ends it in the stage's step `at`; its snapshot's name."""
    with monkeypatch.context() as patch:
        send_signal(patch, stage, run, signal.SIGTERM, at)
        with pytest.raises(HandedBack):
            run.execute()
    return str(runs.get(run.engine, run.run)["snapshot"])


def execute_next(
    monkeypatch: pytest.MonkeyPatch, stage: Stage, run: Attempt
) -> tuple[str, list[int]]:
    """Execute a run that handed back to its end: its version, and the stage's steps by number.

    In another process as far as the attempt knows.
    """
    steps: list[int] = []
    with monkeypatch.context() as patch:
        _call_before_steps(patch, stage, steps.append)
        return next_attempt(run).execute(), steps


def next_attempt(run: Attempt) -> Attempt:
    """Requeue and claim a run again."""
    runs.requeue(run.engine, run.run, run.fence, "stopped", is_stalled=False)
    claim = runs.claim(run.engine, run.run)
    assert claim is not None
    return Attempt(run.settings, run.engine, *claim)


def _call_before_steps(
    monkeypatch: pytest.MonkeyPatch, stage: Stage, call: Callable[[int], None]
) -> None:
    advance = stage.advance

    def call_and_advance(self: Trainable) -> float:
        call(self.step)
        return advance(self)

    monkeypatch.setattr(stage, "advance", call_and_advance)
