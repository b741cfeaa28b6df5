"""Labels that condition the generator without being parameters, from the start or added later."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from app.avatars.generate import faces
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from app.avatars.traits import resolve as resolve_traits, trait_parameters
from models import bundle
from models.bundle import verify
from models.bundle.generator import Drawer
from models.errors import DatasetError
from models.networks import modern
from models.recipes.recipe import Recipe, resolve
from worker.datasets.packing import PackedDataset
from worker.publishing.bundle_writer import write
from worker.training.batches import Reals
from worker.training.trainer import Trainer

CPU = torch.device("cpu")
COUNT = 64
SHADES = np.array([[220, 40, 40], [160, 20, 20], [40, 40, 220], [20, 20, 160]])
# Which shade a picture has, and which colour the shade is one of.
CODES = np.random.default_rng(0).integers(0, 4, COUNT)
LABELS: dict[str, dict[str, list[Any]]] = {
    "colour": {"values": ["red", "blue"], "codes": (CODES // 2).tolist()},
    "shade": {"values": ["scarlet", "maroon", "azure", "navy"], "codes": CODES.tolist()},
}


def reals(recipe: Recipe) -> Reals:
    """Plain pictures in four shades of two colours."""
    side = recipe.resolution
    noise = np.random.default_rng(1).integers(-20, 20, (COUNT, side, side, 3))
    images: NDArray[np.uint8] = (
        (SHADES[CODES][:, None, None, :] + noise).clip(0, 255).astype(np.uint8)
    )
    return Reals(images, recipe, CPU, labels=LABELS)


def trainer_of(**fields: Any) -> Trainer:
    recipe = resolve(
        {"preset": "smoke", "labels": ["colour"], "label_weight": 1.0, "mixing": 0.5, **fields}
    )
    return Trainer(recipe, reals(recipe), CPU, bf16=False)


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[[Trainer], Drawer]:
    """Publish a trainer's generator into a folder, verified."""

    def publish(trainer: Trainer) -> Drawer:
        side = trainer.recipe.resolution
        dataset = PackedDataset(tmp_path, "shades", "0" * 64, "CC0-1.0", "", COUNT, side)
        training = bundle.Training(images=1, seconds=1, device="CPU")
        folder = tmp_path / "bundle"
        folder.mkdir()
        attributes = trainer.reals.attributes
        write(folder, trainer.average, trainer.recipe, dataset, training, None, {}, attributes)
        return verify.verify(folder, bundle.digest(folder))

    return publish


def test_a_model_offers_no_hidden_label(write_folder: Callable[[Trainer], Drawer]) -> None:
    drawer = write_folder(trainer_of(hidden_labels=["shade"], sliders=False))
    assert [each.name for each in drawer.card.attributes] == ["colour", "shade"]
    assert [each.name for each in drawer.card.traits] == ["colour"]
    assert set(trait_parameters(drawer.card)) == {"colour"}
    assert drawer.card.offers[:2] == ["colour=red", "colour=blue"]
    request = resolve_traits(
        PictureRequest.parse(AVATAR, {"seed": "ada", "colour": "blue"}), drawer.card
    )
    assert faces.traits_of(request.values, drawer) == {"colour": "blue"}


def test_the_served_graph_sees_the_labels_that_the_network_sees(
    write_folder: Callable[[Trainer], Drawer],
) -> None:
    trainer = trainer_of(hidden_labels=["shade"])
    for _ in range(20):
        trainer.advance()
    drawer = write_folder(trainer)
    z = np.random.default_rng(0).standard_normal((16, trainer.latent)).astype(np.float32)
    assert isinstance(trainer.average, modern.Generator)
    mapping = trainer.average.mapping
    assert mapping is not None
    with torch.no_grad():
        assert np.allclose(drawer.styles(z), mapping(torch.from_numpy(z)), atol=2e-2)
        # Other shades of the same colours are other styles.
        other_z = z.copy()
        other_z[:, -1] = -z[:, -1]
        assert not np.allclose(drawer.styles(z), drawer.styles(other_z), atol=1e-4)


def test_a_run_goes_on_with_more_labels_from_the_same_faces() -> None:
    parent = trainer_of()
    for _ in range(30):
        parent.advance()
    child = trainer_of(hidden_labels=["shade"])
    child.restore(child.with_new_labels(parent.state()))
    old_judge, new_judge = parent.discriminator, child.discriminator
    assert isinstance(old_judge, modern.Discriminator)
    assert isinstance(new_judge, modern.Discriminator)
    z = torch.randn(8, child.latent, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(child.average(z), parent.average(z[:, :-1]))
        hot = child.step_program.labels_of(z)
        assert hot is not None
        images = parent.average(z[:, :-1])
        old_names = old_judge.read(images, hot[:, :2])[1]
        names = new_judge.read(images, hot)[1]
    assert names is not None
    assert old_names is not None
    assert torch.allclose(names[:, :2], old_names, atol=1e-6)
    first = child.advance()
    for _ in range(120):
        last = child.advance()
    assert last["d_missed"] < first["d_missed"] / 2, "it learns to name the new label"
    assert last["g_missed"] < first["g_missed"] / 2, "and the generator to show it"


@pytest.mark.parametrize("numbers", [(), ("years",)], ids=["unknown", "a number"])
def test_a_hidden_label_is_one_of_the_sets_attributes(numbers: tuple[str, ...]) -> None:
    recipe = resolve({"preset": "smoke", "hidden_labels": ["years"]})
    labels = {**LABELS, **{name: {"values": [], "codes": []} for name in numbers}}
    with pytest.raises(DatasetError, match="years"):
        Reals(np.zeros((COUNT, 16, 16, 3), np.uint8), recipe, CPU, labels=labels, numbers=numbers)
