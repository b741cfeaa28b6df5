"""A thousand clients that never finish a request are cut off, and other clients are served."""

import asyncio
import contextlib
import time
from collections import Counter
from urllib.parse import urlsplit

import httpx
import pytest

from app.http import slow_clients
from tests.app.conftest import LiveServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HALF_OPEN, CLIENTS = 1000, 8
BODY = b"POST /avatars HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
REQUEST = b"GET /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
# What each kind of client sends at once, and then every second.
KINDS = {
    "nothing": (b"", b""),
    "half a line": (b"GET /avatar?seed=1", b""),
    "a letter a second": (b"GET /avatar?seed=", b"1"),
    "half a header": (b"GET /avatar HTTP/1.1\r\nHost: a\r\nX-A: ", b""),
    "a header a second": (b"GET /avatar HTTP/1.1\r\nHost: a\r\n", b"X-A: b\r\n"),
    "half a body": (BODY + b"{", b""),
    "a byte of a body a second": (BODY + b"{", b" "),
    "a body after the answer": (REQUEST, b" " * 2000),
    "idle after an answer": (b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n", b""),
}
# The longest deadline, and time for a loaded machine.
CUT = slow_clients.LONGEST_PAUSE + 30  # s


async def _half_open(port: int, kind: str, cut: Counter[str]) -> None:
    """Send and read until the server closes; count that."""
    first, piece = KINDS[kind]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)

    async def drip() -> None:
        while piece:
            await asyncio.sleep(1)
            writer.write(piece)

    drip_task = asyncio.ensure_future(drip())
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            pass
    cut[kind] += 1
    drip_task.cancel()
    writer.transport.abort()


async def _client(
    url: str, name: int, end_of_attack: asyncio.Event, statuses: Counter[int]
) -> None:
    """Request new faces, each over a connection of its own, until `done`."""
    number = 0
    while not end_of_attack.is_set():
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            answer = await client.get(f"{url}/avatar?seed={name}-{number}")
        assert answer.content.startswith(b"\x89PNG")
        statuses[answer.status_code] += 1
        number += 1


async def _attack(url: str) -> tuple[Counter[str], Counter[int], float]:
    """(half-open connections cut by kind, answers by status, seconds)."""
    cut: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    end_of_attack, start, port = asyncio.Event(), time.monotonic(), urlsplit(url).port
    assert port is not None
    clients = [
        asyncio.ensure_future(_client(url, n, end_of_attack, statuses)) for n in range(CLIENTS)
    ]
    kinds = [list(KINDS)[n % len(KINDS)] for n in range(HALF_OPEN)]
    async with asyncio.timeout(CUT):
        await asyncio.gather(*(_half_open(port, kind, cut) for kind in kinds))
    seconds = time.monotonic() - start
    end_of_attack.set()
    await asyncio.gather(*clients)
    return cut, statuses, seconds


def test_a_thousand_half_open_connections_are_cut_and_every_client_is_served(
    live_server: LiveServer,
) -> None:
    url, process = live_server
    cut, statuses, seconds = asyncio.run(_attack(url))
    assert cut.total() == HALF_OPEN
    assert set(cut) == set(KINDS)
    assert set(statuses) == {200}
    assert statuses[200] > CLIENTS * seconds / 10  # on a loaded machine too
    deadline = time.monotonic() + 20
    while process.net_connections("tcp")[1:]:  # the first is the listening one
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert process.num_fds() < 200
