"""A connection to PostgreSQL that carries nothing any more is noticed, at both ends."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from models import runs
from models.database import postgresql
from models.database.engine import connect, lock, migrate
from models.recipes.recipe import resolve
from models.settings import Settings
from tests.support.network import Link, Network
from tests.support.servers import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

SMOKE = {"preset": "smoke"}


@pytest.fixture
def link(network: Network, postgres: Postgres) -> Link:
    return network.link("app", "database", postgres.port)


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
def engine(
    link: Link, postgres: Postgres, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sa.Engine]:
    """Through the link, migrated; that connection is among those that are used later."""
    monkeypatch.setattr(postgresql, "STATEMENT_TIMEOUT", 2.0)
    address = url.replace(f":{postgres.port}/", f":{link.port}/")
    engine = connect(Settings(home=tmp_path, database_url=address))
    migrate(engine)
    yield engine
    engine.dispose()


def test_a_half_open_connection_of_the_pool_is_replaced_in_time(
    network: Network, link: Link, engine: sa.Engine
) -> None:
    assert runs.list_runs(engine) == []
    network.apply(link.name, "half-open")
    start = time.monotonic()
    assert runs.list_runs(engine) == []
    assert time.monotonic() - start >= postgresql.STATEMENT_TIMEOUT


def test_a_statement_without_an_answer_fails_in_time_and_the_next_one_works(
    network: Network, link: Link, engine: sa.Engine
) -> None:
    with engine.connect() as db:
        network.apply(link.name, "partition")
        with pytest.raises(sa.exc.OperationalError, match="did not answer within 2 seconds"):
            db.execute(sa.text("SELECT 1"))
    network.heal(link.name)
    assert runs.list_runs(engine) == []


def test_the_locks_of_a_host_that_vanished_in_a_transaction_are_released(
    network: Network,
    link: Link,
    engine: sa.Engine,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgresql, "IDLE_TIMEOUT", "2s")
    engine.dispose()
    other = connect(Settings(home=tmp_path / "other", database_url=url))
    with engine.connect() as lost:
        lock(lost, "runs.create")
        network.apply(link.name, "half-open")
        row, is_new = runs.create(other, resolve(SMOKE), SMOKE)
        assert is_new
        assert row["state"] == "queued"
        lost.invalidate()
    other.dispose()
