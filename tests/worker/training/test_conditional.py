"""A conditional generator learns to show its labels."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models import bundle
from models.bundle import verify
from models.bundle.generator import Drawer
from models.errors import DatasetError
from models.faces import latents
from models.faces.attributes import Attribute
from models.networks import modern
from models.recipes.recipe import Recipe, resolve
from worker.datasets.packing import PackedDataset
from worker.publishing.bundle_writer import Moment, write
from worker.training import losses, restore
from worker.training.batches import Reals
from worker.training.trainer import Trainer

CPU = torch.device("cpu")
COLOURS = np.array([[220, 40, 40], [40, 40, 220]])


def reals(recipe: Recipe, count: int = 256, share: float = 0.3) -> Reals:
    """Plain pictures in two colours, labelled. share: of the second."""
    random = np.random.default_rng(0)
    codes = (random.random(count) < share).astype(int)
    side = recipe.resolution
    noise = random.integers(-30, 30, (count, side, side, 3))
    images = (COLOURS[codes][:, None, None, :] + noise).clip(0, 255).astype(np.uint8)
    labels = {"colour": {"values": ["red", "blue"], "codes": codes.tolist()}}
    return Reals(images, recipe, CPU, labels=labels)


def asked_for(trainer: Trainer, value: str) -> Tensor:
    z = torch.randn(16, trainer.latent, generator=torch.Generator().manual_seed(3))
    z[:, -1] = trainer.reals.attributes[0].normal(value)
    with torch.no_grad():
        images: Tensor = trainer.average(z)
    return images.mean((0, 2, 3))


def test_the_requested_label_is_the_one_that_is_shown() -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour"], "dataset_limit": None})
    trainer = Trainer(recipe, reals(recipe), CPU, bf16=False)
    assert trainer.latent == recipe.latent + 1
    for _ in range(250):
        trainer.advance()
    red, blue = asked_for(trainer, "red"), asked_for(trainer, "blue")
    assert red[0] - red[2] > 0.3, (red, blue)
    assert blue[2] - blue[0] > 0.3, (red, blue)


def test_labels_are_as_frequent_as_in_the_set_that_a_run_goes_on_with() -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour"]})
    parent, child = (
        Trainer(recipe, reals(recipe, share=share), CPU, bf16=False) for share in (0.1, 0.7)
    )
    child.restore(child.with_own_intervals(parent.state()))
    for generator in (child.generator, child.average):
        assert isinstance(generator, modern.Generator)
        assert generator.mapping is not None
        for place, value in enumerate(("red", "blue")):
            z = torch.randn(1, child.latent)
            z[:, -1] = child.reals.attributes[0].normal(value)
            assert generator.mapping.labels(z)[0, place] == 1
    z = torch.randn(4, parent.latent)
    z[:, -1] = 5  # blue in both
    with torch.no_grad():
        assert torch.equal(child.average(z), parent.average(z))


def test_a_run_whose_labels_have_changed_is_not_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour"]})
    before, after = (
        Trainer(recipe, reals(recipe, share=each), CPU, bf16=False) for each in (0.1, 0.7)
    )
    state = {"fingerprint": "same pixels", "labels": before.labels, "trainer": before.state()}
    monkeypatch.setattr(restore, "_snapshot", lambda *_: state)
    run: Any = {"id": "run", "snapshot": "0.pt"}
    nothing: Any = None
    assert restore.restore(before, nothing, nothing, run, "same pixels") == state
    with pytest.raises(DatasetError, match="labels have changed"):
        restore.restore(after, nothing, nothing, run, "same pixels")
    del state["labels"]  # a snapshot of an earlier release
    assert restore.restore(after, nothing, nothing, run, "same pixels") == state


def test_a_discriminator_that_names_labels_has_them_shown_sooner() -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour"], "label_weight": 1.0})
    trainer = Trainer(recipe, reals(recipe), CPU, bf16=False)
    first = trainer.advance()
    for _ in range(99):
        last = trainer.advance()
    assert last["d_missed"] < 0.1 < first["d_missed"], "it learnt to name them"
    assert last["g_missed"] < 0.1 < first["g_missed"], "and the generator to show them"
    assert asked_for(trainer, "red")[0] > asked_for(trainer, "red")[2]
    assert asked_for(trainer, "blue")[0] < asked_for(trainer, "blue")[2]


def test_labels_missed_is_the_mean_of_each_attributes_cross_entropy() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 3.0, 0.0]])
    labels = torch.tensor([[1.0, 0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0, 0.0]])
    first = (math.log(1 + math.exp(-2)) + math.log(2)) / 2
    second = (math.log(3) + math.log(2 + math.exp(3))) / 2
    loss = losses.label_loss(logits, labels, [2, 3])
    assert float(loss) == pytest.approx((first + second) / 2)


def test_a_conditional_bundle_draws_what_its_network_draws(tmp_path: Path) -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour"], "mixing": 0.5})
    trainer = Trainer(recipe, reals(recipe), CPU, bf16=False)
    trainer.advance()
    attributes = trainer.reals.attributes
    dataset = PackedDataset(tmp_path, "colours", "0" * 64, "CC0-1.0", "", 256, recipe.resolution)
    training = bundle.Training(images=1, seconds=1, device="CPU")
    folder = tmp_path / "bundle"
    folder.mkdir()
    write(folder, trainer.average, recipe, dataset, training, None, {}, attributes)
    drawer = verify.verify(folder, bundle.digest(folder))
    assert drawer.card.network.latent == trainer.latent
    assert drawer.card.attributes == attributes
    z = np.stack([latents.derive(str(seed), trainer.latent) for seed in range(8)])
    with torch.no_grad():
        images = trainer.average(torch.from_numpy(z)).clamp(-1, 1).add(1).mul(127.5).round()
    served_images = drawer.draw(z, 1.0).astype(int)
    assert np.abs(served_images - images.permute(0, 2, 3, 1).numpy().astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        pytest.param({}, "is not labelled", id="unlabelled"),
        pytest.param({"hat": {"values": ["no"], "codes": [0]}}, "has hat", id="others"),
    ],
)
def test_labels_that_a_set_lacks_are_named(
    labels: dict[str, dict[str, list[Any]]], message: str
) -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour"]})
    with pytest.raises(DatasetError, match=f"colour.*{message}"):
        Reals(np.zeros((4, 16, 16, 3), np.uint8), recipe, CPU, labels=labels)


def test_frequencies_are_the_sets() -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour"], "batch": 256})
    source = reals(recipe, 1_000)
    blue = (np.random.default_rng(0).random(1_000) < 0.3).mean()
    (attribute,) = source.attributes
    assert attribute.values == ["red", "blue"]
    assert attribute.shares == pytest.approx([1 - blue, blue])
    edge = attribute.intervals()[1][0]
    normals = torch.cat([source.sample_attributes(step)[:, 0] for step in range(40)])
    # 10,240 samples: the standard deviation of the share is 0.005.
    assert (normals > edge).double().mean().item() == pytest.approx(blue, abs=0.025)


def dependent(recipe: Recipe, count: int = 256) -> Reals:
    """Pictures whose two attributes always agree: no red one is large."""
    codes = np.random.default_rng(0).integers(0, 3, count).tolist()
    labels = {
        "colour": {"values": ["red", "green", "blue"], "codes": codes},
        "bulk": {"values": ["small", "medium", "large"], "codes": codes},
    }
    side = recipe.resolution
    return Reals(np.zeros((count, side, side, 3), np.uint8), recipe, CPU, labels=labels)


def test_no_combination_is_drawn_that_no_picture_has() -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour", "bulk"], "batch": 64})
    trainer = Trainer(recipe, dependent(recipe), CPU, bf16=False)
    for step in range(4):
        trainer.step = step
        labels = trainer.step_program.labels_of(trainer.inputs.latents(trainer.step)["z"])
        assert labels is not None
        colour, bulk = labels.split(3, 1)
        assert torch.equal(colour, bulk)
        assert torch.equal(colour.sum(1), torch.ones(64)), "one value each"


def test_sampled_latents_are_standard_normal_and_choose_their_rows_value() -> None:
    attribute = Attribute(name="colour", values=["a", "b", "c"], shares=[0.2, 0.0, 0.8])
    random = np.random.default_rng(0)
    codes = random.choice(3, 20_000, p=attribute.shares)
    normals = attribute.sample(codes, random.random(20_000))
    lower, upper = np.array(attribute.intervals(), np.float32)[codes].T
    assert ((normals > lower) & (normals <= upper)).all()
    assert normals.mean() == pytest.approx(0, abs=0.03)
    assert normals.std() == pytest.approx(1, abs=0.03)
    edges = attribute.sample(np.array([0, 2]), np.array([0.0, 1.0]))
    assert np.isfinite(edges).all()


def test_labels_are_never_named_on_recoloured_pictures() -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour"], "label_weight": 1.0, "augment": 1.0})
    trainer = Trainer(recipe, reals(recipe), CPU, bf16=False)
    trainer.begin(10**6, 10**6)
    inputs = trainer.step_inputs()
    inputs["pixels"] = torch.full_like(inputs["pixels"], 255)
    augmented_images, _ = trainer.step_program.views(inputs).real
    inner = augmented_images[:, :, 4:-4, 4:-4]
    assert not torch.equal(augmented_images, torch.ones_like(augmented_images))
    assert torch.equal(inner, torch.ones_like(inner)), "moved by two pixels at most, nothing else"


def published_drawer(tmp_path: Path, trainer: Trainer, recipe: Recipe) -> Drawer:
    dataset = PackedDataset(tmp_path, "colours", "0" * 64, "CC0-1.0", "", 256, recipe.resolution)
    training = bundle.Training(images=1, seconds=1, device="CPU")
    folder = tmp_path / "bundle"
    folder.mkdir()
    attributes = trainer.reals.attributes
    earlier = {name: value.clone() for name, value in trainer.average.state_dict().items()}
    moments = [Moment(1, earlier)]
    write(folder, trainer.average, recipe, dataset, training, None, {}, attributes, moments=moments)
    return verify.verify(folder, bundle.digest(folder))


def test_truncation_keeps_the_requested_colour(tmp_path: Path) -> None:
    """At psi 0 a face is the average one of its attributes, not of all."""
    recipe = resolve({"preset": "smoke", "labels": ["colour"], "label_weight": 1.0})
    trainer = Trainer(recipe, reals(recipe), CPU, bf16=False)
    for _ in range(100):
        trainer.advance()
    drawer = published_drawer(tmp_path, trainer, recipe)
    assert drawer.card.truncation == "attributes"
    z = np.stack([latents.derive(str(seed), trainer.latent) for seed in range(4)])
    for value, strong, weak in (("red", 0, 2), ("blue", 2, 0)):
        z[:, -1] = trainer.reals.attributes[0].normal(value)
        pixels = drawer.draw(z, 0.0).astype(int)
        assert (pixels == pixels[:1]).all(), "one centre"
        colour = pixels.mean((0, 1, 2))
        assert colour[strong] - colour[weak] > 30, (value, colour)
        aged = np.concatenate([drawer.grow(row[None], 0.3, 1.0) for row in z]).astype(int)
        assert np.abs(aged - drawer.draw(z, 0.3).astype(int)).max() <= 1


def test_a_card_without_the_field_truncates_to_the_average(tmp_path: Path) -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour"]})
    trainer = Trainer(recipe, reals(recipe), CPU, bf16=False)
    trainer.advance()
    drawer = published_drawer(tmp_path, trainer, recipe)
    drawer.card = drawer.card.model_copy(update={"truncation": "average"})
    z = np.stack([latents.derive(str(seed), trainer.latent) for seed in range(4)])
    w, average = drawer.styles(z), trainer.average.state_dict()["mapping.average"].numpy()
    expected = average + np.float32(0.5) * (w - average)
    assert np.array_equal(drawer.truncate(w, 0.5, z), expected)


def test_labels_are_sampled_from_training_images_alone() -> None:
    """A value that only held-out pictures have is never sampled."""
    recipe = resolve({"preset": "smoke", "labels": ["colour"], "batch": 64})
    labels: dict[str, dict[str, list[Any]]] = {
        "colour": {"values": ["red", "blue"], "codes": [1] * 32 + [0] * 32}
    }
    images = np.zeros((64, recipe.resolution, recipe.resolution, 3), np.uint8)
    places = np.arange(32, 64)
    batches = Reals(images, recipe, CPU, labels=labels, places=places)
    trainer = Trainer(recipe, batches, CPU, bf16=False)
    batch_labels = trainer.step_program.labels_of(trainer.inputs.latents(trainer.step)["z"])
    assert batch_labels is not None
    assert batch_labels[:, 0].all()


def test_an_epoch_s_order_is_kept_for_its_steps() -> None:
    recipe = resolve({"preset": "smoke", "labels": ["colour"]})
    batches = reals(recipe)
    assert batches._order(0) is batches._order(0)
    assert not torch.equal(batches._order(0), batches._order(1))
