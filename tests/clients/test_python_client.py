"""`kao-client` reads every answer of the server, and follows a run over a restart of the server."""

import ast
import asyncio
import io
import threading
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kao_client import AsyncClient, Client, Event, Refused
from models import runs
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from tests.app.conftest import (
    KEY,
    Start,
    _no_shipped_model,
    bundles,
    registry,
    settings,
    start,
    versions,
)
from tests.support.live_app import running
from tests.support.waiting import free_port

__all__ = ["_no_shipped_model", "bundles", "registry", "settings", "start", "versions"]
ROOT = Path(__file__).parents[2]
Use = Callable[[str, str, dict[str, Any]], Any]


def blocking(url: str, method: str, arguments: dict[str, Any]) -> Any:
    """Call a method of `Client`."""
    with Client(url, KEY, trust_env=False) as kao:
        return getattr(kao, method)(**arguments)


def coroutine(url: str, method: str, arguments: dict[str, Any]) -> Any:
    """Call a method of `AsyncClient`."""

    async def call() -> Any:
        async with AsyncClient(url, KEY, trust_env=False) as kao:
            answer: Awaitable[Any] = getattr(kao, method)(**arguments)
            return await answer

    return asyncio.run(call())


@pytest.fixture(params=[blocking, coroutine])
def use(request: pytest.FixtureRequest) -> Use:
    """Either client."""
    client: Use = request.param
    return client


def test_pictures_are_read(use: Use, start: Start, versions: list[str]) -> None:
    url = start().url
    face = use(url, "avatar", {"seed": "顔 & 1", "size": 64, "format": "webp", "psi": 1e-5})
    assert (face.seed, face.model, face.media_type) == ("顔 & 1", versions[0], "image/webp")
    assert Image.open(io.BytesIO(face.content)).size == (64, 64)
    described = use(url, "describe", {"seed": "ada"})
    assert (described.seed, described.alt["zh"]) == ("ada", "一张脸")
    first, second = use(url, "avatars", {"seeds": ["a", "b"], "size": 16, "format": "png"})
    assert (first.seed, second.seed, first.media_type) == ("a", "b", "image/png")
    assert first.alt["en"] == "a face"
    loop = use(url, "picture", {"path": "/morph", "from": "a", "to": "b", "frames": 2, "size": 16})
    assert loop.media_type == "image/webp"


def test_runs_models_and_datasets_are_read(
    use: Use, start: Start, versions: list[str], tmp_path: Path
) -> None:
    url = start().url
    run = use(url, "train", {"preset": "smoke", "idempotency_key": use.__name__})
    assert (run.state, use(url, "run", {"id": run.id}).id) == ("queued", run.id)
    assert run.id in [row.id for row in use(url, "runs", {"state": "queued", "limit": 5})]
    assert use(url, "cancel", {"id": run.id}).state == "cancelled"
    assert use(url, "resume", {"id": run.id}).state == "queued"
    assert {row.version for row in use(url, "models", {})} == set(versions)
    assert use(url, "promote", {"version": versions[1]}) == versions[1]
    assert use(url, "roll_back", {}) == versions[0]
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        for number in range(2):
            file = io.BytesIO()
            Image.new("RGB", (64, 64), (number * 90, 9, 9)).save(file, "PNG")
            archive.writestr(f"{number}.png", file.getvalue())
    dataset = use(url, "upload", {"name": "two", "file": tmp_path / "two.zip"})
    assert dataset["images"] == 2


def test_a_problem_is_raised(use: Use, start: Start, registry: Registry) -> None:
    with pytest.raises(Refused, match="'size' is '1'") as refusal:
        use(start().url, "avatar", {"seed": "a", "size": 1})
    assert (refusal.value.status, refusal.value.type) == (422, "invalid-parameter")
    assert refusal.value.problem["parameter"] == "size"


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "coroutine"])
def test_events_survive_a_restart_of_the_server(
    settings: Settings, registry: Registry, is_async: bool
) -> None:
    row, _ = runs.create(registry.engine, resolve({"preset": "smoke"}), {"preset": "smoke"})
    claim = runs.claim(registry.engine, row["id"])
    assert claim is not None
    port, run, fence = free_port(), str(row["id"]), claim[1]
    received: list[Event] = []
    has_first = threading.Event()

    def collect(events: Iterator[Event]) -> None:
        for event in events:
            received.append(event)
            has_first.set()

    def follow() -> None:
        with Client(f"http://127.0.0.1:{port}", KEY, trust_env=False) as kao:
            collect(kao.follow(run))

    async def follow_async() -> None:
        async with AsyncClient(f"http://127.0.0.1:{port}", KEY, trust_env=False) as kao:
            async for event in kao.follow(run):
                collect(iter([event]))

    def work() -> None:
        asyncio.run(follow_async()) if is_async else follow()

    follower = threading.Thread(target=work)
    with running(settings, port):
        follower.start()
        assert has_first.wait(30)
    # While the server is away.
    runs.record(registry.engine, run, fence, "run.progress", {"images": 1}, progress=True)
    with running(settings, port):
        runs.finish(registry.engine, run, fence, "fail", error="planted")
        follower.join(60)
    assert not follower.is_alive()
    assert [event.number for event in received] == list(range(1, len(received) + 1))
    assert [event.type for event in received][-2:] == ["run.progress", "run.failed"]


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
    import tomllib

    project = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    assert [text.partition(">")[0] for text in project["dependencies"]] == ["httpx"]
    own = {"httpx", "kao_client"}
    for path in (ROOT / "clients/python/kao_client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                top = node.module.partition(".")[0]
                assert top in own or top in STANDARD, (path, top)


STANDARD = {"asyncio", "base64", "collections", "dataclasses", "json", "pathlib", "time"}
STANDARD |= {"typing", "urllib"}
