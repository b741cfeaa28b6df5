"""Errors and constants that docstrings name exist."""

import ast
import builtins
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = [
    path for folder in ("app", "kao", "models", "worker") for path in (ROOT / folder).rglob("*.py")
]
ERRORS = re.compile(r"Raises ([A-Z]\w+(?:,\s+(?:and\s+)?[A-Z]\w+)*)")
CONSTANT = re.compile(r"(?<![\w/`$])[A-Z]{2,}(?:_[A-Z]+)+(?!\w)")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Of settings, Docker's secrets, sysexits.h, huggingface_hub, S3 clients and torchrun.
FOREIGN = re.compile(r"KAO_|NAME_FILE$|EX_SOFTWARE$|HF_|AWS_|MASTER_")


def mentions(text: str) -> set[str]:
    """The errors and constants that a docstring names."""
    errors = {name for names in ERRORS.findall(text) for name in re.findall(r"[A-Z]\w+", names)}
    names = {*errors, *CONSTANT.findall(text)}
    return {name for name in names if not FOREIGN.match(name)}


def read(source: str) -> tuple[set[str], set[str]]:
    """What a module's docstrings name; and what it defines, imports, uses or quotes."""
    in_docstrings: set[str] = set()
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED):
            in_docstrings |= mentions(ast.get_docstring(node, clean=False) or "")
        if isinstance(node, ast.ClassDef | ast.alias):
            names.add(node.name.rpartition(".")[2])
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)  # a variable of the environment
    return in_docstrings, names


def test_names_are_recognised() -> None:
    source = '"""Raises LostKey, OldKey. MOST_KEYS, KAO_THREADS, a PNG."""\nMOST_RUNS = lost.Key\n'
    assert read(source)[0] == {"LostKey", "OldKey", "MOST_KEYS"}
    assert {"MOST_RUNS", "lost", "Key"} <= read(source)[1]


def test_what_a_docstring_names_exists() -> None:
    modules = {path: read(path.read_text()) for path in FILES}
    names = {*dir(builtins), *(name for _, own in modules.values() for name in own)}
    missing = {
        path.relative_to(ROOT).as_posix(): in_docstrings - names
        for path, (in_docstrings, _) in modules.items()
        if in_docstrings - names
    }
    assert missing == {}
