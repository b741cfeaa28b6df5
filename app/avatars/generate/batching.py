"""Drawing threads and the bounded queue in front of them.

Waiting work with equal keys goes to a thread as one batch. Nothing waits in order to be batched:
only work that had to wait anyway shares one run of the network (`docs/performance.md` says what
that gains).
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from prometheus_client import Histogram

from models.errors import Overloaded

# Above 8 a CPU gains nothing, and every item waits for the whole batch.
LARGEST_BATCH = 8

Outcome = Any  # a result, or the exception that replaces it
Work = Callable[[Sequence[Any]], Sequence[Outcome]]


@dataclass(frozen=True, slots=True)
class _Job:
    item: Any
    future: asyncio.Future[Any]
    since: float


class Batcher:
    """Threads and their queue. Its methods must be called on one event loop."""

    def __init__(self, threads: int, queue_length: int) -> None:
        self.threads, self.capacity = threads, threads + queue_length
        self._pool = ThreadPoolExecutor(threads, "draw")
        self._queue: dict[Hashable, tuple[Work, list[_Job]]] = {}
        self._busy = self._pending = 0
        self._wait = _seconds("kao_draw_queue_seconds", "A picture's wait for a thread.")
        self._run_time = _seconds("kao_draw_compute_seconds", "A batch in its thread.")
        self._sizes = Histogram(
            "kao_draw_batch_size", "Pictures drawn together.", buckets=(1, 2, 4, 8), registry=None
        )
        self.metrics = (self._wait, self._run_time, self._sizes)

    @property
    def pending(self) -> int:
        """The number of items that wait or are being worked on."""
        return self._pending

    async def submit(self, key: Hashable, work: Work, item: Any) -> Any:
        """Run `work` on the item in a thread, with other waiting items of the same key.

        `work` gets 1 to LARGEST_BATCH items and returns as many outcomes. Raises Overloaded when
        the queue is full, and the outcome if it is an exception.
        """
        if self._pending >= self.capacity:
            raise Overloaded("Too many avatars are waiting to be drawn; try again in a second.")
        self._pending += 1
        job = _Job(item, asyncio.get_running_loop().create_future(), time.perf_counter())
        self._queue.setdefault(key, (work, []))[1].append(job)
        self._start()
        return await job.future

    async def stop(self) -> None:
        """Finish the batches that have a thread and cancel the rest."""
        for _, jobs in self._queue.values():
            for job in jobs:
                job.future.cancel()
        self._queue.clear()
        await asyncio.to_thread(self._pool.shutdown)

    def _start(self) -> None:
        while self._queue and self._busy < self.threads:
            work, jobs = self._next_batch()
            if jobs:
                self._busy += 1
                loop, now = asyncio.get_running_loop(), time.perf_counter()
                for job in jobs:
                    self._wait.observe(now - job.since)
                self._sizes.observe(len(jobs))
                outcomes = loop.run_in_executor(self._pool, work, [job.item for job in jobs])
                outcomes.add_done_callback(partial(self._finish, jobs, now))

    def _next_batch(self) -> tuple[Work, list[_Job]]:
        """One thread's share of the jobs whose key has waited longest."""
        key = next(iter(self._queue))
        work, jobs = self._queue.pop(key)
        waiting = [job for job in jobs if not job.future.done()]
        self._pending -= len(jobs) - len(waiting)  # the clients of the others disconnected
        # Only a share, so that other threads that become free find jobs too.
        share = min(LARGEST_BATCH, -(-len(waiting) // self.threads))
        if remainder := waiting[share:]:
            self._queue[key] = work, remainder  # behind the other keys
        return work, waiting[:share]

    def _finish(
        self, jobs: list[_Job], start: float, batch: asyncio.Future[Sequence[Outcome]]
    ) -> None:
        self._run_time.observe(time.perf_counter() - start)
        self._busy -= 1
        self._pending -= len(jobs)
        error = asyncio.CancelledError() if batch.cancelled() else batch.exception()
        outcomes = batch.result() if error is None else [error] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.future.done():
                continue
            if isinstance(outcome, BaseException):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)
        self._start()


def _seconds(name: str, description: str) -> Histogram:
    buckets = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
    return Histogram(name, description, buckets=buckets, registry=None)
