"""A memory cache of encoded pictures, in which equal requests share one render."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import Counter


@dataclass
class _Render:
    """A render in progress, and the number of requests that wait for it."""

    task: asyncio.Task[bytes]
    waiters: int = 0


class PictureCache:
    """At most `capacity` bytes of pictures by ETag; evicts the least recently used.

    Its methods must be called on one event loop.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.bytes = capacity, 0
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._renders: dict[str, _Render] = {}
        self.hits = Counter("kao_cache_hits", "Pictures sent from memory.", registry=None)
        self.misses = Counter("kao_cache_misses", "Pictures that had to be drawn.", registry=None)
        self.shared = Counter(
            "kao_cache_shared", "Requests that waited for another request's picture.", registry=None
        )
        self.metrics = (self.hits, self.misses, self.shared)

    @property
    def etags(self) -> tuple[str, ...]:
        """The ETags of the pictures in memory, least recently used first."""
        return tuple(self._pictures)

    def get(self, etag: str) -> bytes | None:
        """A picture that is in memory."""
        body = self._pictures.get(etag)
        if body is not None:
            self._pictures.move_to_end(etag)
        return body

    async def fetch(self, etag: str, render: Callable[[], Awaitable[bytes]]) -> bytes:
        """The picture; concurrent calls share one render. Raises what `render` raises.

        A render is cancelled when every call that waited for it was.
        """
        body = self.get(etag)
        if body is not None:
            self.hits.inc()
            return body
        shared = self._renders.get(etag)
        (self.misses if shared is None else self.shared).inc()
        if shared is None:
            shared = self._renders[etag] = _Render(asyncio.create_task(self._render(etag, render)))
            shared.task.add_done_callback(_retrieve_exception)
        shared.waiters += 1
        try:
            # Shielded: a client that disconnects must not cancel what other clients wait for.
            return await asyncio.shield(shared.task)
        finally:
            shared.waiters -= 1
            if not shared.waiters and not shared.task.done():
                if self._renders.get(etag) is shared:
                    del self._renders[etag]  # a later request renders it again
                shared.task.cancel()

    def clear(self) -> None:
        """Drop all pictures."""
        self._pictures.clear()
        self.bytes = 0

    async def _render(self, etag: str, render: Callable[[], Awaitable[bytes]]) -> bytes:
        own_task = asyncio.current_task()
        try:
            body = await render()
        finally:
            # A failure is raised to all waiting requests and not kept: the next one tries again.
            if etag in self._renders and self._renders[etag].task is own_task:
                del self._renders[etag]
        self._keep(etag, body)
        return body

    def _keep(self, etag: str, body: bytes) -> None:
        if len(body) > self.capacity:
            return
        self._pictures[etag] = body
        self.bytes += len(body)
        while self.bytes > self.capacity:
            self.bytes -= len(self._pictures.popitem(last=False)[1])


def _retrieve_exception(task: asyncio.Task[bytes]) -> None:
    # If all clients disconnected, asyncio would report the exception as never retrieved.
    if not task.cancelled():
        task.exception()
