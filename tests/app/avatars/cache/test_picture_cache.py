"""A picture is rendered once, kept while there is room, and never kept when it failed."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from app.avatars.cache.picture_cache import PictureCache
from models.errors import Overloaded


class Renderer:
    """Renders pictures of `size` bytes and counts them; `gate` holds it back."""

    def __init__(self, size: int = 10, error: Exception | None = None) -> None:
        self.size, self.error, self.count = size, error, 0
        self.gate = asyncio.Event()

    async def __call__(self) -> bytes:
        self.count += 1
        await self.gate.wait()
        if self.error:
            raise self.error
        return bytes(self.size)


async def _settle() -> None:
    """Let every task run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def _start(fetch: Awaitable[bytes]) -> asyncio.Future[bytes]:
    return asyncio.ensure_future(fetch)


def test_equal_requests_at_once_share_one_render() -> None:
    async def scenario() -> int:
        pictures, render = PictureCache(100), Renderer()
        requests = [_start(pictures.fetch("a", render)) for _ in range(50)]
        await asyncio.sleep(0)
        render.gate.set()
        assert {await request for request in requests} == {bytes(10)}
        assert await pictures.fetch("a", render) == bytes(10)
        return render.count

    assert asyncio.run(scenario()) == 1


def test_a_client_that_disconnects_does_not_cancel_the_render_of_others() -> None:
    async def scenario() -> tuple[bytes | None, int]:
        pictures, render = PictureCache(100), Renderer()
        requests = [_start(pictures.fetch("a", render)) for _ in range(3)]
        await asyncio.sleep(0)
        requests[0].cancel()
        await asyncio.sleep(0)
        render.gate.set()
        assert [await request for request in requests[1:]] == [bytes(10)] * 2
        return pictures.get("a"), render.count

    assert asyncio.run(scenario()) == (bytes(10), 1)


def test_a_render_without_waiting_clients_is_dropped_and_a_later_request_starts_anew() -> None:
    async def scenario() -> int:
        pictures, render = PictureCache(100), Renderer()
        requests = [_start(pictures.fetch("a", render)) for _ in range(3)]
        await asyncio.sleep(0)
        for request in requests:
            request.cancel()
        await _settle()
        assert pictures.get("a") is None
        render.gate.set()
        assert await pictures.fetch("a", render) == bytes(10)
        return render.count

    assert asyncio.run(scenario()) == 2


def test_a_failure_is_raised_to_all_waiters_and_not_kept() -> None:
    async def scenario() -> int:
        pictures = PictureCache(100)
        failing, working = Renderer(error=Overloaded("full")), Renderer()
        failing.gate.set()
        working.gate.set()
        errors = await asyncio.gather(
            *(pictures.fetch("a", failing) for _ in range(3)), return_exceptions=True
        )
        assert [type(error) for error in errors] == [Overloaded] * 3
        assert pictures.get("a") is None
        assert await pictures.fetch("a", working) == bytes(10)
        return failing.count

    assert asyncio.run(scenario()) == 1


def test_a_failure_without_waiting_clients_is_not_reported_by_asyncio() -> None:
    reports: list[dict[str, Any]] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(context))
        pictures, render = PictureCache(100), Renderer(error=Overloaded("full"))
        request = _start(pictures.fetch("a", render))
        await asyncio.sleep(0)
        request.cancel()
        render.gate.set()
        await _settle()
        assert render.count == 1

    asyncio.run(scenario())
    assert reports == []


@pytest.mark.parametrize(
    ("capacity", "etags"),
    [
        pytest.param(0, "", id="no-room"),
        pytest.param(9, "", id="larger-than-all-room"),
        pytest.param(25, "ca", id="two"),
        pytest.param(30, "bca", id="three"),
    ],
)
def test_the_least_recently_used_is_evicted_first(capacity: int, etags: str) -> None:
    async def scenario() -> str:
        pictures, render = PictureCache(capacity), Renderer()
        render.gate.set()
        for etag in "abc":
            await pictures.fetch(etag, render)
            await pictures.fetch("a", render)
        assert pictures.bytes == 10 * len(etags) <= capacity
        return "".join(pictures.etags)

    assert asyncio.run(scenario()) == etags
