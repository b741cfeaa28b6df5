"""The one task: claim waiting runs and train them, until none waits."""

import contextlib
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
    """Make `kao.train` known to a worker."""

    @app.task(name=TASK)
    def train() -> None:
        engine = connect(settings)
        with contextlib.closing(_Disposing(engine)):
            train_waiting(settings, engine)


class _Disposing:
    def __init__(self, engine: sa.Engine) -> None:
        self.close = engine.dispose


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
    while not stopping and (claimed := runs.claim(engine)) is not None:
        row, fence = claimed
        log.info("run.claimed", run=row["id"], attempt=row["attempt"])
        current = Supervisor(settings, engine, row["id"], fence)
        current.stopping = stopping  # told while it claimed
        state = current.watch()
        log.info("run.ended", run=row["id"], state=state)
