"""What waits together is drawn together, in order, and never more than the queue holds."""

import asyncio
import threading
from typing import Never

import numpy as np
import pytest

from app.avatars.encode.still import encode
from app.avatars.generate import batching
from app.avatars.generate.batching import Batcher
from app.avatars.generate.engine import Engine
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from models.errors import Overloaded
from models.registry import Registry


class Recorder:
    """Work that notes what came together; the first waits for `gate`."""

    def __init__(self) -> None:
        self.gate, self.batches = threading.Event(), []

    def __call__(self, items):
        self.batches.append(list(items))
        self.gate.wait(10)
        return [f"done {item}" for item in items]


def _run(scenario, threads=1, waiting=100):
    async def main():
        batcher, work = Batcher(threads, waiting), Recorder()
        try:
            return await scenario(batcher, work)
        finally:
            work.gate.set()
            await batcher.stop()

    return asyncio.run(main())


async def _asked(batcher, work, *kinds_and_items):
    asked = [
        asyncio.ensure_future(batcher.submit(kind, work, item)) for kind, item in kinds_and_items
    ]
    await asyncio.sleep(0.05)
    return asked


def test_the_first_goes_alone_and_those_who_had_to_wait_together() -> None:
    async def scenario(batcher, work):
        asked = await _asked(batcher, work, *(("a", number) for number in range(12)))
        work.gate.set()
        assert [await one for one in asked] == [f"done {number}" for number in range(12)]
        return work.batches

    assert _run(scenario) == [[0], list(range(1, 9)), [9, 10, 11]]


def test_kinds_are_not_mixed_and_take_turns() -> None:
    async def scenario(batcher, work):
        kinds = [("x", 0), *(("a", number) for number in range(10)), ("b", 10), ("a", 11)]
        asked = await _asked(batcher, work, *kinds)
        work.gate.set()
        await asyncio.gather(*asked)
        return work.batches

    assert _run(scenario) == [[0], [0, 1, 2, 3, 4, 5, 6, 7], [10], [8, 9, 11]]


def test_threads_share_what_waits() -> None:
    async def scenario(batcher, work):
        asked = await _asked(batcher, work, *(("a", number) for number in range(10)))
        work.gate.set()
        await asyncio.gather(*asked)
        return sorted(map(len, work.batches))

    assert max(_run(scenario, threads=2)) <= 4


def test_a_full_queue_refuses_and_who_leaves_it_makes_room() -> None:
    async def scenario(batcher, work):
        asked = await _asked(batcher, work, *(("a", number) for number in range(3)))
        with pytest.raises(Overloaded):
            await batcher.submit("a", work, 3)
        asked[1].cancel()
        work.gate.set()
        assert await asked[0] == "done 0"
        assert await asked[2] == "done 2"
        return work.batches, batcher.pending

    assert _run(scenario, waiting=2) == ([[0], [2]], 0)


def test_an_error_is_told_to_each_whom_it_concerns() -> None:
    def odd(items):
        return [ValueError(item) if item % 2 else item for item in items]

    def broken(items) -> Never:
        raise OSError("disk")

    async def scenario(batcher, work):
        first = await _asked(batcher, work, ("x", 0))
        good = await _asked(batcher, odd, *(("a", number) for number in range(4)))
        bad = await _asked(batcher, broken, ("b", 0), ("b", 1))
        work.gate.set()
        outcomes = await asyncio.gather(*first, *good, *bad, return_exceptions=True)
        assert batcher.pending == 0
        return [type(outcome) for outcome in outcomes]

    assert _run(scenario) == [str, int, ValueError, int, ValueError, OSError, OSError]


def test_stopping_finishes_what_has_a_thread_and_ends_the_rest() -> None:
    async def main() -> None:
        batcher, work = Batcher(1, 10), Recorder()
        running, waiting = await _asked(batcher, work, ("a", 0), ("a", 1))
        work.gate.set()
        await batcher.stop()
        assert await running == "done 0"
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert work.batches == [[0]]

    asyncio.run(main())


def test_a_face_is_the_same_bytes_alone_and_in_any_company(
    registry: Registry, versions: list[str]
) -> None:

    def finish(pixels) -> bytes:
        return encode(pixels[0], size=64, format="png")

    async def draw(seeds):
        engine = Engine(registry, 1, 100, 2**30)
        drawer = await engine.drawer(versions[0])
        sizes = []
        counted = drawer.synthesise
        drawer.synthesise = lambda w: (sizes.append(len(w)), counted(w))[1]  # type: ignore[method-assign]
        requests = [PictureRequest.parse(AVATAR, {"seed": str(seed)}) for seed in seeds]
        drawn = await asyncio.gather(*(engine.draw(drawer, one, finish) for one in requests))
        await engine.stop()
        return dict(zip(seeds, drawn, strict=True)), sizes

    together, sizes = asyncio.run(draw(range(20)))
    assert max(sizes) == batching.LARGEST_BATCH
    for seed in (0, 5, 19):
        alone, _ = asyncio.run(draw([seed]))
        assert alone[seed] == together[seed]
    assert np.unique([hash(body) for body in together.values()]).size == 20
