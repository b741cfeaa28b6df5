"""Two thousand concurrent clients: some get a 503, none is lost, no memory leaks."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from tests.app.conftest import LiveServer

pytestmark = pytest.mark.slow

CLIENTS, ROUNDS = 2000, 3
Answers = Counter[tuple[int, str | None]]  # by status and Retry-After


def _wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


async def _crowd(url: str, first_seed: int) -> tuple[Answers, int]:
    """Request CLIENTS faces at once, each over its own connection; the peak of connections."""
    answers: Answers = Counter()
    connections: list[int] = []
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(limits=limits, timeout=120, trust_env=False) as client:

        async def request_face(number: int) -> None:
            answer = await client.get(f"{url}/avatar?seed={first_seed + number}")
            answers[answer.status_code, answer.headers.get("retry-after")] += 1
            if answer.status_code == 200:
                assert answer.content.startswith(b"\x89PNG")
            else:
                assert answer.json()["type"] == "urn:kao:problem:overloaded"

        async def watch() -> None:
            while True:
                connections.append(_count_established(int(url.rsplit(":", 1)[1])))
                await asyncio.sleep(0.1)

        watcher = asyncio.ensure_future(watch())
        # gather raises what any of them raises: a lost connection fails the test.
        await asyncio.gather(*(request_face(number) for number in range(CLIENTS)))
        watcher.cancel()
    return answers, max(connections)


def _count_established(port: int) -> int:
    """Established connections to a local port (proc_net_tcp(5); 01: established)."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_every_client_of_a_crowd_is_answered(live_server: LiveServer) -> None:
    url, process = live_server
    answers: Answers = Counter()
    memory: list[int] = []
    for number in range(ROUNDS):
        counts, peak = asyncio.run(_crowd(url, number * CLIENTS))
        answers += counts
        assert peak > CLIENTS * 0.9
        _wait_until(lambda: _count_established(int(url.rsplit(":", 1)[1])) == 0)
        memory.append(process.memory_info().rss)
    assert set(answers) == {(200, None), (503, "1")}
    assert answers.total() == ROUNDS * CLIENTS
    # The first round fills caches and pools; later ones must not add memory.
    assert max(memory[1:]) < 1.1 * memory[0]
    assert httpx.get(f"{url}/avatar?seed=after", trust_env=False).status_code == 200
