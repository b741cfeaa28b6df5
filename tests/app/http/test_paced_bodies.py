"""Large bodies go out in pieces, and slow readers do not keep the server's memory."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app.http import paced_bodies
from app.http.paced_bodies import LEAST, PIECE, PacedBodies

SCOPE: Scope = {"type": "http"}


async def _receive() -> Message:
    raise AssertionError


async def _wait_forever() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


def _answering(body: bytes) -> PacedBodies:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(body)(scope, receive, send)

    return PacedBodies(app, 0)


class Reader:
    """A client that reads every piece, or stops after so many."""

    def __init__(self, pieces: int | None = None) -> None:
        self.pieces, self.is_complete = pieces, False
        self.parts: list[bytes] = []

    async def send(self, message: Message) -> None:
        if self.pieces is not None and len(self.parts) >= self.pieces:
            await asyncio.Event().wait()
        if message["type"] == "http.response.body":
            self.parts.append(message["body"])
            self.is_complete = not message.get("more_body", False)
        await asyncio.sleep(0)


def test_a_large_body_arrives_whole_in_pieces() -> None:
    body = bytes(range(256)) * (PIECE // 256 * 2 + 1)
    reader = Reader()
    asyncio.run(_answering(body)(SCOPE, _receive, reader.send))
    assert b"".join(reader.parts) == body
    assert reader.is_complete
    assert [len(part) for part in reader.parts] == [PIECE, PIECE, len(body) - 2 * PIECE]


@pytest.mark.parametrize("size", [0, 1, PIECE])
def test_a_small_body_is_sent_as_it_is(size: int) -> None:
    reader = Reader()
    asyncio.run(_answering(b"x" * size)(SCOPE, _receive, reader.send))
    assert reader.parts == [b"x" * size]


def test_unread_bodies_are_dropped_in_favour_of_those_that_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paced_bodies, "MINIMUM_AGE", 0.0)
    bodies = iter([bytes([number]) * (LEAST // 4 + 1) for number in range(9)])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(next(bodies))(scope, receive, send)

    async def run() -> None:
        middleware = PacedBodies(app, 0)
        stuck = [asyncio.create_task(middleware(SCOPE, _receive, Reader(1).send)) for _ in range(8)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert middleware._count_bytes() <= LEAST
        assert sum(task.done() for task in stuck) == 8 - 3
        reader = Reader()
        await middleware(SCOPE, _receive, reader.send)
        assert reader.is_complete
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        assert middleware._count_bytes() == 0

    asyncio.run(run())


def test_a_stream_that_was_dropped_is_not_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its later parts would make a whole response of one that has a gap."""
    monkeypatch.setattr(paced_bodies, "MINIMUM_AGE", 0.0)

    completions: list[bytes] = []

    async def iterate() -> AsyncIterator[bytes]:
        for part in (bytes([1]) * (LEAST // 2 + 1), bytes([2]) * (LEAST // 2 + 2), b"end"):
            yield part
        completions.append(b"end")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(iterate())(scope, receive, send)

    async def run() -> None:
        middleware, readers = PacedBodies(app, 0), [Reader(1) for _ in range(4)]
        sends = [
            asyncio.create_task(middleware(SCOPE, _wait_forever, reader.send)) for reader in readers
        ]
        for _ in range(30):
            await asyncio.sleep(0)
        finished = [reader for reader, task in zip(readers, sends, strict=True) if task.done()]
        assert finished
        assert not any(reader.is_complete for reader in readers)
        assert all(set(b"".join(reader.parts)) == {1} for reader in finished)
        assert completions == [], "what no client reads is not drawn"
        for task in sends:
            task.cancel()
        await asyncio.gather(*sends, return_exceptions=True)

    asyncio.run(run())


def test_one_picture_that_many_read_counts_once() -> None:
    body = b"x" * (LEAST // 2 + 1)

    async def run() -> None:
        middleware = _answering(body)
        readers = [
            asyncio.create_task(middleware(SCOPE, _receive, Reader(1).send)) for _ in range(9)
        ]
        for _ in range(20):
            await asyncio.sleep(0)
        assert not any(task.done() for task in readers)
        for task in readers:
            task.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    asyncio.run(run())


def test_a_client_that_leaves_cancels_as_before() -> None:
    async def run() -> None:
        middleware = _answering(b"x" * (2 * PIECE))
        task = asyncio.create_task(middleware(SCOPE, _receive, Reader(1).send))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
