"""The threads that draw, and the bounded queue before them.

Work of one kind that waits at the same time goes to a thread together: nothing waits in order to
be joined, but what had to wait anyhow shares one run of the network (`docs/performance.md` says
what that saves).
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

# Beyond 8 a CPU gains nothing, and everyone in a batch waits for all of it.
MOST = 8

Outcome = Any  # a result, or the exception that took its place
Together = Callable[[Sequence[Any]], Sequence[Outcome]]


@dataclass(frozen=True, slots=True)
class _Item:
    what: Any
    done: asyncio.Future[Any]
    since: float


class Batcher:
    """Threads and their queue. Its methods belong to one event loop."""

    def __init__(self, threads: int, most_waiting: int) -> None:
        self.threads, self.most = threads, threads + most_waiting
        self._pool = ThreadPoolExecutor(threads, "draw")
        self._waiting: dict[Hashable, tuple[Together, list[_Item]]] = {}
        self._busy = self._in_flight = 0
        self._queued = _seconds("kao_draw_queue_seconds", "A picture's wait for a thread.")
        self._computed = _seconds("kao_draw_compute_seconds", "A batch in its thread.")
        self._sizes = Histogram(
            "kao_draw_batch_size", "Pictures drawn together.", buckets=(1, 2, 4, 8), registry=None
        )
        self.metrics = (self._queued, self._computed, self._sizes)

    @property
    def waiting(self) -> int:
        """Pictures asked for and not finished."""
        return self._in_flight

    async def do(self, kind: Hashable, together: Together, what: Any) -> Any:
        """Have `together` work on this, and on what else of its kind waits by then.

        `together` gets 1 to MOST of them in a thread and returns as many outcomes. Raises
        Overloaded when the queue is full, and the outcome if it is an exception.
        """
        if self._in_flight >= self.most:
            raise Overloaded("Too many avatars are waiting to be drawn; try again in a second.")
        self._in_flight += 1
        item = _Item(what, asyncio.get_running_loop().create_future(), time.perf_counter())
        self._waiting.setdefault(kind, (together, []))[1].append(item)
        self._start()
        return await item.done

    async def stop(self) -> None:
        """Finish what has a thread and refuse the rest."""
        for _, items in self._waiting.values():
            for item in items:
                item.done.cancel()
        self._waiting.clear()
        await asyncio.to_thread(self._pool.shutdown)

    def _start(self) -> None:
        while self._waiting and self._busy < self.threads:
            together, items = self._next()
            if items:
                self._busy += 1
                loop, now = asyncio.get_running_loop(), time.perf_counter()
                for item in items:
                    self._queued.observe(now - item.since)
                self._sizes.observe(len(items))
                work = loop.run_in_executor(self._pool, together, [item.what for item in items])
                work.add_done_callback(partial(self._finish, items, now))

    def _next(self) -> tuple[Together, list[_Item]]:
        """The next thread's share of the kind that has waited longest."""
        kind = next(iter(self._waiting))
        together, items = self._waiting.pop(kind)
        here = [item for item in items if not item.done.done()]
        self._in_flight -= len(items) - len(here)  # those whose clients left
        # A share, so that the other threads find something when they come.
        share = min(MOST, -(-len(here) // self.threads))
        if rest := here[share:]:
            self._waiting[kind] = together, rest  # behind the other kinds
        return together, here[:share]

    def _finish(
        self, items: list[_Item], began: float, work: asyncio.Future[Sequence[Outcome]]
    ) -> None:
        self._computed.observe(time.perf_counter() - began)
        self._busy -= 1
        self._in_flight -= len(items)
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        outcomes = work.result() if error is None else [error] * len(items)
        for item, outcome in zip(items, outcomes, strict=True):
            if item.done.done():
                continue
            if isinstance(outcome, BaseException):
                item.done.set_exception(outcome)
            else:
                item.done.set_result(outcome)
        self._start()


def _seconds(name: str, told: str) -> Histogram:
    edges = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
    return Histogram(name, told, buckets=edges, registry=None)
