"""Keys: made once, kept as a hash, ended for good."""

import stat
from pathlib import Path
from typing import get_args

import pytest

from models import keys
from models.database.engine import connect, migrate
from models.errors import InvalidKey, KaoError, UnknownKey
from models.settings import Settings


@pytest.fixture
def database(tmp_path: Path):
    """A database over and over again: `database(**settings)` gives (engine, settings)."""
    engines = []

    def make(**given):
        settings = Settings(home=tmp_path, **given)
        engines.append(connect(settings))
        migrate(engines[-1])
        return engines[-1], settings

    yield make
    for engine in engines:
        engine.dispose()


def test_the_first_key_is_made_once_and_is_its_owners(database, tmp_path: Path) -> None:
    engine, settings = database()
    key = keys.ensure_first_key(engine, settings)
    assert key is not None
    assert key.startswith("kao_")
    assert len(key) >= 4 + 43  # 256 bits in base64
    file = tmp_path / "api-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == key
    assert keys.ensure_first_key(engine, settings) == key
    assert keys.find(engine, key).scopes == tuple(keys.SCOPES)
    assert keys.find(engine, key + "x") is None
    file.unlink()
    assert keys.ensure_first_key(engine, settings) is None
    assert keys.find(engine, key)


def test_a_lost_database_keeps_the_key_in_the_file(database, tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("kao_kept-from-before\n")
    engine, settings = database()
    assert keys.ensure_first_key(engine, settings) == "kao_kept-from-before"
    assert keys.find(engine, "kao_kept-from-before")


@pytest.mark.parametrize("given", [{}, {"api_key": "k" * 20}], ids=["file", "setting"])
def test_a_restart_does_not_bring_back_a_revoked_key(database, given) -> None:
    engine, settings = database(**given)
    key = keys.ensure_first_key(engine, settings)
    keys.revoke(engine, keys.find(engine, key).id)
    assert keys.ensure_first_key(engine, settings) is None
    assert keys.find(engine, key) is None


def test_only_hashes_are_stored(database, tmp_path: Path) -> None:
    engine, _ = database()
    key, _ = keys.create(engine, "ci", ["train"])
    engine.dispose()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("kao.db*"))
    assert keys.hash_of(key).encode() in kept
    assert key.encode() not in kept


def test_the_hash_is_not_in_what_a_key_shows_of_itself(database) -> None:
    engine, _ = database()
    secret, key = keys.create(engine, "ci", ["train"])
    assert key.hash == keys.hash_of(secret)
    assert key.hash not in repr(key)


def test_a_revoked_key_is_found_by_nobody(database) -> None:
    engine, _ = database()
    other, _ = database()  # another server of the same database
    secret, key = keys.create(engine, "ci", ["read", "train"])
    assert keys.find(other, secret) == key
    keys.revoke(engine, key.id)
    assert keys.find(other, secret) is None
    with pytest.raises(UnknownKey):
        keys.get(other, key.id)
    (listed,) = keys.listed(engine)
    assert listed.revoked is not None
    keys.revoke(engine, key.id)
    assert keys.listed(engine) == [listed]


def test_a_key_that_never_was_cannot_be_revoked(database) -> None:
    engine, _ = database()
    with pytest.raises(UnknownKey):
        keys.revoke(engine, "none")


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        pytest.param("", ["read"], id="no-name"),
        pytest.param("x" * 65, ["read"], id="long-name"),
        pytest.param("a\x1b[2J", ["read"], id="terminal-codes"),
        pytest.param("ci", [], id="no-scope"),
        pytest.param("ci", ["read", "root"], id="unknown-scope"),
    ],
)
def test_a_key_needs_a_name_and_known_scopes(database, name, scopes) -> None:
    engine, _ = database()
    with pytest.raises(InvalidKey):
        keys.create(engine, name, scopes)
    assert keys.listed(engine) == []


def test_every_scope_is_described() -> None:
    assert get_args(keys.Scope) == tuple(keys.SCOPES)


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("kao.example", True),
    ],
)
def test_a_server_that_others_reach_needs_an_active_key(database, host, refused) -> None:
    engine, settings = database(host=host)
    keys.ensure_first_key(engine, settings)
    keys.refuse_without_key(engine, settings)
    keys.revoke(engine, keys.listed(engine)[0].id)
    if refused:
        with pytest.raises(KaoError, match=r"kao keys create .* KAO_HOST=127\.0\.0\.1"):
            keys.refuse_without_key(engine, settings)
    else:
        keys.refuse_without_key(engine, settings)


def test_a_key_is_checked_while_somebody_writes(database) -> None:
    engine, _ = database()
    secret, key = keys.create(engine, "ci", ["read"])
    with engine.begin():
        assert keys.find(engine, secret) == key
