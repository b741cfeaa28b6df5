"""`kao keys` and `kao sign` as typed, and a server that nobody has a key to."""

import os
import subprocess
import sys

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from models import keys
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings


@pytest.fixture
def kao(settings: Settings, registry: Registry):
    """Type a command; (exit code, what it printed, what it told)."""
    environment = {**os.environ, "KAO_HOME": str(settings.home)}

    def run(*words):
        command = [sys.executable, "-m", "kao", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_key_is_made_shown_once_listed_and_revoked(kao, settings: Settings) -> None:
    code, key, told = kao("keys", "create", "ci", "--scope", "read", "--scope", "train")
    assert code == 0
    assert "read, train" in told
    engine = connect(settings)
    row = keys.find(engine, key.strip())
    assert row.scopes == ("read", "train")
    _, listed, _ = kao("keys", "list")
    assert row.id in listed
    assert key.strip() not in listed
    assert kao("keys", "revoke", row.id)[0] == 0
    assert keys.find(engine, key.strip()) is None
    engine.dispose()
    code, _, told = kao("keys", "revoke", "none")
    assert (code, "Traceback" in told) == (1, False)
    assert "kao keys list" in told


def test_an_address_signed_on_the_command_line_opens(kao, settings: Settings) -> None:
    code, address, _ = kao("sign", "https://faces.example/avatar?seed=42", "--days", "1")
    assert code == 0
    closed = settings.model_copy(update={"public_avatars": False})
    with TestClient(create_app(closed)) as client:
        assert client.get("/avatar?seed=42").status_code == 401
        path = address.strip().removeprefix("https://faces.example")
        assert client.get(path).status_code == 200


def test_a_start_names_the_file_of_the_key_and_not_the_key(
    settings: Settings, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    with TestClient(create_app(settings.model_copy(update={"api_key": None}))):
        pass
    file = settings.home / keys.FILE
    told = "".join(capsys.readouterr())
    assert str(file) in told
    assert file.read_text().strip() not in told


def test_a_server_to_which_nobody_has_a_key_says_how_to_go_on(kao, settings: Settings) -> None:
    engine = connect(settings)
    keys.ensure_first_key(engine, settings.model_copy(update={"api_key": None}))
    for key in keys.listed(engine):
        keys.revoke(engine, key.id)
    engine.dispose()
    code, _, told = kao("serve", "--host", "0.0.0.0")
    assert code == 1
    assert "Traceback" not in told
    assert "kao keys create" in " ".join(told.split())
