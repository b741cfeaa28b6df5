"""Rules of imports beside those of import-linter: no cycle of files, one place for ONNX Runtime."""

import re
from pathlib import Path

import grimp
import pytest

PACKAGES = ("app", "kao", "models", "worker")

Edges = dict[str, set[str]]


@pytest.fixture(scope="module")
def imports() -> Edges:
    """Module → the modules of ours that it imports."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {name: set(graph.find_modules_directly_imported_by(name)) for name in graph.modules}


def reachable(edges: Edges, start: str) -> set[str]:
    """What one node imports, directly or through others."""
    visits: set[str] = set()
    stack = [start]
    while stack:
        for name in edges.get(stack.pop(), set()) - visits:
            visits.add(name)
            stack.append(name)
    return visits


def cycles(edges: Edges) -> list[set[str]]:
    """The sets of nodes that all reach each other; those of one node are left out."""
    reach = {name: reachable(edges, name) for name in edges}
    groups: list[set[str]] = []
    for name in sorted(edges):
        group = {other for other in reach[name] if name in reach.get(other, set())}
        if len(group) > 1 and group not in groups:
            groups.append(group)
    return groups


def test_cycles_are_recognised() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"d"}}
    assert cycles(edges) == [{"a", "b", "c"}]
    assert cycles({"a": {"b"}, "b": {"c"}}) == []


def test_no_file_imports_itself_through_others(imports: Edges) -> None:
    assert cycles(imports) == []


def test_onnx_runtime_is_imported_where_its_telemetry_is_off() -> None:
    """Whichever module imports it first decides, tests included."""
    root = Path(__file__).parents[2]
    sources = [path for folder in (*PACKAGES, "tests") for path in (root / folder).rglob("*.py")]
    pattern = re.compile(r"^\s*(import|from) onnxruntime\b", re.MULTILINE)
    importers = [path.relative_to(root) for path in sources if pattern.search(path.read_text())]
    assert importers == [Path("models/onnx_runtime.py")]
