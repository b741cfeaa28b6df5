"""Finds runs whose worker vanished: their heartbeat has not changed for a lease."""

import contextlib
import time
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog

from models import runs
from models.errors import StaleFence
from models.runs import Fence
from models.settings import Settings

log = structlog.get_logger()

INTERVAL = 1.0  # s between two checks
MOST_RUNS = 10_000  # that train at once


@dataclass
class LeaseWatch:
    """Times heartbeats on its own monotonic clock, so that no host's clock matters.

    heartbeats: run → its fence, its heartbeat, and the time at which that heartbeat was new.
    """

    settings: Settings
    engine: sa.Engine
    heartbeats: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    last_check: float = 0.0

    def requeue_abandoned(self) -> None:
        """Check every running run, and requeue those whose lease is over.

        Call it about once an INTERVAL. After a longer pause each run gets a whole lease again: what
        stopped this process may have stopped the workers.
        """
        lease, now = self.settings.lease_seconds, time.monotonic()
        if now - self.last_check > INTERVAL + lease:
            self.heartbeats.clear()
        running = {row["id"]: row for row in runs.list_runs(self.engine, MOST_RUNS, "running")}
        self.heartbeats = {run: beat for run, beat in self.heartbeats.items() if run in running}
        for run, row in running.items():
            heartbeat = (row["fence"], row["heartbeat"])
            before = self.heartbeats.get(run)
            if before is None or before[:2] != heartbeat:
                self.heartbeats[run] = (*heartbeat, now)
            elif now - before[2] > lease and self._can_write():
                self._expire(run, Fence(row["fence"]))
        self.last_check = time.monotonic()

    def reset(self) -> None:
        """Give every run a whole lease again: workers could not reach the database either."""
        self.heartbeats.clear()

    def _can_write(self) -> bool:
        """Whether the database takes writes at once; if not, it took no heartbeats either."""
        start = time.monotonic()
        with self.engine.begin():
            delay = time.monotonic() - start
        if delay > INTERVAL:
            self.reset()
        return delay <= INTERVAL

    def _expire(self, run: str, fence: Fence) -> None:
        with contextlib.suppress(StaleFence):  # another reconciler was first
            state = runs.requeue(self.engine, run, fence, "its worker stopped answering")
            log.warning("lease.expired", run=run, state=state)
