"""`kao-client` needs httpx alone, and the server does not need `kao-client`."""

import ast
import json
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STANDARD = {"asyncio", "base64", "collections", "contextlib", "dataclasses", "decimal"}
STANDARD |= {"functools", "json", "pathlib", "time", "typing", "urllib"}


@pytest.mark.parametrize("client", ["python", "js"])
def test_a_package_has_its_licence(client: str) -> None:
    folder = ROOT / "clients" / client
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    # The registries show a readme where no relative address leads anywhere.
    assert "](../" not in (folder / "README.md").read_text()
    if client == "python":
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        assert project["license-files"] == ["LICENSE"]
    else:
        assert "LICENSE" in json.loads((folder / "package.json").read_text())["files"]


def test_the_server_does_not_need_it() -> None:
    for package in ("app", "kao", "models", "worker"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += (
                    [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                )
                assert not any(name.startswith("kao_client") for name in names), path


def test_it_needs_httpx_alone() -> None:
    project = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    assert [text.partition(">")[0] for text in project["dependencies"]] == ["httpx"]
    own = {"httpx", "kao_client"}
    for path in (ROOT / "clients/python/kao_client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                top = node.module.partition(".")[0]
                assert top in own or top in STANDARD, (path, top)
