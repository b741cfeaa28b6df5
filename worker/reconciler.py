"""Requeues runs whose worker vanished, and sends messages for runs that wait without one."""

import time
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog
from celery import Celery

from models import runs
from models.queue import QUEUE, TASK, connect
from models.settings import Settings
from worker.abandoned_runs import LeaseWatch

log = structlog.get_logger()


@dataclass
class Reconciler:
    """Compares the runs in the database with heartbeats and with the queue."""

    settings: Settings
    engine: sa.Engine
    celery: Celery
    leases: LeaseWatch = field(init=False)

    def __post_init__(self) -> None:
        self.leases = LeaseWatch(self.settings, self.engine)

    def reconcile(self) -> None:
        """Run each check once. Logs errors instead of raising them: the next call may succeed."""
        for check in (self.leases.requeue_abandoned, self._wake_for_waiting):
            try:
                check()
            except Exception as error:  # SQLAlchemy, redis and kombu each have their own kinds
                log.warning("reconcile.failed", reason=type(error).__name__)
                if isinstance(error, sa.exc.SQLAlchemyError):
                    self.leases.reset()
        # A slow queue does not invalidate the heartbeats.
        self.leases.last_check = time.monotonic()

    def _wake_for_waiting(self) -> None:
        if not runs.list_runs(self.engine, limit=1, state="queued"):
            return
        with connect(self.settings) as client:
            messages = client.llen(QUEUE)
        if not messages:
            self.celery.send_task(TASK, queue=QUEUE, retry=False)
