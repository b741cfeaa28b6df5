"""A client that leaves ends the work that only it waited for."""

import asyncio
import socket
import threading
from collections.abc import Callable

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from app.avatars.generate.batching import Batcher
from app.http.disconnects import cancel_on_disconnect
from models.registry import Registry
from tests.support.live_app import Live
from tests.support.waiting import wait


def _request(client_left: asyncio.Event) -> Request:
    async def receive() -> Message:
        await client_left.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "headers": []}, receive)


def test_work_ends_with_its_client() -> None:
    async def scenario() -> None:
        client_left, work_ended = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            try:
                client_left.set()
                await asyncio.Event().wait()
            finally:
                work_ended.set()

        with pytest.raises(ClientDisconnect):
            await cancel_on_disconnect(_request(client_left), work())
        await asyncio.wait_for(work_ended.wait(), 10)

    asyncio.run(scenario())


def test_results_and_errors_come_through() -> None:
    async def seven() -> int:
        return 7

    async def fail() -> int:
        raise ValueError("no")

    async def scenario() -> None:
        request = _request(asyncio.Event())
        assert await cancel_on_disconnect(request, seven()) == 7
        with pytest.raises(ValueError, match="no"):
            await cancel_on_disconnect(request, fail())

    asyncio.run(scenario())


def test_pictures_that_a_client_left_are_not_drawn(
    start: Callable[..., Live], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a real connection: fourteen loops, and the client is gone at once."""
    live, gate = start(threads=1), threading.Event()
    batcher: Batcher = live.server.state.engine._batcher
    with monkeypatch.context() as patch:
        patch.setattr("app.avatars.generate.faces.draw", lambda *_: gate.wait(30))
        address = ("127.0.0.1", int(live.url.rpartition(":")[2]))
        clients = [socket.create_connection(address) for _ in range(14)]
        for number, client in enumerate(clients):
            path = f"/walk?seed={number}&frames=64&size=512&format=gif"
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait(lambda: batcher.pending == 14, 30)
        for client in clients:
            client.close()
        wait(lambda: batcher.pending == 1, 30, "all but the one that is drawn are dropped")
        gate.set()
        wait(lambda: batcher.pending == 0, 30)
