"""Fixtures of every test: settings in a folder of its own, and a small real bundle."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
import torch
from hypothesis import settings as hypothesis_settings

from models import bundle
from models.database.engine import connect, migrate
from models.faces.attributes import Attribute
from models.networks import build
from models.recipes.recipe import resolve
from models.settings import Settings
from tests.support.fixtures import AddCritic, Begin, WriteBundle
from tests.support.network import Network
from tests.support.servers import Postgres

# `make fuzz`: two hundred times as many examples.
hypothesis_settings.register_profile("fuzz", max_examples=20_000, deadline=None)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove every variable that Settings reads, and the width that pytest-xdist sets."""
    monkeypatch.delenv("COLUMNS", raising=False)
    for name, field in Settings.model_fields.items():
        monkeypatch.delenv(str(field.validation_alias or f"KAO_{name.upper()}"), raising=False)


@pytest.fixture(autouse=True)
def _same_random_numbers_in_every_run() -> None:
    """Seed torch's global generator, so that no test depends on chance or on the order of tests."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _logging_of_one_test_ends_with_it() -> Iterator[None]:
    """Undo `logs.configure()`: commands call it while a test captures stderr, which then closes."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = [handler for handler in root.handlers if handler in handlers]
    root.setLevel(level)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A fresh home."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    """Its database, migrated."""
    engine = connect(settings)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def write_bundle(tmp_path_factory: pytest.TempPathFactory) -> WriteBundle:
    """Write a bundle of random weights; every call another one. Returns its folder."""
    from worker.datasets.packing import PackedDataset
    from worker.publishing.bundle_writer import write

    def make(
        seed: int = 0, preset: str = "smoke", attributes: Sequence[Attribute] = (), **fields: Any
    ) -> Path:
        # Random weights have no sliders worth looking for.
        recipe = resolve({"preset": preset, "sliders": False, **fields})
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            generator = build.generator(recipe, attributes)
            generator(torch.randn(16, recipe.latent + len(attributes)))
        folder = tmp_path_factory.mktemp("bundle")
        dataset = PackedDataset(
            folder, "starter", "0" * 64, "CC0-1.0", "nobody", 64, recipe.resolution
        )
        training = bundle.Training(images=seed, seconds=1.0, device="CPU")
        write(folder, generator.eval(), recipe, dataset, training, None, attributes=attributes)
        return folder

    return make


@pytest.fixture
def begin(engine: sa.Engine) -> Begin:
    """Create runs: `begin(state)` returns (id, fence) of a run in that state."""
    from models import runs

    def make(state: str = "queued") -> tuple[str, runs.Fence]:
        row, _ = runs.create(engine, resolve({"preset": "smoke"}), {"preset": "smoke"})
        run, fence = row["id"], runs.Fence(0)
        if state in ("running", "succeeded", "failed"):
            claim = runs.claim(engine, run)
            assert claim is not None
            fence = claim[1]
        if state == "failed":
            runs.finish(engine, run, fence, "fail", error="planted")
        if state == "cancelled":
            runs.cancel(engine, run)
        if state == "succeeded":
            with engine.begin() as db:
                runs.succeed(db, run, fence, "0" * 64)
        return run, fence

    return make


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A throwaway PostgreSQL."""
    if Postgres.binaries() is None:
        pytest.skip("no PostgreSQL here: `apt-get install postgresql`")
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture
def network() -> Iterator[Network]:
    """Links between ports of this machine, which can be cut."""
    network = Network()
    yield network
    network.close()


@pytest.fixture
def add_critic() -> AddCritic:
    """Give a bundle a critic that likes bright faces; `Log` of a negative makes it give NaN."""
    from onnx import TensorProto, helper, save

    def add(folder: Path, node: str = "Relu") -> None:
        constant = helper.make_tensor("sign", TensorProto.FLOAT, [], [-1 if node == "Log" else 1])
        nodes = [
            helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Mul", ["mean", "sign"], ["signed"]),
            helper.make_node(node, ["signed"], ["scores"]),
        ]
        images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", None, None, 3])
        scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N"])
        graph = helper.make_graph(nodes, "critic", [images], [scores], [constant])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        save(model, folder / bundle.CRITIC)

    return add
