"""What a signal leaves of a run."""

import signal
from pathlib import Path

import pytest
import sqlalchemy as sa

from models import runs
from tests.worker.training.types import Attempts
from worker.training.run import Attempt, HandedBack


def test_ctrl_c_before_the_first_step_publishes_nothing(
    attempt: Attempts, pictures: Path, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even with `promote`: random weights would be the default."""
    run, restore = attempt(pictures, promote="always"), Attempt._restore

    def stop(self: Attempt) -> None:
        restore(self)
        run._on_signal(signal.SIGINT, None)

    monkeypatch.setattr(Attempt, "_restore", stop)
    with pytest.raises(HandedBack):
        run.execute()
    assert runs.get(engine, run.run)["version"] is None
