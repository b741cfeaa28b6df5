"""Clients get the lock in turn, and a client that leaves gives up its place."""

import asyncio

import pytest

from app.concurrency_limits.fair_lock import FairLock
from models.errors import Overloaded


async def _enter(lock: FairLock, client: str, order: list[str], end: asyncio.Event) -> None:
    async with lock.take(client):
        order.append(client)
        await end.wait()


def test_clients_take_turns() -> None:
    async def run() -> list[str]:
        lock, order, end = FairLock(), list[str](), asyncio.Event()
        tasks = []
        for client in ("a", "a", "a", "b", "c", "b"):
            tasks.append(asyncio.create_task(_enter(lock, client, order, end)))
            await asyncio.sleep(0)
        end.set()
        await asyncio.gather(*tasks)
        async with lock.take("d"):  # it is free again
            pass
        return order

    assert asyncio.run(run()) == ["a", "a", "b", "c", "a", "b"]


def test_a_client_has_a_limited_number_that_wait() -> None:
    async def run() -> None:
        lock, end = FairLock(each=1), asyncio.Event()
        tasks = [asyncio.create_task(_enter(lock, "a", [], end)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="1 of your requests"):
            await _enter(lock, "a", [], end)
        end.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_those_that_left_do_not_count() -> None:
    async def run() -> None:
        lock, end = FairLock(each=2), asyncio.Event()
        holder = asyncio.create_task(_enter(lock, "a", [], end))
        await asyncio.sleep(0)
        for _ in range(3):
            leaver = asyncio.create_task(_enter(lock, "a", [], end))
            await asyncio.sleep(0)
            leaver.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaver
        assert not lock._queues
        end.set()
        await holder
        await _enter(lock, "a", [], end)

    asyncio.run(run())


@pytest.mark.parametrize("has_its_turn", [False, True])
def test_a_client_that_leaves_passes_its_turn_on(has_its_turn: bool) -> None:
    async def run() -> list[str]:
        lock, order = FairLock(), list[str]()
        first, end = asyncio.Event(), asyncio.Event()
        holder = asyncio.create_task(_enter(lock, "a", order, first))
        await asyncio.sleep(0)
        leaver = asyncio.create_task(_enter(lock, "b", order, end))
        follower = asyncio.create_task(_enter(lock, "c", order, end))
        await asyncio.sleep(0)
        if has_its_turn:
            lock._pass_on()  # its turn has come, and it has not run since
            first = end
        leaver.cancel()
        first.set()
        end.set()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        if has_its_turn:
            holder.cancel()
        else:
            await holder
        await asyncio.wait_for(follower, 30)
        return order

    assert asyncio.run(run()) == ["a", "c"]
