"""`kao keys` and `kao sign` as typed, and a server whose keys are all revoked."""

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from models import keys
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings
from tests.kao.conftest import Kao


def test_a_key_is_created_shown_once_listed_and_revoked(kao: Kao, settings: Settings) -> None:
    code, key, message = kao("keys", "create", "ci", "--scope", "read", "--scope", "train")
    assert code == 0
    assert "read, train" in message
    engine = connect(settings)
    row = keys.find(engine, key.strip())
    assert row is not None
    assert row.scopes == ("read", "train")
    _, table, _ = kao("keys", "list")
    assert row.id in table
    assert key.strip() not in table
    assert kao("keys", "revoke", row.id).code == 0
    assert keys.find(engine, key.strip()) is None
    engine.dispose()
    code, _, message = kao("keys", "revoke", "none")
    assert (code, "Traceback" in message) == (1, False)
    assert "kao keys list" in message


def test_a_name_that_looks_like_markup_is_text(kao: Kao, settings: Settings) -> None:
    """Over HTTP anybody with the scope may name a key; the list must still show its id."""
    engine = connect(settings)
    assert kao("keys", "create", "[/x]", "--scope", "read").code == 0
    (row,) = [key for key in keys.listed(engine) if key.name == "[/x]"]
    engine.dispose()
    code, table, _ = kao("keys", "list")
    assert code == 0
    assert "[/x]" in table
    assert row.id in table
    code, _, message = kao("models", "promote", "[/x]")
    assert (code, "Traceback" in message) == (1, False)
    assert "[/x]" in message


def test_an_address_signed_on_the_command_line_opens(
    kao: Kao, settings: Settings, registry: Registry
) -> None:
    code, address, _ = kao("sign", "https://faces.example/avatar?seed=42", "--days", "1")
    assert code == 0
    private = settings.model_copy(update={"public_avatars": False})
    with TestClient(create_app(private)) as client:
        assert client.get("/avatar?seed=42").status_code == 401
        path = address.strip().removeprefix("https://faces.example")
        assert client.get(path).status_code == 200


def test_an_address_is_signed_by_active_keys_only(kao: Kao) -> None:
    code, _, message = kao("sign", "https://faces.example/avatar?seed=42", "--key", "none")
    assert (code, "Traceback" in message) == (1, False)
    assert "kao keys list" in message


def test_a_start_names_the_file_of_the_key_and_not_the_key(
    settings: Settings, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    with TestClient(create_app(settings.model_copy(update={"api_key": None}))):
        pass
    file = settings.home / keys.FILE
    output = "".join(capsys.readouterr())
    assert str(file) in output
    assert file.read_text().strip() not in output


def test_a_server_whose_keys_are_revoked_says_how_to_continue(kao: Kao, settings: Settings) -> None:
    engine = connect(settings)
    assert kao("models", "list").code == 0  # creates the tables
    keys.ensure_first_key(engine, settings.model_copy(update={"api_key": None}))
    for key in keys.listed(engine):
        keys.revoke(engine, key.id)
    engine.dispose()
    code, _, message = kao("serve", "--host", "0.0.0.0")
    assert code == 1
    assert "Traceback" not in message
    assert "kao keys create" in " ".join(message.split())
