"""Functions of at most 50 lines and files of at most 400, in the code and in the tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "benchmarks", "clients", "deploy", "kao", "models", "tests", "worker")
LONGEST_FUNCTION = 50  # lines, docstring and signature included
LONGEST_FILE = 400
REASON = "# long: "  # on the line before a longer function's def, and why it is

FILES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if not {"node_modules", ".venv", "build"} & set(path.parts)
)


def long_functions(text: str) -> Iterator[str]:
    """The names of functions that are too long and give no reason."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.end_lineno:
            continue
        is_long = node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
        if is_long and not lines[node.lineno - 2].strip().startswith(REASON):
            yield node.name


@pytest.mark.parametrize("lines", [LONGEST_FUNCTION, LONGEST_FUNCTION + 1])
def test_a_long_function_is_recognised(lines: int) -> None:
    text = "def f():\n" + "    pass\n" * (lines - 1)
    assert list(long_functions(text)) == (["f"] if lines > LONGEST_FUNCTION else [])
    assert list(long_functions(f"{REASON}one story\n{text}")) == []


def test_no_function_is_long_without_a_reason() -> None:
    names = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in FILES
        for name in long_functions(file.read_text())
    }
    assert names == set()


def test_no_file_is_long() -> None:
    long_files = {
        file.relative_to(ROOT).as_posix()
        for file in FILES
        if len(file.read_text().splitlines()) > LONGEST_FILE
    }
    assert long_files == set()
