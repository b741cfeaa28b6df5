"""Finds runs whose worker vanished, and runs that wait without a message."""

import contextlib
import time
from dataclasses import dataclass, field

import redis
import sqlalchemy as sa
import structlog
from celery import Celery

from models import runs
from models.errors import StaleFence
from models.runs import QUEUE, TASK, Fence
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
    looked: float = 0.0

    def reconcile(self) -> None:
        """One look. Raises nothing that a later look may not find mended."""
        if time.monotonic() - self.looked > INTERVAL + self.settings.lease_seconds:
            self.seen.clear()  # what froze this watcher may have frozen the workers
        for look in (self._requeue_abandoned, self._wake_for_waiting):
            try:
                look()
            except Exception as error:  # SQLAlchemy, redis and kombu each have their own kinds
                log.warning("reconcile.failed", reason=type(error).__name__)
                if isinstance(error, sa.exc.SQLAlchemyError):
                    self.seen.clear()  # the workers could not reach the database either
        self.looked = time.monotonic()

    def _requeue_abandoned(self) -> None:
        lease, here = self.settings.lease_seconds, time.monotonic()
        running = {row["id"]: row for row in runs.list_runs(self.engine, state="running")}
        self.seen = {run: seen for run, seen in self.seen.items() if run in running}
        for run, row in running.items():
            beat = (row["fence"], row["heartbeat"])
            before = self.seen.get(run)
            if before is None or before[:2] != beat:
                self.seen[run] = (*beat, here)
            elif here - before[2] > lease and self._could_write():
                self._expire(run, Fence(row["fence"]))

    def _could_write(self) -> bool:
        """Whether the database takes writes at once; if not, it took no heartbeats either."""
        began = time.monotonic()
        with self.engine.begin():
            waited = time.monotonic() - began
        if waited > INTERVAL:
            self.seen.clear()
        return waited <= INTERVAL

    def _expire(self, run: str, fence: Fence) -> None:
        with contextlib.suppress(StaleFence):  # another reconciler was first
            state = runs.requeue(self.engine, run, fence, "its worker stopped answering")
            log.warning("lease.expired", run=run, state=state)

    def _wake_for_waiting(self) -> None:
        if not runs.list_runs(self.engine, limit=1, state="queued"):
            return
        with redis.from_url(
            self.settings.redis, socket_timeout=2, socket_connect_timeout=2
        ) as client:
            waiting = client.llen(QUEUE)
        if not waiting:
            self.celery.send_task(TASK, queue=QUEUE, retry=False)
