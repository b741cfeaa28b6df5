"""Keys: made once, stored as a hash and public keys, ended for good."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
import structlog

from models import keys
from models.database import tables
from models.database.engine import connect, migrate
from models.errors import InvalidKey, KaoError, LastKey, UnknownKey
from models.settings import Settings

Open = Callable[..., tuple[sa.Engine, Settings]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Open]:
    """Connect to the same database again: `database(**settings)` gives (engine, settings)."""
    engines: list[sa.Engine] = []

    def make(**values: Any) -> tuple[sa.Engine, Settings]:
        settings = Settings(home=tmp_path, **values)
        engines.append(connect(settings))
        migrate(engines[-1])
        return engines[-1], settings

    yield make
    for engine in engines:
        engine.dispose()


def test_the_first_key_is_made_once_and_is_its_owners(database: Open, tmp_path: Path) -> None:
    engine, settings = database()
    key = keys.ensure_first_key(engine, settings)
    assert key is not None
    assert key.startswith("kao_")
    assert len(key) >= 4 + 43  # 256 bits in base64
    file = tmp_path / "api-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == key
    assert keys.ensure_first_key(engine, settings) == key
    row = keys.find(engine, key)
    assert row is not None
    assert row.scopes == tuple(keys.SCOPES)
    assert keys.find(engine, key + "x") is None
    file.unlink()
    assert keys.ensure_first_key(engine, settings) is None
    assert keys.find(engine, key)


def test_a_lost_database_keeps_the_key_in_the_file(database: Open, tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("kao_kept-from-before\n")
    engine, settings = database()
    assert keys.ensure_first_key(engine, settings) == "kao_kept-from-before"
    assert keys.find(engine, "kao_kept-from-before")


@pytest.mark.parametrize("text", ["hunter2", "\xff"])
def test_a_file_whose_key_is_too_short_is_named_and_stays(
    database: Open, tmp_path: Path, text: str
) -> None:
    (tmp_path / "api-key").write_bytes(text.encode("latin-1"))
    engine, settings = database()
    with pytest.raises(KaoError, match="api-key is shorter than 16 characters"):
        keys.ensure_first_key(engine, settings)
    assert (tmp_path / "api-key").read_bytes() == text.encode("latin-1")


def test_an_empty_file_of_the_key_gets_one(database: Open, tmp_path: Path) -> None:
    (tmp_path / "api-key").touch()
    engine, settings = database()
    key = keys.ensure_first_key(engine, settings)
    assert key == (tmp_path / "api-key").read_text().strip()


@pytest.mark.parametrize("values", [{}, {"api_key": "k" * 20}], ids=["file", "setting"])
def test_a_restart_does_not_bring_back_a_revoked_key(
    database: Open, values: dict[str, str]
) -> None:
    engine, settings = database(**values)
    key = keys.ensure_first_key(engine, settings)
    assert key is not None
    keys.create(engine, "another", keys.SCOPES)
    row = keys.find(engine, key)
    assert row is not None
    keys.revoke(engine, row.id)
    assert keys.ensure_first_key(engine, settings) is None
    assert keys.find(engine, key) is None


def test_no_file_has_a_key(database: Open, tmp_path: Path) -> None:
    engine, _ = database()
    key, _ = keys.create(engine, "ci", ["train"])
    engine.dispose()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("kao.db*"))
    assert keys.hash_of(key).encode() in content
    assert key.encode() not in content


def test_a_revoked_key_is_not_found(database: Open) -> None:
    engine, _ = database()
    other, _ = database()  # another server of the same database
    secret, key = keys.create(engine, "ci", ["read", "train"])
    assert keys.find(other, secret) == key
    keys.revoke(engine, key.id)
    assert keys.find(other, secret) is None
    with pytest.raises(UnknownKey):
        keys.get(other, key.id)
    (row,) = keys.list_keys(engine)
    assert row.revoked is not None
    keys.revoke(engine, key.id)
    assert keys.list_keys(engine) == [row]


@pytest.mark.parametrize(
    "name", ["我的\u3000密钥", "\U0001f469\u200d\U0001f4bb", "9.30\u202fAM", "می\u200cخواهم"]
)
def test_a_key_has_a_name_of_any_script(database: Open, name: str) -> None:
    """With the full-width space, joiners, and the space of macOS before AM."""
    engine, _ = database()
    assert keys.create(engine, name, ["read"])[1].name == name


def test_an_unknown_key_cannot_be_revoked(database: Open) -> None:
    engine, _ = database()
    with pytest.raises(UnknownKey):
        keys.revoke(engine, "none")


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        pytest.param("", ["read"], id="no-name"),
        pytest.param("x" * 65, ["read"], id="long-name"),
        pytest.param("a\x1b[2J", ["read"], id="terminal-codes"),
        pytest.param("a\u2028b", ["read"], id="line-separator"),
        pytest.param("\ud800", ["read"], id="half-a-character"),
        pytest.param(" \u3000", ["read"], id="spaces-alone"),
        pytest.param("ci", [], id="no-scope"),
        pytest.param("ci", ["read", "root"], id="unknown-scope"),
    ],
)
def test_a_key_needs_a_name_and_known_scopes(database: Open, name: str, scopes: list[str]) -> None:
    engine, _ = database()
    with pytest.raises(InvalidKey):
        keys.create(engine, name, scopes)
    assert keys.list_keys(engine) == []


def test_every_scope_is_described() -> None:
    assert get_args(keys.Scope) == tuple(keys.SCOPES)


def test_a_start_without_an_active_key_is_logged(database: Open) -> None:
    engine, settings = database(host="0.0.0.0")
    keys.ensure_first_key(engine, settings)
    with structlog.testing.capture_logs() as lines:
        keys.warn_without_key(engine)
        assert lines == []
        with engine.begin() as db:
            db.execute(sa.update(tables.keys).values(revoked="2026-01-01"))
        keys.warn_without_key(engine)
    assert [line["event"] for line in lines] == ["keys.none_active"]


def test_the_last_key_that_manages_keys_stays(database: Open) -> None:
    engine, _ = database()
    _, manager = keys.create(engine, "manager", ["keys", "read"])
    keys.create(engine, "reader", ["read"])
    with pytest.raises(LastKey, match="manager"):
        keys.revoke(engine, manager.id)
    _, other = keys.create(engine, "other", ["keys"])
    keys.revoke(engine, manager.id)
    with pytest.raises(LastKey):
        keys.revoke(engine, other.id)


def test_a_key_from_before_public_keys_gets_them_when_it_is_used(database: Open) -> None:
    engine, _ = database()
    secret, key = keys.create(engine, "ci", ["read"])
    with engine.begin() as db:
        db.execute(sa.update(tables.keys).values(session_key=None, address_key=None))
    assert keys.get(engine, key.id).session_key is None
    assert keys.find(engine, secret) == key
    assert keys.get(engine, key.id) == key


def test_a_key_is_found_while_another_connection_writes(database: Open) -> None:
    engine, _ = database()
    secret, key = keys.create(engine, "ci", ["read"])
    with engine.begin():
        assert keys.find(engine, secret) == key


@pytest.mark.parametrize("key", ["CHANGE-ME-to-a-random-key", "change-me-please-now"])
def test_the_placeholder_of_an_example_is_no_key(database: Open, key: str) -> None:
    engine, settings = database(api_key=key)
    with pytest.raises(KaoError, match="placeholder"):
        keys.ensure_first_key(engine, settings)
    assert keys.list_keys(engine) == []
