"""The clients: `Client` blocks, `AsyncClient` has the same methods as coroutines.

A method is a function of `pictures` or `requests`, which make calls, and sends its call.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, Concatenate, ParamSpec, Self, TypeVar

import httpx

from kao_client import pictures, requests
from kao_client.answers import Event
from kao_client.calls import Call, refusal
from kao_client.events import EventReader

T = TypeVar("T")
P = ParamSpec("P")
TIMEOUT = 60.0  # s; an upload or a cold model may take this long
CHUNK = 1 << 18


def _method(make: Callable[P, Call[T]]) -> Callable[Concatenate["Client", P], T]:
    """A method of `Client` that makes a call and sends it."""

    @wraps(make)
    def send(client: "Client", /, *args: P.args, **options: P.kwargs) -> T:
        return client.send(make(*args, **options))

    return send


def _coroutine(
    make: Callable[P, Call[T]],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, T]]:
    """A method of `AsyncClient` that makes a call and sends it."""

    @wraps(make)
    async def send(client: "AsyncClient", /, *args: P.args, **options: P.kwargs) -> T:
        return await client.send(make(*args, **options))

    return send


class Client:
    """Sends calls, blocking. Methods raise Refused, and httpx.TransportError without an answer."""

    def __init__(self, url: str, key: str | None = None, **options: Any) -> None:
        """options: of httpx.Client."""
        self._http = httpx.Client(**_options(url, key, options))

    avatar = _method(pictures.avatar)
    describe = _method(pictures.describe)
    avatars = _method(pictures.avatars)
    morph = _method(pictures.morph)
    walk = _method(pictures.walk)
    grow = _method(pictures.grow)
    mix = _method(pictures.mix)
    blend = _method(pictures.blend)
    family = _method(pictures.family)
    sheet = _method(pictures.sheet)
    og = _method(pictures.og)

    train = _method(requests.train)
    run = _method(requests.run)
    runs = _method(requests.runs)
    cancel = _method(requests.cancel)
    resume = _method(requests.resume)
    models = _method(requests.models)
    model = _method(requests.model)
    promote = _method(requests.promote)
    roll_back = _method(requests.roll_back)
    download_model = _method(requests.download_model)
    upload_model = _method(requests.upload_model)
    datasets = _method(requests.datasets)
    upload = _method(requests.upload)
    delete_dataset = _method(requests.delete_dataset)
    keys = _method(requests.keys)
    create_key = _method(requests.create_key)
    revoke_key = _method(requests.revoke_key)
    sign = _method(requests.sign)

    def send(self, call: Call[T]) -> T:
        """The call's result."""
        if call.target is not None:
            return self._download(call, call.target)
        content = _chunks(call.file) if call.file else None
        return call.result(self._http.request(**call.request(), content=content))

    def _download(self, call: Call[T], target: Path) -> T:
        with self._http.stream(**call.request()) as answer:
            if answer.is_error:
                answer.read()
            else:
                with _whole_file(target) as file:
                    for chunk in answer.iter_bytes(CHUNK):
                        file.write(chunk)
            return call.result(answer)

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

    avatar = _coroutine(pictures.avatar)
    describe = _coroutine(pictures.describe)
    avatars = _coroutine(pictures.avatars)
    morph = _coroutine(pictures.morph)
    walk = _coroutine(pictures.walk)
    grow = _coroutine(pictures.grow)
    mix = _coroutine(pictures.mix)
    blend = _coroutine(pictures.blend)
    family = _coroutine(pictures.family)
    sheet = _coroutine(pictures.sheet)
    og = _coroutine(pictures.og)

    train = _coroutine(requests.train)
    run = _coroutine(requests.run)
    runs = _coroutine(requests.runs)
    cancel = _coroutine(requests.cancel)
    resume = _coroutine(requests.resume)
    models = _coroutine(requests.models)
    model = _coroutine(requests.model)
    promote = _coroutine(requests.promote)
    roll_back = _coroutine(requests.roll_back)
    download_model = _coroutine(requests.download_model)
    upload_model = _coroutine(requests.upload_model)
    datasets = _coroutine(requests.datasets)
    upload = _coroutine(requests.upload)
    delete_dataset = _coroutine(requests.delete_dataset)
    keys = _coroutine(requests.keys)
    create_key = _coroutine(requests.create_key)
    revoke_key = _coroutine(requests.revoke_key)
    sign = _coroutine(requests.sign)

    async def send(self, call: Call[T]) -> T:
        """The call's result."""
        if call.target is not None:
            return await self._download(call, call.target)
        content = _chunks_async(call.file) if call.file else None
        return call.result(await self._http.request(**call.request(), content=content))

    async def _download(self, call: Call[T], target: Path) -> T:
        async with self._http.stream(**call.request()) as answer:
            if answer.is_error:
                await answer.aread()
            else:
                with _whole_file(target) as file:
                    async for chunk in answer.aiter_bytes(CHUNK):
                        await asyncio.to_thread(file.write, chunk)
            return call.result(answer)

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


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that has its name once it is complete."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


async def _chunks_async(path: Path) -> AsyncIterator[bytes]:
    chunks = _chunks(path)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk
