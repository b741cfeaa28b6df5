"""Clients take turns, slow work leaves a thread to faces, and what runs at once fits the memory."""

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.avatars import interruption
from app.avatars.generate import batching
from app.avatars.generate.batching import UNLIMITED, Batcher
from app.avatars.generate.memory_budget import LARGEST_PICTURE, MemoryBudget
from app.avatars.interruption import InterruptedDrawingError
from app.avatars.request.costs import PLAIN, Estimate
from models import memory
from models.errors import Overloaded, TooLargeToDraw

T = TypeVar("T")
SLOW = Estimate(3000, PLAIN.bytes)


class Work:
    """Records what starts; each item waits for `gate`."""

    def __init__(self) -> None:
        self.gate, self.started = threading.Event(), list[Any]()

    def __call__(self, items: Sequence[Any]) -> Sequence[Any]:
        self.started += items
        assert self.gate.wait(30)
        return items


def _run(
    scenario: Callable[[Batcher, Work], Awaitable[T]],
    threads: int = 1,
    queue: int = 100,
    memory: int = UNLIMITED,
) -> T:
    async def main() -> T:
        batcher, work = Batcher(threads, queue, memory), Work()
        try:
            return await scenario(batcher, work)
        finally:
            work.gate.set()
            await batcher.stop()

    return asyncio.run(main())


async def _submit(
    batcher: Batcher, work: Work, client: str, *names: str, estimate: Estimate = PLAIN
) -> list[asyncio.Future[Any]]:
    """Submit items with keys of their own; they are in the queue when it returns."""
    before = batcher.pending
    tasks = [
        asyncio.ensure_future(batcher.submit(object(), work, name, client, estimate))
        for name in names
    ]
    while batcher.pending < before + len(names):
        await asyncio.sleep(0)
    return [*tasks]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def test_clients_take_turns_whatever_they_queued() -> None:
    async def scenario(batcher: Batcher, work: Work) -> list[str]:
        tasks = await _submit(batcher, work, "greedy", *(f"g{number}" for number in range(9)))
        tasks += await _submit(batcher, work, "polite", "p0", "p1")
        work.gate.set()
        await asyncio.gather(*tasks)
        return work.started

    assert _run(scenario)[:5] in (["g0", "p0", "g1", "p1", "g2"], ["g0", "g1", "p0", "p1", "g2"])


def test_a_batch_has_as_many_of_each_client() -> None:
    batches: list[list[str]] = []
    gate = threading.Event()

    def work(items: Sequence[str]) -> Sequence[str]:
        batches.append(list(items))
        assert gate.wait(30)
        return items

    async def scenario(batcher: Batcher, _: Work) -> None:
        clients = ["greedy"] * 20 + ["a", "b", "c"]
        tasks = [asyncio.ensure_future(batcher.submit("key", work, each, each)) for each in clients]
        await _until(lambda: batcher.pending == len(clients))
        gate.set()
        await asyncio.gather(*tasks)

    _run(scenario)
    assert sorted(batches[1]) == ["a", "b", "c", "greedy", "greedy"]


def test_a_client_pays_with_its_turns_for_what_its_work_takes() -> None:
    """After a slow picture of 3 s its faces wait behind a thousand of another client."""

    async def scenario(batcher: Batcher, work: Work) -> list[str]:
        tasks = await _submit(batcher, work, "polite", "p0")
        tasks += await _submit(batcher, work, "greedy", "slow", estimate=SLOW)
        tasks += await _submit(batcher, work, "greedy", "g0")
        tasks += await _submit(batcher, work, "polite", *(f"p{number}" for number in range(1, 20)))
        work.gate.set()
        await asyncio.gather(*tasks)
        return work.started

    assert _run(scenario)[-1] == "g0"


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_slow_work_takes_no_thread_from_faces(threads: int) -> None:
    names = [f"face {number}" for number in range(threads)]

    async def scenario(batcher: Batcher, work: Work) -> int:
        tasks = await _submit(batcher, work, "greedy", *"abcdefgh", estimate=SLOW)
        await _until(lambda: len(work.started) == batcher.slow_threads)
        tasks += await _submit(batcher, work, "polite", *names)
        await _until(lambda: {*names} <= {*work.started})
        count = len(work.started)
        work.gate.set()
        await asyncio.gather(*tasks)
        return count

    assert _run(scenario, threads) == max(1, threads // 2) + threads


@pytest.mark.skipif(sys.platform != "linux", reason="nice is per thread on Linux alone")
def test_slow_work_yields_the_cores_to_faces() -> None:
    def priority(_: Sequence[Any]) -> Sequence[Any]:
        return [os.getpriority(os.PRIO_PROCESS, threading.get_native_id())]

    async def scenario(batcher: Batcher, _: Work) -> tuple[int, int]:
        fast = await batcher.submit("fast", priority, 0)
        return fast, await batcher.submit("slow", priority, 0, None, SLOW)

    fast, slow = _run(scenario)
    assert slow == min(19, fast + batching.SLOW_NICE)


def test_slow_work_at_once_fits_the_memory() -> None:
    half = Estimate(3000, 60)

    async def scenario(batcher: Batcher, work: Work) -> int:
        tasks = await _submit(batcher, work, "a", *"abcdefgh", estimate=half)
        tasks += await _submit(batcher, work, "b", "face", estimate=Estimate(3, 30))
        await _until(lambda: "face" in work.started)
        count = len(work.started)
        work.gate.set()
        await asyncio.gather(*tasks)
        return count

    # One face may always run: the budget has set its memory aside.
    assert _run(scenario, threads=8, memory=110) == 1 + 1
    assert _run(scenario, threads=8, memory=130) == 2 + 1
    assert _run(scenario, threads=8, memory=200) == 3 + 1


def test_what_never_fits_the_memory_is_refused() -> None:
    async def scenario(batcher: Batcher, work: Work) -> None:
        with pytest.raises(TooLargeToDraw):
            await batcher.submit(object(), work, "huge", "a", Estimate(3000, 131))

    _run(scenario, memory=130)


def test_a_full_queue_refuses_the_client_with_the_most() -> None:
    async def scenario(batcher: Batcher, work: Work) -> list[Any]:
        tasks = await _submit(batcher, work, "greedy", *"abcd")
        late = asyncio.ensure_future(batcher.submit(object(), work, "p", "polite"))
        await _until(tasks[3].done)
        with pytest.raises(Overloaded):  # one more would be as many as the greedy client has
            await batcher.submit(object(), work, "more", "greedy")
        work.gate.set()
        outcomes = await asyncio.gather(*tasks, late, return_exceptions=True)
        return [
            type(outcome) if isinstance(outcome, Exception) else outcome for outcome in outcomes
        ]

    assert _run(scenario, queue=3) == ["a", "b", "c", Overloaded, "p"]


def test_work_without_a_waiter_never_starts() -> None:
    async def scenario(batcher: Batcher, work: Work) -> list[str]:
        running, gone = await _submit(batcher, work, "a", "running", "gone")
        gone.cancel()
        await _until(lambda: batcher.pending == 1)
        work.gate.set()
        await running
        return work.started

    assert _run(scenario) == ["running"]


def test_running_work_without_a_waiter_ends_at_the_next_frame() -> None:
    frames, ended = [], threading.Event()

    def loop(_: Sequence[Any]) -> Sequence[Any]:
        try:
            while True:
                interruption.check()
                frames.append(1)
                ended.wait(0.001)
        except InterruptedDrawingError:
            ended.set()
            raise

    async def scenario(batcher: Batcher, _: Work) -> None:
        task = asyncio.ensure_future(batcher.submit("loop", loop, 0))
        await _until(lambda: bool(frames))
        task.cancel()
        await _until(ended.is_set)
        await _until(lambda: batcher.pending == 0)

    _run(scenario)


def test_a_drawing_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "DEADLINE", 0.05)

    async def scenario(batcher: Batcher, work: Work) -> None:
        with pytest.raises(Overloaded, match="not drawn within"):
            await batcher.submit(object(), work, "stuck")
        assert batcher.longest_run() > 0.04  # its thread is still there

    _run(scenario)


@pytest.mark.parametrize(
    ("limit", "threads"),
    [
        pytest.param(64 * 2**30, 8, id="a-host"),
        pytest.param(2 * 2**30, 8, id="2-GiB"),
        pytest.param(2**30, 2, id="1-GiB"),
        pytest.param(2**29, 1, id="512-MiB"),
        pytest.param(2**20, 1, id="nothing"),
    ],
)
def test_threads_and_pictures_follow_the_memory_limit(limit: int, threads: int) -> None:
    budget = MemoryBudget.divide(limit, 8, 32 * 2**20, 256 * 2**20)
    assert budget.threads == threads
    if limit >= 2**30:
        assert LARGEST_PICTURE <= budget.pictures < limit - 200 * 2**20


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({"memory.max": "1073741824"}, 2**30, id="container"),
        pytest.param({"memory.max": "max"}, None, id="no-limit"),
        pytest.param({"a/memory.max": "max", "a/b/memory.max": "512"}, 512, id="own-group"),
        pytest.param({"a/memory.max": "256", "a/b/memory.max": "512"}, 256, id="parent"),
        pytest.param({"memory/a/memory.limit_in_bytes": "128"}, 128, id="version-1"),
        pytest.param({}, None, id="no-cgroup"),
    ],
)
def test_the_memory_limit_of_a_container_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str], limit: int | None
) -> None:
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "cgroup")
    physical = memory.available()
    (tmp_path / "cgroup").write_text("4:memory:/a\n3:cpu,cpuacct:/a\n0::/a/b\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory.available() == (physical if limit is None else limit)
