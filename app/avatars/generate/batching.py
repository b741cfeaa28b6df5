"""Drawing threads with a lane for slow work, and the bounded queue in front of them.

Waiting fast work with equal keys goes to a thread as one batch. Nothing waits in order to be
batched: only work that had to wait anyway shares one run of the network (measured in
`docs/performance.md`). Work that runs at once fits the memory budget, and clients take turns
(`fair_queue.py`). Slow work has threads of its own, with a lower priority: where faces need the
core as well, it gets a quarter of it.
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any

from prometheus_client import Histogram

from app.avatars import interruption
from app.avatars.generate.fair_queue import (
    FAST_BYTES,
    LARGEST_BATCH,
    SLOW_MILLISECONDS,
    FairQueue,
    Job,
    Outcome,
    Work,
)
from app.avatars.request.costs import PLAIN, Estimate
from models.errors import Overloaded, TooLargeToDraw

DEADLINE = 60.0  # s from submission to outcome
FULL = "Too many avatars are waiting to be drawn; try again in a second."
UNLIMITED = 2**62  # bytes
SLOW_NICE = 5  # a weight of 335, where a fast thread has 1024


class Batcher:
    """Threads and their queue. Its methods must be called on one event loop.

    memory: bytes that all running work may take together.
    """

    def __init__(self, threads: int, queue_length: int, memory: int = UNLIMITED) -> None:
        self.threads, self.capacity, self.memory = threads, threads + queue_length, memory
        self.slow_threads = count_slow(threads)
        self._pools = {
            False: ThreadPoolExecutor(threads, "draw"),
            True: ThreadPoolExecutor(self.slow_threads, "draw-slow", _lower_priority),
        }
        self._queue = FairQueue()
        self._running: dict[int, tuple[float, list[Job]]] = {}  # start and jobs of each batch
        self._numbers = count()
        self._wait = _seconds("kao_draw_queue_seconds", "A picture's wait for a thread.")
        self._run_time = _seconds("kao_draw_compute_seconds", "A batch in its thread.")
        self._sizes = Histogram(
            "kao_draw_batch_size", "Pictures drawn together.", buckets=(1, 2, 4, 8), registry=None
        )
        self.metrics = (self._wait, self._run_time, self._sizes)

    @property
    def pending(self) -> int:
        """The number of items that wait or are being worked on."""
        return len(self._queue) + sum(len(jobs) for _, jobs in self._running.values())

    def longest_run(self) -> float:
        """Seconds since the oldest running batch started; 0 without one. Thread-safe."""
        starts = [start for start, _ in list(self._running.values())]
        return time.perf_counter() - min(starts) if starts else 0.0

    async def submit(
        self,
        key: Hashable,
        work: Work,
        item: Any,
        client: Hashable = None,
        estimate: Estimate = PLAIN,
    ) -> Any:
        """Run `work` on the item in a thread, with other waiting fast items of the same key.

        `work` gets 1 to LARGEST_BATCH items and returns as many outcomes. client: whose turn it
        takes. Raises Overloaded when the queue is full or the deadline passes, TooLargeToDraw for
        what never fits the memory, and the outcome if it is an exception. Cancelling it drops the
        item, and interrupts the work where nothing else of its batch is wanted.
        """
        if estimate.bytes > self.memory:
            raise TooLargeToDraw(estimate.bytes, self.memory)
        if self.pending >= self.capacity:
            self._make_room(client)
        future = asyncio.get_running_loop().create_future()
        job = Job(key, work, item, client, estimate, future)
        self._queue.add(job)
        self._start()
        try:
            async with asyncio.timeout(DEADLINE):
                return await future
        except TimeoutError:
            raise Overloaded(
                f"The picture was not drawn within {DEADLINE:g} seconds; try again later."
            ) from None
        finally:
            if self._queue.remove(job):
                future.cancel()

    async def stop(self) -> None:
        """Finish the batches that have a thread and cancel the rest."""
        for job in list(self._queue):
            job.future.cancel()
            self._queue.remove(job)
        for pool in self._pools.values():
            await asyncio.to_thread(pool.shutdown)

    def _make_room(self, client: Hashable) -> None:
        """Refuse the newest job of the client with the most. Raises Overloaded: it is this one."""
        job = self._queue.newest_of_greediest(client)
        if job is None:
            raise Overloaded(FULL)
        self._queue.remove(job)
        if not job.future.done():
            job.future.set_exception(Overloaded(FULL))

    def _start(self) -> None:
        while jobs := self._next_batch():
            loop, now, number = asyncio.get_running_loop(), time.perf_counter(), next(self._numbers)
            for job in jobs:
                self._queue.take(job)
                self._wait.observe(now - job.since)
            self._sizes.observe(len(jobs))
            self._running[number] = now, jobs
            outcomes = loop.run_in_executor(self._pools[jobs[0].is_slow], _work, jobs)
            outcomes.add_done_callback(partial(self._finish, number))

    def _next_batch(self) -> list[Job]:
        """The jobs that start next in a lane with a free thread; empty: none can start."""
        slow = self._queue.first(is_slow=True)
        if slow is not None and self._batches(is_slow=True) < self.slow_threads:
            if self._slow_fits(slow):
                return [slow]
            if not self._batches(is_slow=True):
                return []  # running faces end soon, and then there is room
        fast = self._queue.first(is_slow=False)
        if fast is not None and self._fast_fits(fast):
            return [fast, *self._companions(fast)]
        return []

    def _batches(self, is_slow: bool) -> int:
        return sum(jobs[0].is_slow is is_slow for _, jobs in self._running.values())

    def _reserved_bytes(self, is_slow: bool) -> int:
        """The bytes that the running jobs of a lane may take."""
        batches = [jobs for _, jobs in self._running.values() if jobs[0].is_slow is is_slow]
        return sum(job.estimate.bytes for jobs in batches for job in jobs)

    def _slow_fits(self, job: Job) -> bool:
        slow, fast = self._reserved_bytes(is_slow=True), self._reserved_bytes(is_slow=False)
        if not slow:  # alone it fits beside one batch of faces, which the budget has set aside
            return fast <= FAST_BYTES
        return slow + fast + job.estimate.bytes <= self.memory

    def _fast_fits(self, job: Job) -> bool:
        batches = self._batches(is_slow=False)
        if not batches:
            return True
        reserved = self._reserved_bytes(is_slow=True) + self._reserved_bytes(is_slow=False)
        return batches < self.threads and reserved + job.estimate.bytes <= self.memory

    def _companions(self, first: Job) -> list[Job]:
        """The jobs that share a batch with `first`, as few as let the batch stay fast."""
        jobs, total = self._queue.companions(first)
        # Only a share, so that other threads that become free find jobs too.
        share = min(LARGEST_BATCH, -(-(total + 1) // self.threads)) - 1
        batch: list[Job] = []
        milliseconds, size = first.estimate.milliseconds, first.estimate.bytes
        for job in jobs[:share]:
            milliseconds += job.estimate.milliseconds
            size += job.estimate.bytes
            if milliseconds > SLOW_MILLISECONDS or size > FAST_BYTES:
                break
            batch.append(job)
        return batch

    def _finish(self, number: int, batch: asyncio.Future[list[Outcome]]) -> None:
        start, jobs = self._running.pop(number)
        self._run_time.observe(time.perf_counter() - start)
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


def count_slow(threads: int) -> int:
    """The number of threads for slow work beside so many for faces."""
    return max(1, threads // 2)


def _lower_priority() -> None:
    """Lower the priority of this thread alone (sched(7)), to a quarter of a busy core."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):
            nice = os.getpriority(os.PRIO_PROCESS, thread) + SLOW_NICE
            os.setpriority(os.PRIO_PROCESS, thread, min(19, nice))


def _work(jobs: list[Job]) -> list[Outcome]:
    """Work on a batch in a drawing thread, as long as anything of it is wanted."""
    with interruption.interruptible(lambda: not all(job.future.done() for job in jobs)):
        return list(jobs[0].work([job.item for job in jobs]))


def _seconds(name: str, description: str) -> Histogram:
    buckets = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
    return Histogram(name, description, buckets=buckets, registry=None)
