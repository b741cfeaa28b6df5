"""A real app over a real database and real, small bundles; over HTTP where it matters."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import torch
from starlette.testclient import TestClient

from app.main import create_app
from app.server import Server
from models import bundle, home
from models.database import connect, migrate
from models.networks import build
from models.recipes import resolve
from models.registry import Registry
from models.settings import Settings
from worker.datasets.packing import Packed
from worker.publishing import write

KEY = "kao_a-key-for-the-tests"


@pytest.fixture(scope="session")
def bundles(tmp_path_factory) -> list[Path]:
    """Three bundles of random weights."""
    return [_bundle(tmp_path_factory.mktemp("bundle"), seed) for seed in range(3)]


def _bundle(folder: Path, seed: int) -> Path:
    recipe = resolve({"preset": "smoke"})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = build.generator(recipe)
        generator(torch.randn(16, recipe.latent))
    packed = Packed(folder, "starter", "0" * 64, "CC0-1.0", "nobody", 64, recipe.resolution)
    training = bundle.Training(images=seed, seconds=1.0, device="CPU")
    write(folder, generator.eval(), recipe, packed, training, None)
    return folder


@pytest.fixture(autouse=True)
def _no_shipped_model(monkeypatch, tmp_path: Path) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    monkeypatch.setattr(home, "SHIPPED", shipped)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A fresh home with a known key, and nobody at the queue's socket."""
    return Settings(home=tmp_path / "home", api_key=KEY, threads=2)


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


@dataclass
class Live:
    """A server on a real socket."""

    url: str
    server: Server

    def stop(self) -> None:
        self.server.should_exit = True


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[[], Live]]:
    """Start the app in uvicorn, on a free port."""
    threads: list[tuple[Live, threading.Thread]] = []

    def starting() -> Live:
        server = Server(settings)
        server.config.port = 0
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        live = Live(f"http://127.0.0.1:{port}", server)
        threads.append((live, thread))
        return live

    yield starting
    for live, thread in threads:
        live.stop()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client that speaks to a socket."""
    with httpx.Client(timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def damaged(bundles: list[Path], tmp_path: Path) -> Callable[[Registry], str]:
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
