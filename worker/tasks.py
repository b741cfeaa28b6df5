"""The one Celery task: claim waiting runs and train them, until none waits."""

import signal
from types import FrameType

import sqlalchemy as sa
import structlog
from celery import Celery

from models import runs
from models.database.engine import connect
from models.runs import TASK
from models.settings import Settings
from worker.supervisor import Supervisor

log = structlog.get_logger()


def register(app: Celery, settings: Settings) -> None:
    """Add the task `kao.train` to a Celery application."""

    @app.task(name=TASK)
    def train() -> None:
        engine = connect(settings)
        try:
            train_waiting(settings, engine)
        finally:
            engine.dispose()


def train_waiting(settings: Settings, engine: sa.Engine) -> None:
    """Train queued runs, the oldest first. SIGUSR1 hands the current one back and stops."""
    current: Supervisor | None = None
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        if current is not None:
            current.hand_back()

    signal.signal(signal.SIGUSR1, stop)
    while not stopping and (claim := runs.claim(engine)) is not None:
        row, fence = claim
        log.info("run.claimed", run=row["id"], attempt=row["attempt"])
        current = Supervisor(settings, engine, row["id"], fence)
        current.stopping = stopping  # the signal may have come while it claimed
        state = current.watch()
        log.info("run.ended", run=row["id"], state=state)
