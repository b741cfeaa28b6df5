"""Sends large bodies piece by piece, and drops the slowest where they take too much memory.

A picture that waits for its reader is in no other budget: the server would buffer it whole, and a
client that orders sheets and reads none of them would fill the memory.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

PIECE = 64 * 2**10  # bytes; uvicorn waits for the reader between two pieces
LEAST = 16 * 2**20  # bytes of all bodies that are being sent
SHARE = 32  # of the memory limit: what they may take is a part of it
YOUNG = 1.0  # s in which no body is dropped


class PacedBodies:
    """Middleware around everything that sends bodies whole.

    limit: bytes of memory that this process may use. A body that several requests send is in memory
    once, and counts once.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.capacity = app, max(LEAST, limit // SHARE)
        self._sending: list[_Sending] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app; send its large bodies in pieces."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_paced(message: Message) -> None:
            if len(message.get("body", b"")) <= PIECE:
                return await send(message)
            await self._send(message, send)

        await self.app(scope, receive, send_paced)

    async def _send(self, message: Message, send: Send) -> None:
        body: bytes = message["body"]
        with self._holding(body) as sending:
            for start in range(0, len(body), PIECE):
                end = start + PIECE
                is_last = end >= len(body) and not message.get("more_body", False)
                piece = {**message, "body": body[start:end], "more_body": not is_last}
                try:
                    await send(piece)
                except asyncio.CancelledError:
                    if not sending.is_dropped:
                        raise
                    sending.task.uncancel()
                    return  # incomplete, so the server closes the connection
                sending.bytes_sent = min(end, len(body))

    @contextmanager
    def _holding(self, body: bytes) -> "Iterator[_Sending]":
        task = asyncio.current_task()
        assert task is not None
        sending = _Sending(task, body)
        self._sending.append(sending)
        self._make_room(sending)
        try:
            yield sending
        finally:
            self._sending.remove(sending)

    def _make_room(self, newest: "_Sending") -> None:
        """Drop the slowest readers' bodies until the rest fits; never the newest."""
        now = time.monotonic()
        droppable_bodies = [
            each for each in self._sending if each is not newest and not each.is_dropped
        ]
        droppable_bodies.sort(key=lambda each: each.rate(now))
        for each in droppable_bodies:
            if self._bytes() <= self.capacity:
                break
            if now - each.start < YOUNG:
                continue
            each.is_dropped = True
            each.task.cancel()
            log.warning("body.dropped", reason="slow client", bytes=len(each.body))

    def _bytes(self) -> int:
        bodies = {id(each.body): len(each.body) for each in self._sending if not each.is_dropped}
        return sum(bodies.values())


class _Sending:
    """A body on its way to a reader."""

    def __init__(self, task: "asyncio.Task[object]", body: bytes) -> None:
        self.task, self.body, self.bytes_sent = task, body, 0
        self.start, self.is_dropped = time.monotonic(), False

    def rate(self, now: float) -> float:
        """Bytes a second so far."""
        return self.bytes_sent / max(now - self.start, 1e-3)
