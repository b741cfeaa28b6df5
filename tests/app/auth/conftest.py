"""Keys with chosen scopes, in the database of the app under test."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.main import create_app
from models import keys
from models.database.engine import connect
from models.keys import Key
from models.registry import Registry
from models.settings import Settings

MakeKey = Callable[..., tuple[str, Key]]


@pytest.fixture
def database(settings: Settings, registry: Registry) -> Iterator[sa.Engine]:
    """A connection of its own to the app's database."""
    engine = connect(settings)
    yield engine
    engine.dispose()


@pytest.fixture
def make_key(database: sa.Engine) -> MakeKey:
    """`make_key(*scopes)` gives a key's secret and its row."""

    def make(*scopes: str) -> tuple[str, Key]:
        return keys.create(database, "a test's", scopes)

    return make


@pytest.fixture
def private(settings: Settings, registry: Registry) -> Iterator[TestClient]:
    """An app whose pictures need a key."""
    settings = settings.model_copy(update={"public_avatars": False})
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client
