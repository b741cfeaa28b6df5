"""The store's layout: one module spells it, and names parse back to what they belong to."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.storage import layout

ROOT = Path(__file__).parents[3]
CODE = ("app", "kao", "models", "worker")
# A route starts with a slash, a path of the store does not.
STORE_PATH = re.compile(
    r"^(bundles|datasets|snapshots|uploads|runs)/"
    r"|^(bundles|snapshots|uploads|kao\.db|api-key|valkey\.sock)$"
    r"|^(\*|)\.(pt)$"
)


def _strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of every literal that is not a docstring."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        if isinstance(node.value, str):
            yield node.lineno, node.value


def _find_paths(text: str) -> list[str]:
    return [
        f"{line}: {value!r}"
        for line, value in _strings(ast.parse(text))
        if STORE_PATH.search(value)
    ]


def test_only_the_layout_spells_paths_of_the_store() -> None:
    layout_file = ROOT / "models/storage/layout.py"
    assert _find_paths(layout_file.read_text("utf-8"))  # the search finds what it looks for
    paths = [
        f"{path.relative_to(ROOT)}:{item}"
        for room in CODE
        for path in sorted((ROOT / room).rglob("*.py"))
        if path != layout_file
        for item in _find_paths(path.read_text("utf-8"))
    ]
    assert paths == []


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        pytest.param(layout.bundle("a" * 64), ("bundles", "a" * 64), id="bundle"),
        pytest.param(layout.bundle("a" * 64) + "/card.json", ("bundles", "a" * 64), id="its-file"),
        pytest.param(layout.dataset("b" * 64), ("datasets", "b" * 64), id="dataset"),
        pytest.param(layout.snapshot("c0", "1.pt"), ("snapshots", "c0"), id="snapshot"),
        pytest.param(layout.sheets("c0") + "/1.png", ("runs", "c0"), id="sheet"),
        pytest.param("others/file", None, id="foreign-folder"),
        pytest.param("bundles", None, id="folder-alone"),
        pytest.param("", None, id="empty"),
    ],
)
def test_a_name_says_what_it_belongs_to(name: str, unit: tuple[str, str] | None) -> None:
    assert layout.unit(name) == unit


def test_snapshot_names_sort_as_their_steps() -> None:
    names = [layout.snapshot_file(step) for step in (9, 10, 99_999, 10**9)]
    assert names == sorted(names)


def test_names_of_unfinished_work_start_with_a_dot() -> None:
    assert layout.is_temporary("bundles/.0123.tmp")
    assert not layout.is_temporary(layout.bundle("a" * 64))
