"""A request that the end of the process interrupts is answered."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from app import server
from app.avatars import service
from app.http.shutdown import ShutdownAnswers
from models.registry import Registry
from tests.app.conftest import Start
from tests.support.waiting import wait

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


async def cancelled(*, is_closing: bool, begins: bool) -> list[Message]:
    """What is sent when a request without an end is cancelled. Raises CancelledError."""
    messages: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        messages.append(message)

    closing = asyncio.Event()
    if is_closing:
        closing.set()
    task = asyncio.ensure_future(ShutdownAnswers(app, closing)(dict(SCOPE), receive, send))
    await asyncio.sleep(0)
    task.cancel()
    await task
    return messages


def test_a_request_that_is_cancelled_at_the_end_is_a_503() -> None:
    start, _ = asyncio.run(cancelled(is_closing=True, begins=False))
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"5"


@pytest.mark.parametrize(
    ("is_closing", "begins"),
    [
        pytest.param(True, True, id="begun"),
        pytest.param(False, False, id="not-closing"),
    ],
)
def test_other_requests_stay_cancelled(is_closing: bool, begins: bool) -> None:
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled(is_closing=is_closing, begins=begins))


def test_a_face_that_takes_longer_than_the_grace_is_a_503(
    start: Start, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_drawing, may_end = threading.Event(), threading.Event()

    def encode(*_: object, **__: object) -> bytes:
        is_drawing.set()
        may_end.wait(30)
        return b""

    monkeypatch.setattr(service, "encode", encode)
    monkeypatch.setattr(server, "GRACE", 0.2)
    live = start()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx.get, f"{live.url}/avatar?seed=1", timeout=30)
        assert is_drawing.wait(30)
        live.server.should_exit = True
        wait(answer.done, 30, "the request is answered")
        may_end.set()
    assert answer.result().status_code == 503
    assert answer.result().json()["type"] == "urn:kao:problem:shutting-down"
    assert answer.result().headers["retry-after"] == "5"
