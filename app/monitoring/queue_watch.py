"""Watches runs that wait: since when, and whether the queue and a worker are there.

An app that only serves faces needs neither, so without a waiting run nothing is wrong.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import redis
import sqlalchemy as sa
import structlog
from sqlalchemy import select

from app.monitoring.faults import NO_WORKER, QUEUE_UNREACHABLE, RUN_WAITING, Fault
from models.database.engine import reading
from models.database.tables import runs
from models.queue import connect
from models.runs import ACTIVE
from models.settings import Settings

log = structlog.get_logger()

INTERVAL = 5.0  # s between two polls
LONGEST_WAIT = 60.0  # s that a run may wait while no other one trains


@dataclass(frozen=True)
class Waiting:
    """oldest: seconds that the longest-waiting run has waited; None: no run waits."""

    oldest: float | None = None
    fault: Fault | None = None


class QueueWatch:
    """Polls every few seconds; `state` is the result of the last poll."""

    def __init__(self, settings: Settings, database: sa.Engine) -> None:
        self.settings, self.database = settings, reading(database)
        self.state = Waiting()
        # By this process's clock: another host may have created the run, and clocks jump.
        self._since: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Poll from now on, until `stop`."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(sa.exc.SQLAlchemyError):  # the engine reports the database
                self.state = await asyncio.to_thread(self.poll)
            await asyncio.sleep(INTERVAL)

    def poll(self) -> Waiting:
        """The waiting runs now. Blocks; raises SQLAlchemy's errors."""
        with self.database.begin() as db:
            query = select(runs.c.id, runs.c.state).where(runs.c.state.in_(ACTIVE))
            states = {row.id: row.state for row in db.execute(query)}
        now = time.monotonic()
        queued_runs = [run for run, state in states.items() if state == "queued"]
        self._since = {run: self._since.get(run, now) for run in queued_runs}
        if not queued_runs:
            return Waiting()
        oldest = now - min(self._since.values())
        is_busy = "running" in states.values()
        is_late = oldest > LONGEST_WAIT and not is_busy
        fault = self._explain(oldest) if is_late else None
        if fault is not None and self.state.fault is None:
            log.warning("run.waiting", cause=fault.code, seconds=round(oldest))
        return Waiting(oldest, fault)

    def _explain(self, seconds: float) -> Fault:
        text = f"A run has waited for {seconds:.0f} seconds, and none is training: "
        try:
            has_worker = self._has_worker()
        except (redis.RedisError, OSError):
            return Fault(QUEUE_UNREACHABLE, text + "the queue (REDIS_URL) does not answer.")
        if not has_worker:
            return Fault(NO_WORKER, text + "no worker is connected to the queue.")
        return Fault(RUN_WAITING, text + "a worker is connected but takes no run; see its log.")

    def _has_worker(self) -> bool:
        """Whether a Celery worker is connected: it subscribes to its channel of commands."""
        with connect(self.settings) as client:
            return any(
                int(each.get("psub", 0)) or int(each.get("sub", 0)) for each in client.client_list()
            )
