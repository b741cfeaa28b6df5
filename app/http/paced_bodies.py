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
MINIMUM_AGE = 1.0  # s; a body is not dropped before


class _OutgoingBody:
    """A body on its way to a reader."""

    def __init__(self, task: "asyncio.Task[object]", body: bytes) -> None:
        self.task, self.body, self.bytes_sent = task, body, 0
        self.start, self.is_dropped = time.monotonic(), False

    def rate(self, now: float) -> float:
        """Bytes a second so far."""
        return self.bytes_sent / max(now - self.start, 1e-3)


class PacedBodies:
    """Middleware around everything that sends bodies whole.

    limit: bytes of memory that this process may use. A body that several requests send is in memory
    once, and counts once.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.capacity = app, max(LEAST, limit // SHARE)
        self._bodies: list[_OutgoingBody] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app; send its large bodies in pieces."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        is_dropped = False

        async def send_paced(message: Message) -> None:
            nonlocal is_dropped
            if is_dropped:
                # The rest of a stream would complete a response that has a gap.
                raise asyncio.CancelledError
            if len(message.get("body", b"")) <= PIECE:
                return await send(message)
            is_dropped = not await self._send(message, send)

        try:
            await self.app(scope, receive, send_paced)
        except asyncio.CancelledError:
            if not is_dropped:
                raise

    async def _send(self, message: Message, send: Send) -> bool:
        """Send a body in pieces; whether all of it was sent."""
        body: bytes = message["body"]
        with self._register(body) as outgoing:
            for start in range(0, len(body), PIECE):
                end = start + PIECE
                is_last = end >= len(body) and not message.get("more_body", False)
                piece = {**message, "body": body[start:end], "more_body": not is_last}
                try:
                    await send(piece)
                except asyncio.CancelledError:
                    if not outgoing.is_dropped:
                        raise
                    outgoing.task.uncancel()
                    return False  # incomplete, so the server closes the connection
                outgoing.bytes_sent = min(end, len(body))
        return True

    @contextmanager
    def _register(self, body: bytes) -> Iterator[_OutgoingBody]:
        task = asyncio.current_task()
        assert task is not None
        outgoing = _OutgoingBody(task, body)
        self._bodies.append(outgoing)
        self._make_room(outgoing)
        try:
            yield outgoing
        finally:
            self._bodies.remove(outgoing)

    def _make_room(self, newest: _OutgoingBody) -> None:
        """Drop the slowest readers' bodies until the rest fits; never the newest."""
        now = time.monotonic()
        droppable_bodies = [
            each for each in self._bodies if each is not newest and not each.is_dropped
        ]
        droppable_bodies.sort(key=lambda each: each.rate(now))
        for each in droppable_bodies:
            if self._count_bytes() <= self.capacity:
                break
            if now - each.start < MINIMUM_AGE:
                continue
            each.is_dropped = True
            each.task.cancel()
            log.warning("body.dropped", reason="slow client", bytes=len(each.body))

    def _count_bytes(self) -> int:
        bodies = {id(each.body): len(each.body) for each in self._bodies if not each.is_dropped}
        return sum(bodies.values())
