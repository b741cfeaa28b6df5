"""A thousand clients that never finish a request: they are cut off, and nobody else notices."""

import asyncio
import contextlib
import time
from collections import Counter
from urllib.parse import urlsplit

import httpx
import pytest

from app.http import slow_clients

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HALF_OPEN, CLIENTS = 1000, 8
BODY = b"POST /avatars HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
ANSWERED = b"GET /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
# What each kind sends at once, and then every second.
KINDS = {
    "nothing": (b"", b""),
    "half a line": (b"GET /avatar?seed=1", b""),
    "a letter a second": (b"GET /avatar?seed=", b"1"),
    "half a header": (b"GET /avatar HTTP/1.1\r\nHost: a\r\nX-A: ", b""),
    "a header a second": (b"GET /avatar HTTP/1.1\r\nHost: a\r\n", b"X-A: b\r\n"),
    "half a body": (BODY + b"{", b""),
    "a byte of a body a second": (BODY + b"{", b" "),
    "a body after the answer": (ANSWERED, b" " * 2000),
    "idle after an answer": (b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n", b""),
}
# The longest patience there is, and a loaded machine's.
CUT = slow_clients.SILENCE + 30  # s


async def _half_open(port, kind, cut) -> None:
    """Send and read until the server closes; count that."""
    first, again = KINDS[kind]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)

    async def drip() -> None:
        while again:
            await asyncio.sleep(1)
            writer.write(again)

    dripping = asyncio.ensure_future(drip())
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            pass
    cut[kind] += 1
    dripping.cancel()
    writer.transport.abort()


async def _client(url, name, done, told) -> None:
    """Ask for new faces, each over a connection of its own, until all is over."""
    number = 0
    while not done.is_set():
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            answer = await client.get(f"{url}/avatar?seed={name}-{number}")
        assert answer.content.startswith(b"\x89PNG")
        told[answer.status_code] += 1
        number += 1


async def _attacked(url):
    """(half-open connections cut by kind, answers by status, seconds)."""
    cut, told, done = Counter(), Counter(), asyncio.Event()
    began, port = time.monotonic(), urlsplit(url).port
    clients = [asyncio.ensure_future(_client(url, n, done, told)) for n in range(CLIENTS)]
    kinds = [list(KINDS)[n % len(KINDS)] for n in range(HALF_OPEN)]
    async with asyncio.timeout(CUT):
        await asyncio.gather(*(_half_open(port, kind, cut) for kind in kinds))
    seconds = time.monotonic() - began
    done.set()
    await asyncio.gather(*clients)
    return cut, told, seconds


def test_a_thousand_half_open_connections_are_cut_and_every_client_is_served(served) -> None:
    url, process = served
    cut, told, seconds = asyncio.run(_attacked(url))
    assert cut.total() == HALF_OPEN
    assert set(cut) == set(KINDS)
    assert set(told) == {200}
    assert told[200] > CLIENTS * seconds / 10  # on a loaded machine too
    ends = time.monotonic() + 20
    while process.net_connections("tcp")[1:]:  # the first is the one that listens
        assert time.monotonic() < ends
        time.sleep(0.2)
    assert process.num_fds() < 200
