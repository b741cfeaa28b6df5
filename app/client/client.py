"""A typed client of Kao's HTTP interface, for programs that wait and for those that do not.

    with Client("http://localhost:8000", key) as kao:
        face = kao.send(faces.avatar("42", size=256))
        run = kao.send(calls.train(preset="modern-64", minutes=30))
        for event in kao.follow(run.id):
            print(event.type, event.data)

`Client` and `AsyncClient` only differ in how they wait; what there is to send is in
`app/client/requests.py` and `app/client/pictures.py`.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from app.client.requests import Call, part, refused

T = TypeVar("T")

TIMEOUT = 60.0  # s; an upload or a cold model may take that long to answer
# s of silence on a stream of events; the server says something every 15.
SILENCE = 45.0
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)  # s between tries to reach the server again
CHUNK = 1 << 18


@dataclass(frozen=True)
class Event:
    """Something that happened to a run, numbered within it."""

    number: int
    type: str
    data: dict[str, Any]


class _Following:
    """Where a follower of events stands, and what each answer means for it."""

    def __init__(self, id: str, after: int, patience: float) -> None:
        self.path, self.number, self.patience = f"/train/{part(id)}/events", after, patience
        self.over = False
        self._failures, self._lost = 0, 0.0
        self._fields: dict[str, str] = {}

    def request(self) -> dict[str, Any]:
        """Ask for what came after the last event that was seen."""
        seen = {"Last-Event-ID": str(self.number)} if self.number else {}
        return {"method": "GET", "url": self.path, "headers": seen, "timeout": SILENCE}

    def answered(self, answer: httpx.Response) -> None:
        """204: the run is over. Raises Refused for anything that trying again cannot mend."""
        self.over = answer.status_code == 204
        if answer.status_code >= 500:
            raise httpx.RemoteProtocolError(f"The server answered {answer.status_code}.")
        self._failures = 0

    def read(self, line: str) -> Event | None:
        """One line of the stream (HTML §9.2.6, with our one line of data an event)."""
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
        """Seconds until the next try; raises the error when patience has ended."""
        now = time.monotonic()
        if self._failures == 0:
            self._lost = now
        if error is not None and now - self._lost > self.patience:
            raise error
        self._fields = {}  # half an event comes again, whole
        self._failures += 1
        return PAUSES[min(self._failures, len(PAUSES)) - 1]


class Client:
    """Sends calls and waits."""

    def __init__(self, url: str, key: str | None = None, **options: Any) -> None:
        """`options` go to httpx.Client."""
        self._http = httpx.Client(**_options(url, key, options))

    def send(self, call: Call[T]) -> T:
        """The call's answer. Raises Refused, and httpx.TransportError where nobody answers."""
        content = _chunks(call.file) if call.file else None
        answer = self._http.request(**call.request(), content=content)
        return call.answered(answer)

    def follow(self, id: str, after: int = 0, patience: float = 60) -> Iterator[Event]:
        """A run's events until it is over, each once, over lost connections and restarts.

        `patience`: seconds without a server before the error is raised.
        """
        at = _Following(id, after, patience)
        while not at.over:
            error: Exception | None = None
            try:
                with self._http.stream(**at.request()) as answer:
                    if answer.is_client_error:
                        answer.read()
                        raise refused(answer)
                    at.answered(answer)
                    yield from filter(None, map(at.read, answer.iter_lines()))
            except httpx.TransportError as lost:
                error = lost
            if not at.over:
                time.sleep(at.pause(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        self._http.close()


class AsyncClient:
    """Sends calls and lets others work meanwhile."""

    def __init__(self, url: str, key: str | None = None, **options: Any) -> None:
        """`options` go to httpx.AsyncClient."""
        self._http = httpx.AsyncClient(**_options(url, key, options))

    async def send(self, call: Call[T]) -> T:
        """The call's answer. Raises Refused, and httpx.TransportError where nobody answers."""
        content = _chunks_meanwhile(call.file) if call.file else None
        answer = await self._http.request(**call.request(), content=content)
        return call.answered(answer)

    async def follow(self, id: str, after: int = 0, patience: float = 60) -> AsyncIterator[Event]:
        """As `Client.follow`."""
        at = _Following(id, after, patience)
        while not at.over:
            error: Exception | None = None
            try:
                async with self._http.stream(**at.request()) as answer:
                    if answer.is_client_error:
                        await answer.aread()
                        raise refused(answer)
                    at.answered(answer)
                    async for line in answer.aiter_lines():
                        if event := at.read(line):
                            yield event
            except httpx.TransportError as lost:
                error = lost
            if not at.over:
                await asyncio.sleep(at.pause(error))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End its connections."""
        await self._http.aclose()


def _options(url: str, key: str | None, options: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {"base_url": url, "headers": headers, "timeout": TIMEOUT, **options}


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


async def _chunks_meanwhile(path: Path) -> AsyncIterator[bytes]:
    chunks = _chunks(path)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk
