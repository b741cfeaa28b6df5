"""Waiting work of one key is one batch, in order, and the queue is never longer than its limit."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Never, TypeVar

import numpy as np
import pytest

from app.avatars import traits
from app.avatars.encode.still import encode
from app.avatars.generate.batching import Batcher
from app.avatars.generate.engine import Engine
from app.avatars.generate.fair_queue import LARGEST_BATCH
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from models.bundle.generator import Floats, Pixels
from models.errors import Overloaded
from models.registry import Registry

T = TypeVar("T")


class Recorder:
    """Work that records its batches; each waits for `gate`."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> list[str]:
        self.batches.append(list(items))
        assert self.gate.wait(30)
        return [f"done {item}" for item in items]


def _run(
    scenario: Callable[[Batcher, Recorder], Awaitable[T]], threads: int = 1, queue: int = 100
) -> T:
    async def main() -> T:
        batcher, work = Batcher(threads, queue), Recorder()
        try:
            return await scenario(batcher, work)
        finally:
            work.gate.set()
            await batcher.stop()

    return asyncio.run(main())


async def _submit(
    batcher: Batcher, work: Callable[[Sequence[int]], Sequence[Any]], *jobs: tuple[Hashable, int]
) -> list[asyncio.Future[Any]]:
    """Submit items with their keys. Every task has entered the queue when it returns."""
    before = batcher.pending
    tasks = [asyncio.ensure_future(batcher.submit(key, work, item)) for key, item in jobs]
    while batcher.pending < before + len(jobs):
        await asyncio.sleep(0)
    return [*tasks]


def test_the_first_item_is_alone_and_those_that_had_to_wait_are_together() -> None:
    async def scenario(batcher: Batcher, work: Recorder) -> list[list[int]]:
        tasks = await _submit(batcher, work, *(("a", number) for number in range(12)))
        work.gate.set()
        assert [await task for task in tasks] == [f"done {number}" for number in range(12)]
        return work.batches

    assert _run(scenario) == [[0], list(range(1, 9)), [9, 10, 11]]


def test_keys_are_not_mixed_and_one_client_waits_in_order() -> None:
    async def scenario(batcher: Batcher, work: Recorder) -> list[list[int]]:
        jobs = [("x", 0), *(("a", number) for number in range(10)), ("b", 10), ("a", 11)]
        tasks = await _submit(batcher, work, *jobs)
        work.gate.set()
        await asyncio.gather(*tasks)
        return work.batches

    assert _run(scenario) == [[0], [0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 11], [10]]


def test_threads_share_the_queue() -> None:
    async def scenario(batcher: Batcher, work: Recorder) -> list[int]:
        tasks = await _submit(batcher, work, *(("a", number) for number in range(10)))
        work.gate.set()
        await asyncio.gather(*tasks)
        return sorted(map(len, work.batches))

    assert max(_run(scenario, threads=2)) <= 4


def test_a_full_queue_refuses_and_a_cancelled_item_makes_room() -> None:
    async def scenario(batcher: Batcher, work: Recorder) -> tuple[list[list[int]], int]:
        tasks = await _submit(batcher, work, *(("a", number) for number in range(3)))
        with pytest.raises(Overloaded):
            await batcher.submit("a", work, 3)
        tasks[1].cancel()
        work.gate.set()
        assert await tasks[0] == "done 0"
        assert await tasks[2] == "done 2"
        return work.batches, batcher.pending

    assert _run(scenario, queue=2) == ([[0], [2]], 0)


def test_an_error_is_raised_only_to_those_it_concerns() -> None:
    def fail_odd(items: Sequence[int]) -> list[Any]:
        return [ValueError(item) if item % 2 else item for item in items]

    def fail(items: Sequence[int]) -> Never:
        raise OSError("disk")

    async def scenario(batcher: Batcher, work: Recorder) -> list[type]:
        tasks = await _submit(batcher, work, ("x", 0))
        tasks += await _submit(batcher, fail_odd, *(("a", number) for number in range(4)))
        tasks += await _submit(batcher, fail, ("b", 0), ("b", 1))
        work.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert batcher.pending == 0
        return [type(outcome) for outcome in outcomes]

    assert _run(scenario) == [str, int, ValueError, int, ValueError, OSError, OSError]


def test_stopping_finishes_running_batches_and_cancels_the_queue() -> None:
    async def main() -> None:
        batcher, work = Batcher(1, 10), Recorder()
        running, waiting = await _submit(batcher, work, ("a", 0), ("a", 1))
        work.gate.set()
        await batcher.stop()
        assert await running == "done 0"
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert work.batches == [[0]]

    asyncio.run(main())


@pytest.mark.parametrize("texts", [{}, {"psi": "0.7"}, {"age": "0.5"}], ids=str)
def test_a_face_has_the_same_bytes_alone_and_in_a_batch(
    registry: Registry, versions: list[str], texts: dict[str, str]
) -> None:
    def encode_face(pixels: Pixels) -> bytes:
        return encode(pixels[0], size=64, format="png")

    async def draw(seeds: Sequence[int]) -> dict[int, bytes]:
        engine = Engine(registry, 1, 100, 2**30)
        drawer = await engine.drawer(versions[0])
        requests = [
            traits.resolve(PictureRequest.parse(AVATAR, {"seed": str(seed), **texts}), drawer.card)
            for seed in seeds
        ]
        bodies = await asyncio.gather(
            *(engine.draw(drawer, request, encode_face) for request in requests)
        )
        await engine.stop()
        return dict(zip(seeds, bodies, strict=True))

    together = asyncio.run(draw(range(20)))
    for seed in (0, 5, 19):
        assert asyncio.run(draw([seed]))[seed] == together[seed]
    assert len(set(together.values())) == 20


def test_faces_of_different_sizes_and_formats_are_one_batch(
    registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> list[int]:
        engine = Engine(registry, 1, 100, 2**30)
        drawer = await engine.drawer(versions[0])
        counts: list[int] = []
        synthesise = drawer.synthesise

        def count(w: Floats) -> Pixels:
            counts.append(len(w))
            return synthesise(w)

        monkeypatch.setattr(drawer, "synthesise", count)
        texts = [{"size": "16"}, {"size": "200"}, {"format": "webp"}, {"shape": "circle"}] * 3
        requests = [
            traits.resolve(PictureRequest.parse(AVATAR, {"seed": str(seed), **fields}), drawer.card)
            for seed, fields in enumerate(texts)
        ]
        await asyncio.gather(*(engine.draw(drawer, request, np.copy) for request in requests))
        await engine.stop()
        return counts

    assert asyncio.run(scenario()) == [1, LARGEST_BATCH, 3]
