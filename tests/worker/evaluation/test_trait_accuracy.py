"""The measure of traits: a generator that follows requests scores high, another low."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from models import bundle
from models.bundle import verify
from models.bundle.generator import Drawer
from models.errors import DatasetError
from models.faces.attributes import Attribute
from models.recipes.recipe import resolve
from worker.datasets.packing import PackedDataset
from worker.evaluation import trait_accuracy
from worker.publishing.bundle_writer import write
from worker.training.batches import Reals
from worker.training.trainer import Trainer

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
COLOURS = np.array([(220, 60, 60), (60, 60, 220)])
COUNT, SIDE = 256, 16


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PackedDataset:
    """Plain pictures in two colours, every other one with a dark lower half."""
    folder = tmp_path_factory.mktemp("packed")
    random = np.random.default_rng(0)
    colour, half = random.integers(0, 2, (2, COUNT))
    images = np.broadcast_to(COLOURS[colour][:, None, None], (COUNT, SIDE, SIDE, 3)).copy()
    images[half == 1, SIDE // 2 :] //= 4
    noisy = images + random.integers(-20, 20, images.shape)
    np.save(folder / "images.npy", noisy.clip(0, 255).astype(np.uint8))
    labels = {
        "colour": {"values": ["red", "blue"], "codes": colour.tolist()},
        "dark": {"values": ["no", "yes"], "codes": half.tolist()},
    }
    (folder / "labels.json").write_text(json.dumps({"attributes": labels}))
    return PackedDataset(folder, "colours", "0" * 64, "CC0-1.0", "", COUNT, SIDE)


@pytest.fixture(scope="module")
def trainer(dataset: PackedDataset) -> Trainer:
    recipe = resolve({"preset": "smoke", "labels": ["colour", "dark"], "dataset_limit": None})
    reals = Reals(dataset.images(), recipe, CPU, labels=dataset.labels())
    return Trainer(recipe, reals, CPU, bf16=False)


def drawer_of(
    trainer: Trainer, dataset: PackedDataset, folder: Path, attributes: Sequence[Attribute]
) -> Drawer:
    folder.mkdir()
    training = bundle.Training(images=1, seconds=1, device="CPU")
    write(folder, trainer.average, trainer.recipe, dataset, training, None, {}, attributes)
    return verify.verify(folder, bundle.digest(folder))


def test_marks_tell_a_generator_that_learnt_its_labels_from_one_that_did_not(
    trainer: Trainer, dataset: PackedDataset, tmp_path: Path
) -> None:
    attributes = trainer.reals.attributes
    naive = trait_accuracy.evaluate(
        drawer_of(trainer, dataset, tmp_path / "0", attributes), dataset, 60
    )
    for _ in range(800):
        trainer.advance()
    learnt = trait_accuracy.evaluate(
        drawer_of(trainer, dataset, tmp_path / "1", attributes), dataset, 60
    )
    assert [trait.name for trait in learnt] == ["colour", "dark"]
    for before, after in zip(naive, learnt, strict=True):
        assert after.judge > 0.95
        assert before.shown < 0.7
        assert after.shown > 0.85
        assert after.worst_kept <= after.kept
        assert after.kept > 0.85


def test_a_model_without_labels_has_no_traits(dataset: PackedDataset, tmp_path: Path) -> None:
    recipe = resolve({"preset": "smoke", "dataset_limit": None})
    plain = Trainer(recipe, Reals(dataset.images(), recipe, CPU), CPU, bf16=False)
    with pytest.raises(DatasetError, match="labels"):
        trait_accuracy.evaluate(drawer_of(plain, dataset, tmp_path / "0", []), dataset, 60)
