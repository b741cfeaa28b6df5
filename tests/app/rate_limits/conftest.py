"""Apps with rate limits, called from an address that is charged."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from models.registry import Registry
from models.settings import Settings

StartLimited = Callable[..., TestClient]


@pytest.fixture
def start_limited(settings: Settings, registry: Registry) -> Iterator[StartLimited]:
    """`start_limited(address, **settings)` starts an app; a client with that address."""
    with ExitStack() as stack:

        def start(address: str = "198.51.100.7", **changes: Any) -> TestClient:
            app = create_app(settings.model_copy(update=changes))
            client = TestClient(app, raise_server_exceptions=False, client=(address, 5000))
            return stack.enter_context(client)

        yield start
