"""No import cycle of files, and none of folders beside those that are named here."""

from collections import defaultdict

import grimp
import pytest

PACKAGES = ("app", "kao", "models", "worker")
# Folders or files of one package that import each other, not yet untied: none may join them.
KNOTS: dict[str, list[set[str]]] = {
    # The state holds the engine and the caches, which pictures' routes reach through it.
    "app": [{"app.auth", "app.avatars", "app.state"}],
}

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


def units(edges: Edges, package: str) -> Edges:
    """The imports between the files and folders right below a package."""
    depth = package.count(".") + 2
    below: Edges = defaultdict(set)
    for name, targets in edges.items():
        unit = ".".join(name.split(".")[:depth])
        for target in targets:
            other = ".".join(target.split(".")[:depth])
            if {unit[: len(package) + 1], other[: len(package) + 1]} == {f"{package}."}:
                below[unit] |= {other} - {unit}
    return below


def test_cycles_are_recognised() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"d"}}
    assert cycles(edges) == [{"a", "b", "c"}]
    assert cycles({"a": {"b"}, "b": {"c"}}) == []
    assert units({"p.x.one": {"p.y.two"}, "p.y.three": {"p.x.four", "q.z"}}, "p") == {
        "p.x": {"p.y"},
        "p.y": {"p.x"},
    }


def test_no_file_imports_itself_through_others(imports: Edges) -> None:
    assert cycles(imports) == []


def test_no_folder_imports_itself_through_others(imports: Edges) -> None:
    packages = {name.rpartition(".")[0] for name in imports} - {""}
    for package in sorted(packages):
        for group in cycles(units(imports, package)):
            assert any(group <= knot for knot in KNOTS.get(package, [])), group
