"""Turns for work that is done one at a time: of those that wait, clients take turns."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from models.errors import Overloaded

EACH = 32  # that may wait of one client; a page shows some pictures at once


class Turns:
    """A lock that goes from client to client. Its methods must be called on one event loop."""

    def __init__(self, each: int = EACH) -> None:
        self.each = each
        self._is_taken = False
        # Those that wait, by client; the first client is the next.
        self._lines: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

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
        line = self._lines.setdefault(client, deque())
        if len(line) >= self.each:
            raise Overloaded(f"{self.each} of your requests wait for this; wait for one of them.")
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn had come
                self._pass_on()
            elif turn in line:
                line.remove(turn)
                if not line:
                    del self._lines[client]
            raise

    def _pass_on(self) -> None:
        while self._lines:
            client, line = self._lines.popitem(last=False)
            turn = line.popleft()
            if line:
                self._lines[client] = line  # behind the others
            if not turn.done():  # cancelled otherwise
                turn.set_result(None)
                return
        self._is_taken = False
