"""Several servers count together in a real Valkey; without one, each alone and none fails."""

import asyncio
import subprocess
import time
from contextlib import asynccontextmanager

import pytest
import redis

from app.rate_limits.gcra import Policy
from app.rate_limits.redis_gcra import RedisBuckets
from kao import embedded_valkey
from models.settings import Settings

POLICY = Policy("pictures", 100, 3600)


@pytest.fixture
def valkey(settings: Settings):
    """A Valkey of its own; (url, process)."""
    binary = embedded_valkey.find_server()
    assert binary is not None
    process = subprocess.Popen(embedded_valkey.command(settings, binary), stdout=subprocess.DEVNULL)
    url = f"unix://{settings.redis_socket}"
    ends = time.monotonic() + 30
    with redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                break
            except redis.RedisError:
                assert time.monotonic() < ends
                time.sleep(0.05)
    yield url, process
    process.kill()
    process.wait()


@asynccontextmanager
async def _servers(url, count):
    servers = [RedisBuckets(url) for _ in range(count)]
    try:
        yield servers
    finally:
        for server in servers:
            await server.close()


async def _count_granted(servers, most, who="a"):
    """How many single units they give out in turns, before all refuse."""
    given = 0
    for _ in range(most):
        verdicts = [await server.charge(POLICY, who, 1) for server in servers]
        given += sum(verdict.is_allowed for verdict in verdicts)
        if not any(verdict.is_allowed for verdict in verdicts):
            break
    return given


def test_servers_share_one_quota(valkey) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 3) as servers:
            # The quota, and what an hour's quota gives back in the seconds of this test.
            assert 100 <= await _count_granted(servers, 200) <= 104
            assert (await servers[0].charge(POLICY, "b", 1)).is_allowed

    asyncio.run(run())


def test_redis_is_not_asked_for_each_unit(valkey) -> None:
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


def _commands(url):
    with redis.from_url(url) as client:
        return client.info("stats")["total_commands_processed"]


def test_a_crowd_at_once_is_counted_as_if_one_came_after_another(valkey) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 2) as servers:
            crowd = [servers[number % 2].charge(POLICY, "a", 1) for number in range(300)]
            verdicts = await asyncio.gather(*crowd)
            assert 100 <= sum(verdict.is_allowed for verdict in verdicts) <= 104

    asyncio.run(run())


def test_who_is_refused_and_asks_on_does_not_keep_redis_busy(valkey) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 1) as (server,):
            assert (await server.charge(POLICY, "a", 100)).is_allowed
            before = _commands(valkey[0])
            refused = [await server.charge(POLICY, "a", 1) for _ in range(500)]
            assert not any(verdict.is_allowed for verdict in refused)
            assert _commands(valkey[0]) - before < 30
            assert 3500 < refused[-1].busy <= 3600

    asyncio.run(run())


def test_who_was_refused_much_may_have_little(valkey) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 1) as (server,):
            assert (await server.charge(POLICY, "a", 90)).is_allowed
            assert not (await server.charge(POLICY, "a", 50)).is_allowed
            assert (await server.charge(POLICY, "a", 5)).is_allowed

    asyncio.run(run())


@pytest.mark.parametrize("cost", [1, 7, 100])
def test_any_cost_fits_a_quota(valkey, cost) -> None:
    async def run() -> None:
        async with _servers(valkey[0], 1) as (server,):
            allowed = 0
            for _ in range(100 // cost):
                allowed += (await server.charge(POLICY, "a", cost)).is_allowed
            assert allowed == 100 // cost
            refused = await server.charge(POLICY, "a", cost)
            assert not refused.is_allowed
            assert refused.remaining < cost

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_without_redis_each_server_counts_alone_and_at_once(valkey, fault) -> None:
    import signal

    url, process = valkey

    async def run() -> None:
        async with _servers(url, 2) as servers:
            assert (await servers[0].charge(POLICY, "a", 1)).is_allowed
            process.send_signal(signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
            began = time.monotonic()
            assert 200 <= await _count_granted(servers, 200, "b") <= 204
            assert time.monotonic() - began < 4  # two waits of a quarter of a second, and noise

    try:
        asyncio.run(run())
    finally:
        process.send_signal(signal.SIGCONT)
