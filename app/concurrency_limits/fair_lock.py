"""A lock for work that is done one at a time, which clients get in turns."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from models.errors import Overloaded

EACH = 32  # requests of one client that may wait; a page shows some pictures at once


class FairLock:
    """Serves waiting clients in turn: one request of each before a second of any.

    Its methods must be called on one event loop.
    """

    def __init__(self, each: int = EACH) -> None:
        self.each = each
        self._is_taken = False
        # The waiting requests by client; the first client is the next.
        self._queues: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def take(self, client: Hashable) -> AsyncIterator[None]:
        """Hold the lock, when it is the client's turn. Raises Overloaded."""
        await self._wait(client)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, client: Hashable) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        queue = self._queues.setdefault(client, deque())
        if len(queue) >= self.each:
            raise Overloaded(f"{self.each} of your requests wait for this; wait for one of them.")
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn had come
                self._pass_on()
            elif turn in queue:
                queue.remove(turn)
                if not queue:
                    del self._queues[client]
            raise

    def _pass_on(self) -> None:
        while self._queues:
            client, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._queues[client] = queue  # behind the others
            if not turn.done():  # cancelled otherwise
                turn.set_result(None)
                return
        self._is_taken = False
