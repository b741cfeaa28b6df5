"""Jobs that wait for a drawing thread; clients take turns by what their jobs cost.

Start-time fair queuing (Goyal, Vin & Cheng, 1996): each client has a virtual time, which advances
by the cost of every job that starts; the client with the smallest one is next. Each client has
two lines, for fast and for slow jobs, so that its faces do not wait behind its own loops.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.avatars.request.costs import Estimate

# Above 8 a CPU gains nothing, and every item waits for the whole batch.
LARGEST_BATCH = 8
# A job that takes longer, or more memory, is slow.
SLOW_MILLISECONDS = 100.0
FAST_BYTES = 32 * 2**20
ACTIVE = 1.0  # s after its last job in which a client counts as active
MOST_IDLE_CLIENTS = 1000  # kept virtual times of clients without waiting jobs

Outcome = Any  # a result, or the exception that replaces it
Work = Callable[[Sequence[Any]], Sequence[Outcome]]


@dataclass(eq=False, slots=True)
class Job:
    """An item to work on. Jobs with equal keys may share a batch."""

    key: Hashable
    work: Work
    item: Any
    client: Hashable
    estimate: Estimate
    future: asyncio.Future[Any]
    since: float = field(default_factory=time.perf_counter)

    @property
    def is_slow(self) -> bool:
        """Whether it belongs in the slow lane."""
        return self.estimate.milliseconds > SLOW_MILLISECONDS or self.estimate.bytes > FAST_BYTES


class FairQueue:
    """Waiting jobs by client. Its methods must be called on one event loop."""

    def __init__(self) -> None:
        self._lines: dict[bool, dict[Hashable, deque[Job]]] = {False: {}, True: {}}
        self._times: dict[Hashable, float] = {}  # virtual, in ms
        self._now = 0.0
        self._last_job_times: OrderedDict[Hashable, float] = OrderedDict()  # each client's last job

    def __len__(self) -> int:
        return sum(len(line) for lanes in self._lines.values() for line in lanes.values())

    def __iter__(self) -> Iterator[Job]:
        """The waiting jobs, in no order."""
        for lane in self._lines.values():
            for line in lane.values():
                yield from line

    def add(self, job: Job) -> None:
        """Put a job at the end of its client's line."""
        if not self.count(job.client):
            # A client that was idle gains nothing by it.
            self._times[job.client] = max(self._times.get(job.client, 0.0), self._now)
        self._lines[job.is_slow].setdefault(job.client, deque()).append(job)
        self._last_job_times[job.client] = job.since
        self._last_job_times.move_to_end(job.client)

    def remove(self, job: Job) -> bool:
        """Remove a job; whether it was waiting."""
        line = self._lines[job.is_slow].get(job.client)
        if line is None or job not in line:
            return False
        line.remove(job)
        if not line:
            del self._lines[job.is_slow][job.client]
        return True

    def count(self, client: Hashable) -> int:
        """The number of jobs of a client that wait."""
        return sum(len(lane.get(client, ())) for lane in self._lines.values())

    def newest_of_greediest(self, client: Hashable) -> Job | None:
        """The last job of the client with the most waiting; None where that is this client.

        A client with one job fewer than another one takes nothing from it.
        """
        clients = {name for lane in self._lines.values() for name in lane}
        greediest = max(clients, key=self.count, default=client)
        if self.count(greediest) <= self.count(client) + 1:
            return None
        lines = [lane[greediest] for lane in self._lines.values() if greediest in lane]
        return max((line[-1] for line in lines), key=lambda job: job.since)

    def first(self, is_slow: bool) -> Job | None:
        """The job that is next in a lane."""
        lane = self._lines[is_slow]
        return lane[min(lane, key=self._times.__getitem__)][0] if lane else None

    def take(self, job: Job) -> None:
        """Remove a job that starts, and charge its client."""
        self.remove(job)
        self._now = max(self._now, self._times[job.client])
        self._times[job.client] += job.estimate.milliseconds
        if len(self._times) > MOST_IDLE_CLIENTS + len(self):
            self._drop_idle()

    def companions(self, job: Job) -> tuple[list[Job], int]:
        """The other fast jobs with the same key, in the order of turns, and how many there are.

        Of a client as many as fit when every active client has as many in the batch: otherwise the
        longest line would fill what the others leave, and they would wait for the whole batch.
        """
        share = max(1, LARGEST_BATCH // self._count_active())
        turns, total = [], 0
        for client, line in self._lines[False].items():
            jobs = [other for other in line if other.key == job.key and other is not job]
            start, total = self._times[client], total + len(jobs)
            for number, other in enumerate(jobs[: share - (client == job.client)]):
                turn = start + number * other.estimate.milliseconds
                turns.append((turn, other.since, id(other), other))
        return [entry[-1] for entry in sorted(turns)], total

    def _count_active(self) -> int:
        """The number of clients that added a job within the last ACTIVE seconds."""
        limit = time.perf_counter() - ACTIVE
        while self._last_job_times and next(iter(self._last_job_times.values())) < limit:
            self._last_job_times.popitem(last=False)
        return max(1, len(self._last_job_times))

    def _drop_idle(self) -> None:
        """Drop the virtual times of idle clients that lie before the present one."""
        waiting = {name for lane in self._lines.values() for name in lane}
        self._times = {
            client: value
            for client, value in self._times.items()
            if client in waiting or value > self._now
        }
