"""Which errors become a sentence, and which keep their traceback."""

import errno
import os
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from kao.errors import explain
from models.database import engine
from models.errors import KaoError
from models.settings import Settings
from tests.kao.conftest import Kao
from tests.support.waiting import free_port


class Other(BaseModel):
    """A model that is not the settings."""

    number: int


def _validation_error(model: Any, **fields: Any) -> Exception:
    with pytest.raises(ValidationError) as failure:
        model(**fields)
    return failure.value


def _alembic_error() -> Exception:
    from alembic.util import CommandError

    return CommandError("Can't locate revision identified by '9999'")


@pytest.mark.parametrize(
    ("error", "part"),
    [
        pytest.param(KaoError("a sentence"), "a sentence", id="ours"),
        pytest.param(PermissionError(13, "Permission denied", "/x"), "/x: Permission", id="denied"),
        pytest.param(NotADirectoryError(20, "Not a directory", "/x"), "/x: Not a", id="file"),
        pytest.param(OSError(28, "No space left on device", "/x"), "No space", id="full"),
        pytest.param(FileNotFoundError(2, "No such file", "a.zip"), "a.zip: No", id="argument"),
        pytest.param(
            FileNotFoundError(2, "No such file", os.path.abspath("a.zip")),
            "a.zip: No",
            id="argument-made-absolute",
        ),
        pytest.param(OSError(28, "No space left on device"), "No space", id="full-without-name"),
        pytest.param(OSError(5, "Input/output error"), "Input/output", id="bad-disk"),
        pytest.param(_alembic_error(), "newer version", id="newer-database"),
        pytest.param(
            ModuleNotFoundError("No module named 'psycopg'", name="psycopg"),
            "kao[hosts]",
            id="without-psycopg",
        ),
        pytest.param(
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            "pip install 'kao[worker]'",
            id="without-torch",
        ),
    ],
)
def test_what_a_user_can_correct_is_a_sentence(error: Exception, part: str) -> None:
    assert part in (explain(error, ["import", "a.zip"]) or "")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        RuntimeError("a bug"),
        KeyError("a bug"),
        FileNotFoundError(2, "No such file", "of-ours"),
        OSError(9, "Bad file descriptor"),
        _validation_error(Other, number="x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_bug_keeps_its_traceback(error: Exception) -> None:
    assert explain(error, ["doctor"]) is None


def test_a_wrong_setting_is_named_by_its_variable() -> None:
    message = explain(_validation_error(Settings, port=0, redis_url=3)) or ""
    assert "KAO_PORT" in message
    assert "REDIS_URL" in message


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"port": "x"}, "KAO_PORT is 'x': Input should be a valid integer, "),
        ({"trusted_proxies": "x"}, "KAO_TRUSTED_PROXIES is 'x': 'x' does not appear to be an IPv4"),
        ({"storage_url": "x"}, "STORAGE_URL is 'x': must be a folder"),
        ({"redis_url": "x:secret"}, "REDIS_URL: must begin with redis://"),
        ({"api_key": "secret"}, "KAO_API_KEY: String should have at least 16 characters"),
    ],
)
def test_a_wrong_setting_is_repeated_unless_it_is_a_secret(
    fields: dict[str, str], sentence: str
) -> None:
    message = explain(_validation_error(Settings, **fields)) or ""
    assert message.startswith(sentence)
    assert "secret" not in message


def test_a_home_that_cannot_be_made_is_named_with_the_setting_that_moves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAO_HOME", "/srv/kao")
    assert "Set KAO_HOME" in (explain(PermissionError(13, "Permission denied", "/srv")) or "")
    argument = explain(PermissionError(13, "Permission denied", "/srv"), ["import", "/srv"])
    assert argument == "/srv: Permission denied."


def test_a_home_that_is_a_file_is_a_sentence(kao: Kao, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    result = kao("models", "list", KAO_HOME=str(file), STORAGE_URL=f"file://{tmp_path}/store")
    assert (result.code, "Traceback" in result.err) == (1, False)
    assert str(file) in result.err


def test_a_user_without_a_home_is_a_sentence(kao: Kao) -> None:
    result = kao("models", "list", KAO_HOME="~nobody-of-this-name/kao")
    assert (result.code, "Traceback" in result.err) == (1, False)
    assert "KAO_HOME" in result.err


def test_a_postgresql_that_does_not_answer_is_a_sentence(
    quick: Kao, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "START_TIMEOUT", 0.5)
    port = free_port()
    address = f"postgresql://kao:secret@127.0.0.1:{port}/kao"
    result = quick("keys", "list", DATABASE_URL=address)
    assert (result.code, "Traceback" in result.err) == (1, False)
    assert "PostgreSQL cannot be used as DATABASE_URL says" in result.err
    assert "secret" not in result.err


def test_a_database_of_a_newer_version_is_a_sentence(kao: Kao, settings: Settings) -> None:
    assert kao("models", "list").code == 0
    with sqlite3.connect(settings.home / "kao.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    result = kao("models", "list")
    assert (result.code, "Traceback" in result.err) == (1, False)
    assert "newer version" in result.err


def test_a_damaged_database_is_a_sentence(kao: Kao, settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "kao.db").write_bytes(os.urandom(8192))
    result = kao("models", "list")
    assert (result.code, "Traceback" in result.err) == (1, False)
    assert "backup" in result.err


def test_a_folder_that_cannot_be_copied_is_a_sentence(tmp_path: Path) -> None:
    """shutil raises its own error, whose text is a list of a folder's files."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")

    def fail(source: str, target: str) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source, None, target)

    with pytest.raises(shutil.Error) as caught:
        shutil.copytree(tmp_path / "a", tmp_path / "c", copy_function=fail)
    assert explain(caught.value) == f"{tmp_path}/c/b: No space left on device."


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc refuses files with ENOENT on Linux")
@pytest.mark.parametrize("command", [["models", "export", "default"], ["backup"]])
def test_a_place_that_takes_no_file_is_named(kao: Kao, command: list[str]) -> None:
    kao("models", "list")  # makes the database
    for place, reason in [
        ("/proc/a.zip", "/proc/a.zip: No such file"),
        ("/proc", "/proc: Is a directory; name a file in it"),
        ("/dev/null", "/dev/null: Is no regular file"),
    ]:
        answer = kao(*command, place)
        assert answer.code == 1
        assert f"kao: {reason}" in answer.err
        assert "Traceback" not in answer.err
    assert Path("/dev/null").is_char_device()


def test_a_database_that_cannot_be_opened_is_a_sentence_at_once(
    quick: Kao, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database.engine.time.sleep", lambda _: pytest.fail("it waits"))
    (settings.home / "kao.db").mkdir(parents=True)
    code, output, message = quick("models", "list")
    assert (code, output) == (1, "")
    assert message.startswith("kao: The database's file cannot be opened")


@pytest.mark.parametrize("code", [errno.EEXIST, errno.ENOTDIR])
def test_a_file_in_the_place_of_a_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setenv("KAO_HOME", "/srv/kao")
    error = OSError(code, os.strerror(code), "/srv/kao")
    assert "/srv/kao is a file where Kao needs a folder" in (explain(error) or "")
