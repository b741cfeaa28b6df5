"""`kao keys` and `kao sign` as typed."""

from pathlib import Path

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
    (row,) = [key for key in keys.list_keys(engine) if key.name == "[/x]"]
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


def test_a_file_that_is_no_key_signs_nothing(
    quick: Kao, registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "face.png").write_bytes(b"\x89PNG\r\n")
    code, output, message = quick("sign", "/avatar", "--key-file", str(tmp_path / "face.png"))
    assert (code, output) == (1, "")
    assert "needs an active key" in message


def test_only_the_key_itself_can_sign(kao: Kao, settings: Settings, tmp_path: Path) -> None:
    """The database has public keys only, so its reader cannot sign."""
    assert kao("models", "list").code == 0  # creates the tables
    engine = connect(settings)
    secret, key = keys.create(engine, "web", ["avatars"])
    engine.dispose()
    file = tmp_path / "web-key"
    file.write_text(secret + "\n")
    code, address, _ = kao("sign", "/avatar?seed=42", "--key-file", str(file))
    assert code == 0
    assert f"key={key.id}&" in address
    file.write_text("kao_unknown-to-the-database")
    code, _, message = kao("sign", "/avatar?seed=42", "--key-file", str(file))
    assert (code, "Traceback" in message) == (1, False)
    assert "--key-file" in message


def test_a_start_names_the_file_of_the_key_and_not_the_key(
    settings: Settings, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    with TestClient(create_app(settings.model_copy(update={"api_key": None}))):
        pass
    file = settings.home / keys.FILE
    output = "".join(capsys.readouterr())
    assert str(file) in output
    assert file.read_text().strip() not in output
