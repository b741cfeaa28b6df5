"""Both clients, and the app that answers them."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

import pytest

from kao_client import AsyncClient, Client, Event
from models import runs
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from tests.app.conftest import (
    Start,
    _no_shipped_model,
    bundles,
    http,
    registry,
    settings,
    start,
    versions,
)

__all__ = ["_no_shipped_model", "bundles", "http", "registry", "settings", "start", "versions"]


class Caller(Protocol):
    """A client that is opened for each call."""

    key: str | None

    def __init__(self, key: str | None) -> None: ...

    def call(self, url: str, method: str, *arguments: Any, **options: Any) -> Any: ...

    def follow(self, url: str, run: str, **options: Any) -> list[Event]: ...


class SyncCaller:
    """`Client` as a Caller."""

    def __init__(self, key: str | None) -> None:
        self.key = key

    def call(self, url: str, method: str, *arguments: Any, **options: Any) -> Any:
        with Client(url, self.key, trust_env=False) as kao:
            return getattr(kao, method)(*arguments, **options)

    def follow(self, url: str, run: str, **options: Any) -> list[Event]:
        with Client(url, self.key, trust_env=False) as kao:
            return list(kao.follow(run, **options))


class AsyncCaller:
    """`AsyncClient` as a Caller."""

    def __init__(self, key: str | None) -> None:
        self.key = key

    def call(self, url: str, method: str, *arguments: Any, **options: Any) -> Any:
        async def call() -> Any:
            async with AsyncClient(url, self.key, trust_env=False) as kao:
                answer: Awaitable[Any] = getattr(kao, method)(*arguments, **options)
                return await answer

        return asyncio.run(call())

    def follow(self, url: str, run: str, **options: Any) -> list[Event]:
        async def follow() -> list[Event]:
            async with AsyncClient(url, self.key, trust_env=False) as kao:
                return [event async for event in kao.follow(run, **options)]

        return asyncio.run(follow())


@pytest.fixture(params=[SyncCaller, AsyncCaller], ids=["sync", "async"])
def kao(request: pytest.FixtureRequest, settings: Settings) -> Caller:
    """Either client, with the first key."""
    caller: Caller = request.param(settings.api_key)
    return caller


@pytest.fixture
def url(start: Start, registry: Registry) -> str:
    """The URL of a running app."""
    return start().url


@pytest.fixture
def run(registry: Registry) -> str:
    """The id of a queued run."""
    row, _ = runs.create(registry.engine, resolve({"preset": "smoke"}), {"preset": "smoke"})
    return str(row["id"])
