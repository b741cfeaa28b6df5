"""Two processes that train one run hand it back together, and go on together."""

import threading
import time

import pytest
import sqlalchemy as sa

from models import runs
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from worker.supervisor import Supervisor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def watched(settings, engine, run):
    """A supervisor of the run's next attempt, at work in a thread."""
    claimed = runs.claim(engine, run)
    assert claimed is not None
    supervisor = Supervisor(settings, engine, run, claimed[1])
    watching = threading.Thread(target=supervisor.watch)
    watching.start()
    return supervisor, watching


def test_two_processes_train_one_run_and_hand_it_back_together(
    settings: Settings, engine: sa.Engine
) -> None:
    together = settings.model_copy(update={"processes": 2})
    asked = {"preset": "smoke", "batch": 16, "images": 1_600, "snapshot_seconds": 0.2}
    run = runs.create(engine, resolve(asked), asked)[0]["id"]
    supervisor, watching = watched(together, engine, run)
    deadline = time.monotonic() + 120
    while runs.get(engine, run)["snapshot"] is None and time.monotonic() < deadline:
        time.sleep(0.05)
    supervisor.hand_back()
    watching.join(timeout=60)
    assert runs.get(engine, run)["state"] == "queued"
    _, watching = watched(together, engine, run)
    watching.join(timeout=240)
    assert runs.get(engine, run)["state"] == "succeeded"
    card = Registry(engine, settings.storage).get(runs.get(engine, run)["version"])["card"]
    assert card["training"]["images"] == 1_600
