"""Apps for all the tests of a file that only ask for pictures: starting one takes 0.2 s."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

from app.main import create_app
from models import bootstrap, bundle
from models.database.engine import connect, migrate
from models.recipes.recipe import Recipe, resolve
from models.registry import Registry
from models.settings import Settings
from worker.datasets.packing import PackedDataset
from worker.publishing.bundle_writer import Moment, write
from worker.training.batches import Reals
from worker.training.trainer import Trainer

KEY = "kao_a-key-for-the-tests"


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory, bundles: list[Path]) -> Iterator[TestClient]:
    """An app that serves the first bundle and has the second registered."""
    yield from serving(tmp_path_factory.mktemp("faces"), bundles[:2])


def serving(folder: Path, bundles: list[Path]) -> Iterator[TestClient]:
    """An app with these bundles, the first as default."""
    (folder / "shipped").mkdir()
    settings = Settings(home=folder / "home", api_key=KEY, threads=2, limit_pictures="none")
    engine = connect(settings)
    migrate(engine)
    registry = Registry(engine, settings.storage)
    for source in bundles:
        registry.import_folder(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "SHIPPED", folder / "shipped")
        with TestClient(create_app(settings), raise_server_exceptions=False) as client:
            yield client
    engine.dispose()


LEFT = {"red": (220, 40, 40), "blue": (40, 40, 220)}
RIGHT = {"dark": (30, 30, 30), "grey": (130, 130, 130), "light": (230, 230, 230)}


@pytest.fixture(scope="session")
def bundle_with_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that learnt two labels: the colour of the left half, the light of the right one."""
    return _train(tmp_path_factory.mktemp("labelled"), labels=["colour", "light"])


@pytest.fixture(scope="session")
def bundle_with_sliders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One without labels, whose sliders were searched."""
    return _train(tmp_path_factory.mktemp("bundle_with_sliders"), sliders=True)


def _train(folder: Path, **fields: Any) -> Path:
    recipe = resolve({"preset": "smoke", "dataset_limit": None, **fields})
    trainer = Trainer(recipe, _halves(recipe), torch.device("cpu"), bf16=False)
    young = Moment(0, copy.deepcopy(trainer.average.state_dict()))
    for _ in range(400):
        trainer.advance()
    dataset = PackedDataset(folder, "halves", "0" * 64, "CC0-1.0", "", 512, recipe.resolution)
    training = bundle.Training(images=400 * recipe.batch, seconds=1, device="CPU")
    attributes = trainer.reals.attributes
    write(folder, trainer.average, recipe, dataset, training, None, {}, attributes, None, [young])
    return folder


def _halves(recipe: Recipe) -> Reals:
    random = np.random.default_rng(0)
    left, right = random.integers(0, 2, 512), random.integers(0, 3, 512)
    side = recipe.resolution
    colours = np.repeat(np.array(list(LEFT.values()))[left][:, None], side // 2, axis=1)
    lights = np.repeat(np.array(list(RIGHT.values()))[right][:, None], side - side // 2, axis=1)
    rows = np.concatenate([colours, lights], axis=1)[:, None]
    images = np.repeat(rows, side, axis=1) + random.integers(-20, 20, (512, side, side, 3))
    labels = {
        "colour": {"values": [*LEFT, "green"], "codes": left.tolist()},  # of which there is none
        "light": {"values": list(RIGHT), "codes": right.tolist()},
    }
    pixels = images.clip(0, 255).astype(np.uint8)
    return Reals(pixels, recipe, torch.device("cpu"), labels=labels)


@pytest.fixture(scope="module")
def choosy(
    tmp_path_factory: pytest.TempPathFactory, bundle_with_labels: Path, bundles: list[Path]
) -> Iterator[TestClient]:
    """An app whose default model has traits, with one without registered beside it."""
    yield from serving(tmp_path_factory.mktemp("choosy"), [bundle_with_labels, bundles[0]])


@pytest.fixture(scope="module")
def slid(
    tmp_path_factory: pytest.TempPathFactory, bundle_with_sliders: Path, bundles: list[Path]
) -> Iterator[TestClient]:
    """An app whose default model has sliders, with one without registered beside it."""
    yield from serving(tmp_path_factory.mktemp("slid"), [bundle_with_sliders, bundles[0]])
