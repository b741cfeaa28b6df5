"""A typed client of Kao's HTTP interface, synchronous and asynchronous.

    with Client("http://localhost:8000", key) as kao:
        face = kao.send(pictures.avatar("42", size=256))
        run = kao.send(requests.train(preset="modern-64", minutes=30))
        for event in kao.follow(run.id):
            print(event.type, event.data)

`Client` and `AsyncClient` differ only in how they wait; the calls are in `app/client/requests.py`
and `app/client/pictures.py`.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from app.client.requests import Call, path_segment, refusal

T = TypeVar("T")

TIMEOUT = 60.0  # s; an upload or a cold model may take this long
STREAM_TIMEOUT = 45.0  # s without data on a stream of events; the server sends some every 15 s
BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # s between attempts to reconnect
CHUNK = 1 << 18


@dataclass(frozen=True)
class Event:
    """An event of a run, numbered within it."""

    number: int
    type: str
    data: dict[str, Any]


class _EventReader:
    """The position in a stream of events, and its state between reconnections."""

    def __init__(self, id: str, after: int, patience: float) -> None:
        self.path, self.number, self.patience = f"/train/{path_segment(id)}/events", after, patience
        self.is_over = False
        self._failures, self._failing_since = 0, 0.0
        self._fields: dict[str, str] = {}

    def request(self) -> dict[str, Any]:
        """The arguments of the request for the events after the last one."""
        headers = {"Last-Event-ID": str(self.number)} if self.number else {}
        return {"method": "GET", "url": self.path, "headers": headers, "timeout": STREAM_TIMEOUT}

    def check(self, answer: httpx.Response) -> None:
        """Note the end of the run (204). Raises RemoteProtocolError for a server error."""
        self.is_over = answer.status_code == 204
        if answer.status_code >= 500:
            raise httpx.RemoteProtocolError(f"The server answered {answer.status_code}.")
        self._failures = 0

    def read(self, line: str) -> Event | None:
        """Parse a line of the stream (HTML §9.2.6; our events have one line of data)."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        self.number = int(fields["id"])
        return Event(self.number, fields["event"], json.loads(fields["data"]))

    def pause(self, error: Exception | None) -> float:
        """Seconds until the next attempt; raises the error after `patience` seconds of errors."""
        now = time.monotonic()
        if self._failures == 0:
            self._failing_since = now
        if error is not None and now - self._failing_since > self.patience:
            raise error
        self._fields = {}  # a partial event is sent again
        self._failures += 1
        return BACKOFF[min(self._failures, len(BACKOFF)) - 1]


class Client:
    """Sends calls, blocking."""

    def __init__(self, url: str, key: str | None = None, **options: Any) -> None:
        """options: of httpx.Client."""
        self._http = httpx.Client(**_options(url, key, options))

    def send(self, call: Call[T]) -> T:
        """The call's result. Raises Refused, and httpx.TransportError without an answer."""
        content = _chunks(call.file) if call.file else None
        answer = self._http.request(**call.request(), content=content)
        return call.result(answer)

    def follow(self, id: str, after: int = 0, patience: float = 60) -> Iterator[Event]:
        """The events of a run until it ends, each once, across lost connections and restarts.

        patience: seconds without a server before the error is raised.
        """
        reader = _EventReader(id, after, patience)
        while not reader.is_over:
            error: Exception | None = None
            try:
                with self._http.stream(**reader.request()) as answer:
                    if answer.is_client_error:
                        answer.read()
                        raise refusal(answer)
                    reader.check(answer)
                    yield from filter(None, map(reader.read, answer.iter_lines()))
            except httpx.TransportError as failure:
                error = failure
            if not reader.is_over:
                time.sleep(reader.pause(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncClient:
    """Sends calls, as coroutines."""

    def __init__(self, url: str, key: str | None = None, **options: Any) -> None:
        """options: of httpx.AsyncClient."""
        self._http = httpx.AsyncClient(**_options(url, key, options))

    async def send(self, call: Call[T]) -> T:
        """The call's result. Raises Refused, and httpx.TransportError without an answer."""
        content = _chunks_async(call.file) if call.file else None
        answer = await self._http.request(**call.request(), content=content)
        return call.result(answer)

    async def follow(self, id: str, after: int = 0, patience: float = 60) -> AsyncIterator[Event]:
        """As `Client.follow`."""
        reader = _EventReader(id, after, patience)
        while not reader.is_over:
            error: Exception | None = None
            try:
                async with self._http.stream(**reader.request()) as answer:
                    if answer.is_client_error:
                        await answer.aread()
                        raise refusal(answer)
                    reader.check(answer)
                    async for line in answer.aiter_lines():
                        if event := reader.read(line):
                            yield event
            except httpx.TransportError as failure:
                error = failure
            if not reader.is_over:
                await asyncio.sleep(reader.pause(error))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _options(url: str, key: str | None, options: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {"base_url": url, "headers": headers, "timeout": TIMEOUT, **options}


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


async def _chunks_async(path: Path) -> AsyncIterator[bytes]:
    chunks = _chunks(path)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk
