"""The documentation and error texts name only what the running app has, and all event types."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from app.main import create_app
from models.runs import MOVES
from models.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = [path for room in ("app", "kao", "models", "worker") for path in (ROOT / room).rglob("*.py")]
REQUEST = re.compile(r"\b(GET|POST|PUT|DELETE|HEAD) (/[\w{}/.:-]*)(\?[\w=&-]*)?")
# Values of variables in addresses that the texts use as examples.
VALUES = {"default", "latest", "samples", "nearest"}
EVENT = re.compile(
    r"(run|dataset|snapshot|sheet|model|matching|enlarger|distillation|memory)\.[a-z_]+"
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The app, not started."""
    return create_app(Settings(home=tmp_path_factory.mktemp("home")))


def _requests() -> Iterator[tuple[str, str, str, str]]:
    """(file, method, path, query) of every request in the documentation and in the code's texts."""
    for path in DOCUMENTS:
        for method, address, query in REQUEST.findall(path.read_text("utf-8")):
            yield str(path.relative_to(ROOT)), method, address, query
    for path in CODE:
        for text in _texts(path):
            for method, address, query in REQUEST.findall(text):
                yield str(path.relative_to(ROOT)), method, address, query


def _texts(path: Path) -> Iterator[str]:
    """Every string of a Python file; the values of f-strings become `x`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "x" for part in node.values)
            yield "".join(str(part) for part in parts)


def test_every_request_that_is_named_exists(app: FastAPI) -> None:
    """`GET /train/presets` was advertised while it was a run called `presets`."""
    routes = [
        (method, str(context.path))
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
    ]
    assert len(routes) > 40
    requests = list(_requests())
    assert len(requests) > 60
    unknown = [
        f"{file}: {method} {address}"
        for file, method, address, _ in requests
        if not any(method == name and _names(address, path) for name, path in routes)
    ]
    assert unknown == []


def _names(address: str, path: str) -> bool:
    """Whether an address in a text names a route: words must be the route's own or values."""
    words, parts = address.rstrip("/.").split("/"), path.rstrip("/").split("/")
    if len(words) != len(parts):
        return False
    return all(
        word == part or ("{" in part and _is_value(word, part))
        for word, part in zip(words, parts, strict=True)
    )


def _is_value(word: str, part: str) -> bool:
    """Whether a word stands for a route's variable: `{id}`, `ID`, `x`, or a name from VALUES."""
    prefix, _, suffix = re.sub(r"\{[^}]*\}", "\0", part).partition("\0")
    value = word.removeprefix(prefix).removesuffix(suffix)
    return value in VALUES or re.fullmatch(r"(\{\w+\}|[A-Z]+|x)(\.\{\w+\})?", value) is not None


def test_every_parameter_that_is_named_exists(app: FastAPI) -> None:
    document = app.openapi()
    for file, method, address, query in _requests():
        operation = document["paths"].get(address, {}).get(method.lower())
        if not query or operation is None:
            continue
        parameters = {row["name"] for row in operation.get("parameters", [])}
        names = {pair.partition("=")[0] for pair in query[1:].split("&") if pair}
        assert names <= parameters, f"{file}: {method} {address}{query}"


def test_the_documentation_lists_every_event_type_of_a_run() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    table = text.partition("| event |")[2].partition("\n\n")[0]
    documented_types = set(re.findall(r"`([a-z]+\.[a-z_]+)`", table))
    assert documented_types == _event_types()


def _event_types() -> set[str]:
    """The types that the code can write: literals outside of log calls, and those of moves."""
    types = {f"run.{MOVES[move][1]}" for move in ("fail", "succeed", "cancel")}
    for path in [ROOT / "models" / "runs.py", *(ROOT / "worker").rglob("*.py")]:
        tree = ast.parse(path.read_text("utf-8"))
        logged_types = {
            id(argument)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and "log." in ast.unparse(node.func)
            for argument in node.args
        }
        types |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and EVENT.fullmatch(node.value)
            and id(node) not in logged_types
        }
    return types
