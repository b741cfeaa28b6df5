"""The one Celery task: claim waiting runs and train them, until none waits."""

from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog
from celery import Celery

from models import runs
from models.database.engine import connect
from models.queue import TASK
from models.settings import Settings
from worker.supervisor import Supervisor

log = structlog.get_logger()


def register(app: Celery, settings: Settings) -> "RunQueue":
    """Add the task `kao.train` to a Celery application. Returns what the task trains from."""
    queue = RunQueue(settings)

    @app.task(name=TASK)
    def train() -> None:
        engine = connect(settings)
        try:
            queue.train_waiting(engine)
        finally:
            engine.dispose()

    return queue


@dataclass
class RunQueue:
    """The queued runs of the database, trained one at a time by this process.

    `hand_back` may be called from another thread or from a signal handler.
    """

    settings: Settings
    is_stopping: bool = False
    current: Supervisor | None = field(default=None, init=False)

    def train_waiting(self, engine: sa.Engine) -> None:
        """Train queued runs, the oldest first, until none waits or this process stops."""
        while not self.is_stopping and (claim := runs.claim(engine)) is not None:
            row, fence = claim
            log.info("run.claimed", run=row["id"], attempt=row["attempt"])
            self.current = Supervisor(self.settings, engine, row["id"], fence)
            # The signal may have come during the claim; the supervisor sees it at its next beat.
            self.current.is_stopping = self.is_stopping
            state = self.current.watch()
            log.info("run.ended", run=row["id"], state=state)

    def hand_back(self) -> None:
        """Stop: the current run writes a snapshot and is queued again."""
        self.is_stopping = True
        if self.current is not None:
            self.current.hand_back()
