"""Two thousand clients at once: some are told to come back, none is lost, nothing stays behind."""

import asyncio
import time
from collections import Counter

import httpx
import pytest

from tests.app.conftest import Served

pytestmark = pytest.mark.slow

CLIENTS, ROUNDS = 2000, 3


def _eventually(holds, seconds=30) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.2)


async def _crowd(url: str, first_seed):
    """Every client asks for a face of its own, over a connection of its own, at the same time."""
    told, connections = Counter(), []
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(limits=limits, timeout=120, trust_env=False) as client:

        async def ask(number: str) -> None:
            answer = await client.get(f"{url}/avatar?seed={first_seed + number}")
            told[answer.status_code, answer.headers.get("retry-after")] += 1
            if answer.status_code == 200:
                assert answer.content.startswith(b"\x89PNG")
            else:
                assert answer.json()["type"] == "urn:kao:problem:overloaded"

        async def watch() -> None:
            while True:
                connections.append(_established(int(url.rsplit(":", 1)[1])))
                await asyncio.sleep(0.1)

        watching = asyncio.ensure_future(watch())
        # gather raises what any of them raises: a lost connection fails the test.
        await asyncio.gather(*(ask(number) for number in range(CLIENTS)))
        watching.cancel()
    return told, max(connections)


def _established(port):
    """Connections to a local port, as the kernel lists them (proc_net_tcp(5); 01: established)."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_a_crowd_is_answered_and_forgotten(served: Served) -> None:
    url, process = served
    told, memory = Counter(), []
    for number in range(ROUNDS):
        seen, most = asyncio.run(_crowd(url, number * CLIENTS))
        told += seen
        assert most > CLIENTS * 0.9
        _eventually(lambda: _established(int(url.rsplit(":", 1)[1])) == 0)
        memory.append(process.memory_info().rss)
    assert set(told) == {(200, None), (503, "1")}
    assert told.total() == ROUNDS * CLIENTS
    # The first round fills caches and pools; after it a crowd leaves nothing behind.
    assert max(memory[1:]) < 1.1 * memory[0]
    assert httpx.get(f"{url}/avatar?seed=after", trust_env=False).status_code == 200
