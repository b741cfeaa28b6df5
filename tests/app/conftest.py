"""A real app over a real database and real, small bundles; over HTTP where it matters."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
import torch
from starlette.testclient import TestClient

from app.main import create_app
from kao import embedded_valkey
from models import bootstrap, bundle
from models.database.engine import connect, migrate
from models.networks import build
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from tests.support.live_app import Live, running
from worker.datasets.packing import PackedDataset
from worker.publishing.bundle_writer import Moment, write

KEY = "kao_a-key-for-the-tests"

Start = Callable[..., Live]  # `start(port, **settings)`
LiveServer = tuple[str, psutil.Process]  # URL and process of `kao serve`
Damage = Callable[[Registry], str]  # serve a damaged bundle; its version


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three bundles of random weights, each with a younger moment."""
    return [_bundle(tmp_path_factory.mktemp("bundle"), seed) for seed in range(3)]


def _bundle(folder: Path, seed: int) -> Path:
    recipe = resolve({"preset": "smoke"})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = build.generator(recipe)
        young = {name: value.clone() for name, value in generator.state_dict().items()}
        torch.nn.init.normal_(generator.get_parameter("synthesis.paint.weight"))
        generator(torch.randn(16, recipe.latent))
    dataset = PackedDataset(folder, "starter", "0" * 64, "CC0-1.0", "nobody", 64, recipe.resolution)
    training = bundle.Training(images=seed, seconds=1.0, device="CPU")
    write(folder, generator.eval(), recipe, dataset, training, None, moments=[Moment(0, young)])
    return folder


@pytest.fixture(autouse=True)
def _no_shipped_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(bootstrap, "SHIPPED", folder)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A fresh home with a known key, no rate limits, and no server at the queue's socket."""
    return Settings(home=tmp_path / "home", api_key=KEY, threads=2, limit_pictures="none")


@pytest.fixture
def registry(settings: Settings, bundles: list[Path]) -> Iterator[Registry]:
    """Two bundles published; the first serves."""
    engine = connect(settings)
    migrate(engine)
    registry = Registry(engine, settings.storage)
    for source in bundles[:2]:
        registry.import_folder(source)
    yield registry
    engine.dispose()


@pytest.fixture
def versions(registry: Registry, bundles: list[Path]) -> list[str]:
    """The versions of three, in order."""
    registry.import_folder(bundles[2])
    return [bundle.digest(source) for source in bundles]


@pytest.fixture
def client(settings: Settings, registry: Registry) -> Iterator[TestClient]:
    """The app without a socket; its requests carry no key."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def key() -> dict[str, str]:
    """The headers that may change things."""
    return {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """Start the app in uvicorn, on a free port or the one that is given, settings changed."""
    with ExitStack() as stack:

        def starting(port: int = 0, **changed: Any) -> Live:
            return stack.enter_context(running(settings.model_copy(update=changed), port))

        yield starting


@pytest.fixture
def live_server(settings: Settings, registry: Registry, tmp_path: Path) -> Iterator[LiveServer]:
    """`kao serve` as a process of its own; (url, process)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **settings.environment(), "KAO_PORT": str(port)}
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "kao", "serve"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        url, ends = f"http://127.0.0.1:{port}", time.monotonic() + 60
        try:
            while not _ready(url):
                assert process.poll() is None
                assert time.monotonic() < ends
                time.sleep(0.2)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()
            assert process.wait(30) in (0, -signal.SIGTERM)  # uvicorn raises it again


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client that speaks to a socket."""
    with httpx.Client(timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def damage_bundle(bundles: list[Path], tmp_path: Path) -> Damage:
    """Put `default` on a bundle whose files do not have their digest; its version."""

    def make(registry: Registry) -> str:
        folder = tmp_path / "damaged"
        shutil.copytree(bundles[0], folder)
        (folder / "samples.png").write_bytes(b"other bytes, so another digest")
        version = bundle.digest(folder)
        registry.add(folder)
        (registry.folder(version) / "samples.png").write_bytes(b"flipped on disk")
        with registry.engine.begin() as db:
            registry._move(db, "default", version)
        return version

    return make


@pytest.fixture
def queue(settings: Settings) -> Iterator[redis.Redis]:
    """A real server at the settings' socket."""
    binary = embedded_valkey.find_server()
    if binary is None:
        pytest.skip("no Valkey or Redis server here")
    server = subprocess.Popen(embedded_valkey.command(settings, binary))
    with redis.Redis(unix_socket_path=str(settings.redis_socket)) as client:
        deadline = time.monotonic() + 30
        while not _answers(client):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield client
    server.terminate()
    server.wait(10)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
