"""Finds runs whose worker vanished, and runs that wait without a message."""

import time
from dataclasses import dataclass, field

import redis
import sqlalchemy as sa
import structlog
from celery import Celery

from models import runs
from models.errors import StaleFence
from models.messages import QUEUE, TASK
from models.runs import Fence
from models.settings import Settings

log = structlog.get_logger()

INTERVAL = 1.0  # s


@dataclass
class Reconciler:
    """One watcher's memory. It times heartbeats by its own monotonic clock: no host's counts."""

    settings: Settings
    engine: sa.Engine
    celery: Celery
    seen: dict[str, tuple[int, int, float]] = field(default_factory=dict)

    def reconcile(self) -> None:
        """One look. Raises nothing that a later look may not find mended."""
        try:
            self._requeue_abandoned()
            self._wake_for_waiting()
        except (sa.exc.OperationalError, redis.RedisError, OSError) as error:
            log.warning("reconcile.failed", reason=type(error).__name__)

    def _requeue_abandoned(self) -> None:
        here = time.monotonic()
        running = {row["id"]: row for row in runs.listed(self.engine, state="running")}
        self.seen = {run: seen for run, seen in self.seen.items() if run in running}
        for run, row in running.items():
            beat = (row["fence"], row["heartbeat"])
            before = self.seen.get(run)
            if before is None or before[:2] != beat:
                self.seen[run] = (*beat, here)
            elif here - before[2] > self.settings.lease_seconds:
                try:
                    state = runs.requeue(
                        self.engine, run, Fence(row["fence"]), "its worker stopped answering"
                    )
                    log.warning("lease.expired", run=run, state=state)
                except StaleFence:
                    pass  # another reconciler was first

    def _wake_for_waiting(self) -> None:
        if not runs.listed(self.engine, limit=1, state="queued"):
            return
        with redis.from_url(
            self.settings.redis, socket_timeout=2, socket_connect_timeout=2
        ) as client:
            waiting = client.llen(QUEUE)
        if not waiting:
            self.celery.send_task(TASK, queue=QUEUE, retry=False)
