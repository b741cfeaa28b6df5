"""TCP links that can be delayed, cut, half-opened and partitioned.

All run on one event loop in a thread of this process. A link's faults act on whole connections,
because TCP hides lost packets from both ends.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from typing import Literal

from tests.support.waiting import free_port

LinkFault = Literal["delay", "cut", "half-open", "partition"]
BLOCK = 1 << 16  # bytes
# SO_LINGER with zero seconds: closing sends a reset instead of the end of the stream.
RESET = struct.pack("ii", 1, 0)


class Link:
    """A port of this machine that stands for another, until a fault says otherwise.

    delay: seconds before each block. cut: connections are reset, and so are new ones. half-open:
    those that are there carry nothing any more, for ever, and neither end hears of it; new ones
    work. partition: nothing passes, and what was sent arrives when it is over.
    """

    def __init__(self, name: str, target: int) -> None:
        self.name, self.target, self.port = name, target, free_port()
        self.delay = 0.0
        self.is_cut = False
        self.is_open = asyncio.Event()
        self.is_open.set()
        self._dead: set[asyncio.StreamWriter] = set()
        self._pairs: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._abandoned: set[asyncio.StreamWriter] = set()  # the far ends of half-open ones
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except asyncio.CancelledError:
            return  # by `close`; asyncio would report it
        finally:
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            _reset(writer)
            return
        await self.is_open.wait()
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        self._pairs[writer] = upstream[1]
        try:
            await asyncio.gather(
                self._pump(reader, upstream[1], writer), self._pump(upstream[0], writer, writer)
            )
        finally:
            self._pairs.pop(writer, None)
            if writer in self._dead:
                self._dead.discard(writer)
                self._abandoned.add(upstream[1])
            else:
                _reset(upstream[1])
            _reset(writer)

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, key: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while block := await source.read(BLOCK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self.is_open.wait()
                if key in self._dead:
                    continue
                target.write(block)
                await target.drain()
            if key not in self._dead and target.can_write_eof():
                target.write_eof()

    # On the event loop, from `Network`.

    def apply(self, fault: LinkFault, amount: float) -> None:
        if fault == "delay":
            self.delay = amount
        elif fault == "partition":
            self.is_open.clear()
        elif fault == "cut":
            self.is_cut = True
            self.reset_connections()
        else:
            self._dead |= self._pairs.keys()

    def heal(self) -> None:
        """End every fault; what is half-open stays so, as it does in a real network."""
        self.delay, self.is_cut = 0.0, False
        self.is_open.set()

    def reset_connections(self) -> None:
        """Reset every connection, the far ends of half-open ones too."""
        for downstream, upstream in self._pairs.items():
            _reset(downstream)
            _reset(upstream)
        for upstream in self._abandoned:
            _reset(upstream)
        self._abandoned.clear()

    async def close(self) -> None:
        self._server.close()
        self.heal()
        self.reset_connections()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


class Network:
    """Links on an event loop of their own. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self.links: dict[str, Link] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def link(self, source: str, service: str, port: int) -> Link:
        """A new link that reaches a service's port; its name is SOURCE-to-SERVICE."""
        name = f"{source}-to-{service}"
        asyncio.run_coroutine_threadsafe(self._open(name, port), self._loop).result(10)
        return self.links[name]

    async def _open(self, name: str, port: int) -> None:
        self.links[name] = Link(name, port)
        await self.links[name].serve()

    def apply(self, name: str, fault: LinkFault, amount: float = 0.0) -> None:
        self._loop.call_soon_threadsafe(self.links[name].apply, fault, amount)

    def heal(self, name: str) -> None:
        self._loop.call_soon_threadsafe(self.links[name].heal)

    def reset_connections(self) -> None:
        """Reset the connections of every link, as if all half-open ones had timed out."""
        for link in self.links.values():
            self._loop.call_soon_threadsafe(link.reset_connections)

    def close(self) -> None:
        """Close every link and end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        for link in self.links.values():
            await link.close()
