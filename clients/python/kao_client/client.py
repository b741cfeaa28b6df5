"""The clients: `Client` blocks, `AsyncClient` has the same methods as coroutines.

A method is a function of `pictures` or another module of calls, and sends its call.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, Concatenate, ParamSpec, Self, TypeVar

import httpx

from kao_client import administration, dataset_calls, model_calls, pictures, training
from kao_client.answers import Event
from kao_client.calls import Call, refusal
from kao_client.events import EventReader

T = TypeVar("T")
P = ParamSpec("P")
TIMEOUT = 60.0  # s; a cold model may take this long
CHECK_TIMEOUT = 600.0  # s; a server verifies a model for 120 s at most, two at a time
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

    presets = _method(training.presets)
    train = _method(training.train)
    run = _method(training.run)
    runs = _method(training.runs)
    describe_run = _method(training.describe_run)
    cancel = _method(training.cancel)
    resume = _method(training.resume)
    run_sheets = _method(training.run_sheets)
    run_sheet = _method(training.run_sheet)
    run_curves = _method(training.run_curves)
    run_chart = _method(training.run_chart)

    models = _method(model_calls.models)
    model = _method(model_calls.model)
    describe_model = _method(model_calls.describe_model)
    model_image = _method(model_calls.model_image)
    model_chart = _method(model_calls.model_chart)
    promote = _method(model_calls.promote)
    roll_back = _method(model_calls.roll_back)
    download_model = _method(model_calls.download_model)
    upload_model = _method(model_calls.upload_model)

    datasets = _method(dataset_calls.datasets)
    dataset = _method(dataset_calls.dataset)
    dataset_contents = _method(dataset_calls.dataset_contents)
    dataset_preview = _method(dataset_calls.dataset_preview)
    upload = _method(dataset_calls.upload)
    delete_dataset = _method(dataset_calls.delete_dataset)

    keys = _method(administration.keys)
    create_key = _method(administration.create_key)
    revoke_key = _method(administration.revoke_key)
    sign = _method(administration.sign)
    webhooks = _method(administration.webhooks)
    create_webhook = _method(administration.create_webhook)
    delete_webhook = _method(administration.delete_webhook)
    test_webhook = _method(administration.test_webhook)
    deliveries = _method(administration.deliveries)
    replay = _method(administration.replay)
    readiness = _method(administration.readiness)

    def send(self, call: Call[T]) -> T:
        """The call's result."""
        if call.target is not None:
            return self._download(call, call.target)
        if call.file is None:
            return call.result(self._http.request(**call.request()))
        timeout, content = _upload_timeout(self._http.timeout), _chunks(call.file)
        request = {**call.request(), "content": content, "timeout": timeout}
        return call.result(self._http.request(**request))

    def _download(self, call: Call[T], target: Path) -> T:
        with self._http.stream(**call.request()) as answer:
            if not answer.is_success:
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
                    if reader.is_refused(answer):
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

    presets = _coroutine(training.presets)
    train = _coroutine(training.train)
    run = _coroutine(training.run)
    runs = _coroutine(training.runs)
    describe_run = _coroutine(training.describe_run)
    cancel = _coroutine(training.cancel)
    resume = _coroutine(training.resume)
    run_sheets = _coroutine(training.run_sheets)
    run_sheet = _coroutine(training.run_sheet)
    run_curves = _coroutine(training.run_curves)
    run_chart = _coroutine(training.run_chart)

    models = _coroutine(model_calls.models)
    model = _coroutine(model_calls.model)
    describe_model = _coroutine(model_calls.describe_model)
    model_image = _coroutine(model_calls.model_image)
    model_chart = _coroutine(model_calls.model_chart)
    promote = _coroutine(model_calls.promote)
    roll_back = _coroutine(model_calls.roll_back)
    download_model = _coroutine(model_calls.download_model)
    upload_model = _coroutine(model_calls.upload_model)

    datasets = _coroutine(dataset_calls.datasets)
    dataset = _coroutine(dataset_calls.dataset)
    dataset_contents = _coroutine(dataset_calls.dataset_contents)
    dataset_preview = _coroutine(dataset_calls.dataset_preview)
    upload = _coroutine(dataset_calls.upload)
    delete_dataset = _coroutine(dataset_calls.delete_dataset)

    keys = _coroutine(administration.keys)
    create_key = _coroutine(administration.create_key)
    revoke_key = _coroutine(administration.revoke_key)
    sign = _coroutine(administration.sign)
    webhooks = _coroutine(administration.webhooks)
    create_webhook = _coroutine(administration.create_webhook)
    delete_webhook = _coroutine(administration.delete_webhook)
    test_webhook = _coroutine(administration.test_webhook)
    deliveries = _coroutine(administration.deliveries)
    replay = _coroutine(administration.replay)
    readiness = _coroutine(administration.readiness)

    async def send(self, call: Call[T]) -> T:
        """The call's result."""
        if call.target is not None:
            return await self._download(call, call.target)
        if call.file is None:
            return call.result(await self._http.request(**call.request()))
        timeout, content = _upload_timeout(self._http.timeout), _chunks_async(call.file)
        request = {**call.request(), "content": content, "timeout": timeout}
        return call.result(await self._http.request(**request))

    async def _download(self, call: Call[T], target: Path) -> T:
        async with self._http.stream(**call.request()) as answer:
            if not answer.is_success:
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
                    if reader.is_refused(answer):
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
    headers = httpx.Headers(options.pop("headers", None))
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return {"base_url": url, "headers": headers, "timeout": TIMEOUT, **options}


def _upload_timeout(timeout: httpx.Timeout) -> httpx.Timeout:
    """The client's timeout, with time for the server to check what was uploaded."""
    read = None if timeout.read is None else max(timeout.read, CHECK_TIMEOUT)
    return httpx.Timeout(connect=timeout.connect, read=read, write=timeout.write, pool=timeout.pool)


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
