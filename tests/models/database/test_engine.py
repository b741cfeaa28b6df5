"""The database: readers take no write lock, and a database that is not ours is refused."""

import ast
import contextlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from models import keys, registry, runs
from models.database import tables
from models.database.engine import connect, migrate
from models.datasets import catalogue, quotas
from models.errors import KaoError, NewerDatabase, UnknownDataset, UnknownModel, UnknownRun
from models.maintenance import disk_cache, garbage, scrub
from models.settings import Settings
from tests.support.waiting import wait

ROOT = Path(__file__).parents[3]

READERS: dict[str, Callable[[sa.Engine, Settings], object]] = {
    "registry.resolve": lambda engine, s: registry.Registry(engine, s.blobs).resolve("default"),
    "registry.aliases": lambda engine, s: registry.Registry(engine, s.blobs).aliases(),
    "registry.list_models": lambda engine, s: registry.Registry(engine, s.blobs).list_models(),
    "registry.get": lambda engine, s: registry.Registry(engine, s.blobs).get("default"),
    "registry.default_candidates": lambda engine, s: registry.Registry(
        engine, s.blobs
    ).default_candidates(),
    "runs.get": lambda engine, s: runs.get(engine, "none"),
    "runs.list_runs": lambda engine, s: runs.list_runs(engine),
    "runs.events_after": lambda engine, s: runs.events_after(engine, "none", 0),
    "runs.events_of_type": lambda engine, s: runs.events_of_type(engine, "none", "x"),
    "catalogue.get": lambda engine, s: catalogue.get(engine, "none"),
    "catalogue.list_datasets": lambda engine, s: catalogue.list_datasets(engine),
    "quotas.room": lambda engine, s: quotas.room(engine, s, None),
    "keys.find": lambda engine, s: keys.find(engine, "none"),
    "garbage.find": lambda engine, s: garbage.find(s, engine),
    "scrub.scrub": lambda engine, s: list(scrub.scrub(s, engine)),
    "disk_cache.prune": lambda engine, s: disk_cache.prune(s, engine),
    "migrate": lambda engine, s: migrate(engine),
}


@pytest.fixture
def write_lock(engine: sa.Engine, settings: Settings) -> Iterator[None]:
    """While another process holds the write lock."""
    other = connect(settings)
    with other.connect() as db:
        db.execute(sa.text("UPDATE runs SET fence = fence"))
        yield
    other.dispose()


@pytest.mark.timeout(25)  # SQLite waits 30 s for a lock
@pytest.mark.parametrize("name", READERS)
def test_a_reader_never_waits_for_a_writer(
    engine: sa.Engine, settings: Settings, write_lock: None, name: str
) -> None:
    settings = settings.model_copy(update={"local_bytes": 0})
    with contextlib.suppress(UnknownRun, UnknownModel, UnknownDataset):
        READERS[name](engine, settings)


@pytest.mark.timeout(25)
def test_a_reader_finds_a_connection_however_many_writers_wait(
    engine: sa.Engine, settings: Settings
) -> None:
    other, refusals = connect(settings), []

    def write() -> None:
        try:
            with engine.begin() as db:
                db.execute(sa.text("UPDATE runs SET fence = fence"))
        except sa.exc.TimeoutError as error:  # at once, and not after all that wait
            refusals.append(error)

    with ThreadPoolExecutor(20) as writers:
        with other.begin() as db:
            db.execute(sa.text("UPDATE runs SET fence = fence"))
            outcomes = [writers.submit(write) for _ in range(20)]
            wait(lambda: len(refusals) >= 5, 20)
            assert keys.list_keys(engine) == []
        for outcome in outcomes:
            outcome.result()
    assert len(refusals) == 5
    other.dispose()


@pytest.mark.timeout(25)
def test_a_key_of_an_older_version_never_waits_for_a_writer(
    engine: sa.Engine, settings: Settings
) -> None:
    """Its public keys are stored at its first use, or at a later one."""
    secret, _ = keys.create(engine, "old", ["read"])
    with engine.begin() as db:
        db.execute(sa.update(tables.keys).values(session_key=None, address_key=None))
    other = connect(settings)
    with other.connect() as db:
        db.execute(sa.text("UPDATE runs SET fence = fence"))
        key = keys.find(engine, secret)
    other.dispose()
    assert key is not None
    assert key.session_key is None
    later = keys.find(engine, secret)
    assert later is not None
    assert later.session_key is not None


# What a transaction calls to change the database, or to hold a lock on it.
WRITES = {"insert", "update", "delete", "lock", "upgrade", "register", "guard"}


def _writes(body: ast.With) -> bool:
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(body)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    private = {"_write", "_move", "_insert", "_register", "_hide", "_append_event"}
    private |= {"_store_public_keys", "_requeue_or_fail"}
    return bool(names & (WRITES | private))


def _write_transactions(text: str) -> Iterator[ast.With]:
    """Each `with engine.begin()` of a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.With):
            for item in node.items:
                source = ast.unparse(item.context_expr)
                if ".begin()" in source and "reading(" not in source:
                    yield node


def _needless_write_transactions(text: str) -> list[int]:
    """Lines of `with engine.begin()` whose body only reads."""
    return [node.lineno for node in _write_transactions(text) if not _writes(node)]


def test_only_what_writes_takes_the_write_lock() -> None:
    assert _needless_write_transactions("with engine.begin() as db:\n    db.execute(select(runs))")
    exceptions = {
        "models/maintenance/database_dump.py",  # PostgreSQL alone, REPEATABLE READ
    }
    needless = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "models").rglob("*.py"))
        if str(path.relative_to(ROOT)) not in exceptions
        for line in _needless_write_transactions(path.read_text("utf-8"))
    }
    assert needless == set()


# Receivers and functions that reach a bucket, copy, hash or delete whole files.
SLOW = re.compile(
    r"\bblobs\.|\bshutil\.|\bsubprocess\.|\bsha256\(|\brmtree\(|\.unlink\(|\bsettle\(|\b_find\("
    r"|\brglob\(|\biterdir\(|\bread_card\(|\bread_bytes\(|\bread_text\("
)


def _slow_write_transactions(text: str) -> list[int]:
    """Lines of `with engine.begin()` whose body does I/O beside the database's."""
    return [
        node.lineno
        for node in _write_transactions(text)
        if SLOW.search("\n".join(map(ast.unparse, node.body)))
    ]


def test_no_write_transaction_waits_for_a_bucket_or_a_file() -> None:
    """Every other writer waits meanwhile. Renaming is no such I/O: it hides a file at once."""
    assert _slow_write_transactions("with engine.begin() as db:\n    settings.blobs.remove(path)")
    slow = {
        f"{path.relative_to(ROOT)}:{line}"
        for room in ("app", "models", "worker", "kao")
        for path in sorted((ROOT / room).rglob("*.py"))
        for line in _slow_write_transactions(path.read_text("utf-8"))
    }
    assert slow == set()


def test_a_newer_database_is_refused_in_a_sentence(engine: sa.Engine) -> None:
    with engine.begin() as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerDatabase, match="newer version"):
        migrate(engine)
    assert issubclass(NewerDatabase, KaoError)
