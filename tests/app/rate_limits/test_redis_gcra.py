"""Several servers count together in a real Valkey; without one, each alone and none fails."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import redis

from app.rate_limits.gcra import Policy
from app.rate_limits.redis_gcra import RedisBuckets
from kao import embedded_valkey
from models.settings import Settings

POLICY = Policy("pictures", 100, 3600)
Valkey = tuple[str, "subprocess.Popen[bytes]"]


@pytest.fixture
def valkey(settings: Settings) -> Iterator[Valkey]:
    """A Valkey of its own; (url, process)."""
    binary = embedded_valkey.find_server()
    assert binary is not None
    process = subprocess.Popen(embedded_valkey.command(settings, binary), stdout=subprocess.DEVNULL)
    url = f"unix://{settings.redis_socket}"
    deadline = time.monotonic() + 30
    with redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                break
            except redis.RedisError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    yield url, process
    process.kill()
    process.wait()


@asynccontextmanager
async def _servers(url: str, count: int) -> AsyncIterator[list[RedisBuckets]]:
    servers = [RedisBuckets(url) for _ in range(count)]
    try:
        yield servers
    finally:
        for server in servers:
            await server.close()


async def _count_granted(servers: list[RedisBuckets], rounds: int, client: str = "a") -> int:
    """The number of single units that the servers grant in turns before all refuse."""
    count = 0
    for _ in range(rounds):
        verdicts = [await server.charge(POLICY, client, 1) for server in servers]
        count += sum(verdict.is_allowed for verdict in verdicts)
        if not any(verdict.is_allowed for verdict in verdicts):
            break
    return count


def test_servers_share_one_quota(valkey: Valkey) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 3) as servers:
            # The quota, and what an hour's quota gives back in the seconds of this test.
            assert 100 <= await _count_granted(servers, 200) <= 104
            assert (await servers[0].charge(POLICY, "b", 1)).is_allowed

    asyncio.run(run())


def test_most_units_need_no_round_trip_to_redis(valkey: Valkey) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 1) as (server,):
            for _ in range(100):
                verdict = await server.charge(POLICY, "a", 1)
                assert verdict.is_allowed
            assert verdict.remaining in (0, 1)

    with redis.from_url(valkey[0]) as client:
        before = client.info("stats")["total_commands_processed"]
        asyncio.run(run())
        # A script is sent once, and each share is one call of it with three commands inside.
        assert client.info("stats")["total_commands_processed"] - before < 150


def _count_commands(url: str) -> int:
    with redis.from_url(url) as client:
        return int(client.info("stats")["total_commands_processed"])


def test_concurrent_charges_count_like_sequential_ones(valkey: Valkey) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 2) as servers:
            crowd = [servers[number % 2].charge(POLICY, "a", 1) for number in range(300)]
            verdicts = await asyncio.gather(*crowd)
            assert 100 <= sum(verdict.is_allowed for verdict in verdicts) <= 104

    asyncio.run(run())


def test_repeated_refusals_need_no_round_trips_to_redis(valkey: Valkey) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 1) as (server,):
            assert (await server.charge(POLICY, "a", 100)).is_allowed
            before = _count_commands(valkey[0])
            refusals = [await server.charge(POLICY, "a", 1) for _ in range(500)]
            assert not any(verdict.is_allowed for verdict in refusals)
            assert _count_commands(valkey[0]) - before < 30
            assert 3500 < refusals[-1].busy <= 3600

    asyncio.run(run())


def test_a_smaller_cost_may_fit_after_a_larger_one_was_refused(valkey: Valkey) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 1) as (server,):
            assert (await server.charge(POLICY, "a", 90)).is_allowed
            assert not (await server.charge(POLICY, "a", 50)).is_allowed
            assert (await server.charge(POLICY, "a", 5)).is_allowed

    asyncio.run(run())


@pytest.mark.parametrize("cost", [1, 7, 100])
def test_any_cost_fits_a_quota(valkey: Valkey, cost: int) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 1) as (server,):
            count = 0
            for _ in range(100 // cost):
                count += (await server.charge(POLICY, "a", cost)).is_allowed
            assert count == 100 // cost
            refusal = await server.charge(POLICY, "a", cost)
            assert not refusal.is_allowed
            assert refusal.remaining < cost

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_without_redis_each_server_counts_alone_without_waiting(valkey: Valkey, fault: str) -> None:
    url, process = valkey

    async def run() -> None:
        async with _servers(url, 2) as servers:
            assert (await servers[0].charge(POLICY, "a", 1)).is_allowed
            process.send_signal(signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
            start = time.monotonic()
            assert 200 <= await _count_granted(servers, 200, "b") <= 204
            assert time.monotonic() - start < 4  # two waits of a quarter of a second, and noise

    try:
        asyncio.run(run())
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_clock_of_redis_that_is_set_back_refuses_nobody(valkey: Valkey) -> None:
    """It was an hour ahead: what it charged then is full in an hour and a window."""
    url, _ = valkey
    with redis.from_url(url) as client:
        client.set(f"kao:rate:{POLICY.name}:a", str(time.time() + 2 * POLICY.window))

    async def charge() -> bool:
        async with _servers(url, 1) as (server,):
            return (await server.charge(POLICY, "a", 1)).is_allowed

    assert asyncio.run(charge())
