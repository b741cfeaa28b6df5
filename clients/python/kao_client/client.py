"""The clients: `Client` blocks, `AsyncClient` has the same methods as coroutines."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from kao_client import calls
from kao_client.answers import Description, Event, Face, Member, Model, Picture, Run
from kao_client.calls import Call, Traits, Value, refusal
from kao_client.events import EventReader

T = TypeVar("T")
TIMEOUT = 60.0  # s; an upload or a cold model may take this long
CHUNK = 1 << 18


class Client:
    """Sends calls, blocking. Methods raise Refused, and httpx.TransportError without an answer."""

    def __init__(self, url: str, key: str | None = None, **options: Any) -> None:
        """options: of httpx.Client."""
        self._http = httpx.Client(**_options(url, key, options))

    def send(self, call: Call[T]) -> T:
        """The call's result."""
        content = _chunks(call.file) if call.file else None
        return call.result(self._http.request(**call.request(), content=content))

    def avatar(
        self, seed: str | None = None, traits: Traits | None = None, **parameters: Value
    ) -> Face:
        """The face of a seed; without one, of a random seed. parameters: docs/api.md."""
        return self.send(calls.avatar(seed, parameters, traits))

    def describe(self, seed: str, traits: Traits | None = None, **parameters: Value) -> Description:
        """The face of a seed in words: traits, alternative text, colours."""
        return self.send(calls.describe(seed, parameters, traits))

    def avatars(
        self,
        seeds: Sequence[str],
        distinct: bool = False,
        traits: Traits | None = None,
        **parameters: Value,
    ) -> list[Member]:
        """Several faces in the order of their seeds; distinct: no two look alike."""
        return self.send(calls.avatars(seeds, distinct, parameters, traits))

    def picture(self, path: str, traits: Traits | None = None, **parameters: Value) -> Picture:
        """Any picture, as `/morph`."""
        return self.send(calls.picture(path, parameters, traits))

    def train(self, idempotency_key: str | None = None, **recipe: Any) -> Run:
        """Start a run: `preset`, `dataset`, and other fields of the recipe."""
        return self.send(calls.train(recipe, idempotency_key))

    def run(self, id: str) -> Run:
        """Read a run."""
        return self.send(calls.run(id))

    def runs(self, state: str | None = None, limit: int | None = None) -> list[Run]:
        """List runs, newest first."""
        return self.send(calls.runs(state, limit))

    def cancel(self, id: str) -> Run:
        """Cancel a run; its snapshot is kept."""
        return self.send(calls.run(id, "cancel"))

    def resume(self, id: str, **changes: Any) -> Run:
        """Resume a failed or cancelled run."""
        return self.send(calls.run(id, "resume", changes))

    def models(self) -> list[Model]:
        """List the published models, newest first."""
        return self.send(calls.models())

    def promote(self, version: str, force: bool = False) -> str:
        """Serve a model by default; its version."""
        return self.send(calls.promote(version, force))

    def roll_back(self) -> str:
        """Serve the previous model again; its version."""
        return self.send(calls.roll_back())

    def upload(self, name: str, file: Path, licence: str = "unstated") -> Mapping[str, Any]:
        """Upload a zip of pictures."""
        return self.send(calls.upload(name, file, licence))

    def follow(self, run: str, after: int = 0, patience: float = 60) -> Iterator[Event]:
        """The events of a run until it ends, each once, across lost connections and restarts.

        patience: seconds without a server before the error is raised.
        """
        reader = EventReader(run, after, patience)
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
    """Sends calls, as coroutines; errors as in `Client`."""

    def __init__(self, url: str, key: str | None = None, **options: Any) -> None:
        """options: of httpx.AsyncClient."""
        self._http = httpx.AsyncClient(**_options(url, key, options))

    async def send(self, call: Call[T]) -> T:
        """The call's result."""
        content = _chunks_async(call.file) if call.file else None
        return call.result(await self._http.request(**call.request(), content=content))

    async def avatar(
        self, seed: str | None = None, traits: Traits | None = None, **parameters: Value
    ) -> Face:
        """The face of a seed; without one, of a random seed. parameters: docs/api.md."""
        return await self.send(calls.avatar(seed, parameters, traits))

    async def describe(
        self, seed: str, traits: Traits | None = None, **parameters: Value
    ) -> Description:
        """The face of a seed in words: traits, alternative text, colours."""
        return await self.send(calls.describe(seed, parameters, traits))

    async def avatars(
        self,
        seeds: Sequence[str],
        distinct: bool = False,
        traits: Traits | None = None,
        **parameters: Value,
    ) -> list[Member]:
        """Several faces in the order of their seeds; distinct: no two look alike."""
        return await self.send(calls.avatars(seeds, distinct, parameters, traits))

    async def picture(
        self, path: str, traits: Traits | None = None, **parameters: Value
    ) -> Picture:
        """Any picture, as `/morph`."""
        return await self.send(calls.picture(path, parameters, traits))

    async def train(self, idempotency_key: str | None = None, **recipe: Any) -> Run:
        """Start a run: `preset`, `dataset`, and other fields of the recipe."""
        return await self.send(calls.train(recipe, idempotency_key))

    async def run(self, id: str) -> Run:
        """Read a run."""
        return await self.send(calls.run(id))

    async def runs(self, state: str | None = None, limit: int | None = None) -> list[Run]:
        """List runs, newest first."""
        return await self.send(calls.runs(state, limit))

    async def cancel(self, id: str) -> Run:
        """Cancel a run; its snapshot is kept."""
        return await self.send(calls.run(id, "cancel"))

    async def resume(self, id: str, **changes: Any) -> Run:
        """Resume a failed or cancelled run."""
        return await self.send(calls.run(id, "resume", changes))

    async def models(self) -> list[Model]:
        """List the published models, newest first."""
        return await self.send(calls.models())

    async def promote(self, version: str, force: bool = False) -> str:
        """Serve a model by default; its version."""
        return await self.send(calls.promote(version, force))

    async def roll_back(self) -> str:
        """Serve the previous model again; its version."""
        return await self.send(calls.roll_back())

    async def upload(self, name: str, file: Path, licence: str = "unstated") -> Mapping[str, Any]:
        """Upload a zip of pictures."""
        return await self.send(calls.upload(name, file, licence))

    async def follow(self, run: str, after: int = 0, patience: float = 60) -> AsyncIterator[Event]:
        """As `Client.follow`."""
        reader = EventReader(run, after, patience)
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
