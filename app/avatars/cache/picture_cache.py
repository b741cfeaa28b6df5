"""Encoded pictures in memory: the least recently used go first, and equal requests share one."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from prometheus_client import Counter


class Pictures:
    """At most `most` bytes of pictures by their ETag. Its methods belong to one event loop."""

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._making: dict[str, asyncio.Task[bytes]] = {}
        self.hits = Counter("kao_cache_hits", "Pictures sent from memory.", registry=None)
        self.misses = Counter("kao_cache_misses", "Pictures that had to be drawn.", registry=None)
        self.shared = Counter("kao_cache_shared", "Pictures drawn for another one.", registry=None)
        self.metrics = (self.hits, self.misses, self.shared)

    def get(self, tag: str) -> bytes | None:
        """A picture that is in memory."""
        body = self._kept.get(tag)
        if body is not None:
            self._kept.move_to_end(tag)
        return body

    async def fetch(self, tag: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The picture, made once however many ask for it at once. Raises what `make` raises."""
        body = self.get(tag)
        if body is not None:
            self.hits.inc()
            return body
        making = self._making.get(tag)
        (self.misses if making is None else self.shared).inc()
        if making is None:
            making = self._making[tag] = asyncio.ensure_future(self._make(tag, make))
            making.add_done_callback(_heeded)
        # Shielded: a client that leaves must not end what others wait for.
        return await asyncio.shield(making)

    async def _make(self, tag: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            body = await make()
        finally:
            # A failure is told to those who wait and then forgotten: the next one tries anew.
            del self._making[tag]
        self._keep(tag, body)
        return body

    def _keep(self, tag: str, body: bytes) -> None:
        if len(body) > self.most:
            return
        self._kept[tag] = body
        self.bytes += len(body)
        while self.bytes > self.most:
            self.bytes -= len(self._kept.popitem(last=False)[1])


def _heeded(made: asyncio.Task[bytes]) -> None:
    # Where every client has left, nobody else looks at the error, and asyncio would complain.
    if not made.cancelled():
        made.exception()
