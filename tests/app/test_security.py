"""Who may change things."""

import stat

import pytest

from models import keys
from models.database import connect, migrate
from models.settings import Settings

GUARDED = [
    ("POST", "/train"),
    ("GET", "/train"),
    ("GET", "/train/x"),
    ("GET", "/train/x/events"),
    ("GET", "/train/x/sheets"),
    ("GET", "/train/x/sheets/latest.png"),
    ("POST", "/train/x/cancel"),
    ("POST", "/train/x/resume"),
    ("POST", "/models/latest/promote"),
    ("POST", "/models/rollback"),
    ("GET", "/datasets"),
    ("POST", "/datasets?name=x&licence=y"),
    ("DELETE", "/datasets/x"),
]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer kao_wrong"}], ids=["none", "bad"]
)
@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_without_the_key_nothing_is_told_or_done(client, method, path, headers):
    answer = client.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "api-key" in answer.json()["detail"]


def test_the_first_key_is_made_once_and_is_its_owners(tmp_path):
    settings = Settings(home=tmp_path)
    engine = connect(settings)
    migrate(engine)
    key = keys.ensure_first_key(engine, settings)
    assert key is not None
    assert key.startswith("kao_")
    file = tmp_path / "api-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() == key
    assert keys.ensure_first_key(engine, settings) == key
    assert keys.is_key(engine, key)
    assert not keys.is_key(engine, key + "x")
    file.unlink()
    assert keys.ensure_first_key(engine, settings) is None
    assert keys.is_key(engine, key)
    engine.dispose()


def test_a_lost_database_keeps_the_key_in_the_file(tmp_path):
    (tmp_path / "api-key").write_text("kao_kept-from-before\n")
    settings = Settings(home=tmp_path)
    engine = connect(settings)
    migrate(engine)
    assert keys.ensure_first_key(engine, settings) == "kao_kept-from-before"
    assert keys.is_key(engine, "kao_kept-from-before")
    engine.dispose()
