"""A picture is made once, kept while there is room, and never kept when it failed."""

import asyncio

import pytest

from app.avatars.cache.picture_cache import PictureCache
from models.errors import Overloaded


class Maker:
    """Makes pictures of so many bytes and counts; `gate` holds it back."""

    def __init__(self, size: int = 10, error: Exception | None = None) -> None:
        self.size, self.error, self.made = size, error, 0
        self.gate = asyncio.Event()

    async def __call__(self) -> bytes:
        self.made += 1
        await self.gate.wait()
        if self.error:
            raise self.error
        return bytes(self.size)


def test_equal_requests_at_once_share_one_computation() -> None:
    async def ask():
        pictures, make = PictureCache(100), Maker()
        asked = [asyncio.ensure_future(pictures.fetch("a", make)) for _ in range(50)]
        await asyncio.sleep(0)
        make.gate.set()
        assert {await one for one in asked} == {bytes(10)}
        assert await pictures.fetch("a", make) == bytes(10)
        return make.made

    assert asyncio.run(ask()) == 1


@pytest.mark.parametrize("leaving", [1, 3], ids=["the-first", "everyone"])
def test_a_client_that_leaves_does_not_end_the_others_work(leaving) -> None:
    async def ask():
        pictures, make = PictureCache(100), Maker()
        asked = [asyncio.ensure_future(pictures.fetch("a", make)) for _ in range(3)]
        await asyncio.sleep(0)
        for one in asked[:leaving]:
            one.cancel()
        await asyncio.sleep(0)
        make.gate.set()
        assert [await one for one in asked[leaving:]] == [bytes(10)] * (3 - leaving)
        await asyncio.sleep(0.01)
        return pictures.get("a"), make.made

    assert asyncio.run(ask()) == (bytes(10), 1)


def test_a_failure_is_told_to_all_who_wait_and_kept_for_nobody() -> None:
    async def ask():
        pictures, bad, good = PictureCache(100), Maker(error=Overloaded("full")), Maker()
        bad.gate.set()
        good.gate.set()
        told = await asyncio.gather(
            *(pictures.fetch("a", bad) for _ in range(3)), return_exceptions=True
        )
        assert [type(one) for one in told] == [Overloaded] * 3
        assert pictures.get("a") is None
        assert await pictures.fetch("a", good) == bytes(10)
        return bad.made

    assert asyncio.run(ask()) == 1


def test_a_failure_that_nobody_waits_for_is_no_unheard_error() -> None:
    unheard = []

    async def ask() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: unheard.append(told))
        pictures, make = PictureCache(100), Maker(error=Overloaded("full"))
        asked = asyncio.ensure_future(pictures.fetch("a", make))
        await asyncio.sleep(0)
        asked.cancel()
        make.gate.set()
        await asyncio.sleep(0.01)
        assert make.made == 1

    asyncio.run(ask())
    assert unheard == []


@pytest.mark.parametrize(
    ("most", "kept"),
    [
        pytest.param(0, "", id="no-room"),
        pytest.param(9, "", id="too-large-for-it"),
        pytest.param(25, "ca", id="two"),
        pytest.param(30, "bca", id="three"),
    ],
)
def test_the_least_recently_used_goes_first(most, kept) -> None:
    async def ask():
        pictures, make = PictureCache(most), Maker()
        make.gate.set()
        for tag in "abc":
            await pictures.fetch(tag, make)
            await pictures.fetch("a", make)
        assert pictures.bytes == 10 * len(kept) <= most
        return "".join(pictures.etags)

    assert asyncio.run(ask()) == kept
