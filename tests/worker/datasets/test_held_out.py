"""The held-out part of a set is the same everywhere, and no run trains on it."""

import numpy as np
import torch

from models.recipes.presets import PRESETS
from models.recipes.recipe import resolve
from worker.datasets import held_out
from worker.training.batches import Reals

NAMES = [f"{index:06}" for index in range(2_000)]


def test_a_name_has_its_place_for_ever() -> None:
    """A moved digest would let new runs train on what earlier ones held out."""
    assert [round(held_out.position(name), 6) for name in ("000000", "é/1.png")] == [
        0.506373,
        0.807072,
    ]


def test_about_the_share_is_held_out_wherever_the_names_stand() -> None:
    mask = held_out.mask(NAMES, 0.05)
    assert 70 < mask.sum() < 130
    assert (held_out.mask(NAMES[::-1], 0.05)[::-1] == mask).all()
    assert not (mask & ~held_out.mask(NAMES, 0.1)).any(), "a larger share has all of a smaller"


def test_a_small_set_keeps_every_picture() -> None:
    assert held_out.training_places(NAMES[:-1], 0.05) is None
    assert held_out.training_places(NAMES, 0.0) is None
    assert held_out.training_places(NAMES, 0.05) is not None


def test_a_recipe_of_before_holds_nothing_out_and_new_runs_do() -> None:
    assert resolve({"images": 10}).held_out == 0.05
    before = resolve({"images": 10}).model_dump(mode="json")
    del before["held_out"]
    assert resolve({}, before).held_out == 0
    assert PRESETS["classic"].get("held_out", 0) == 0


def test_no_held_out_image_is_trained_on_and_every_other_one_is() -> None:
    recipe = resolve({"preset": "smoke", "batch": 50, "held_out": 0.05})
    images = np.arange(2_000, dtype=np.int64)
    pixels = np.zeros((2_000, 16, 16, 3), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = images % 256, images // 256
    places = held_out.training_places(NAMES, recipe.held_out)
    assert places is not None
    labels = {"half": {"values": ["a", "b"], "codes": (images >= 1_000).astype(int).tolist()}}
    recipe = recipe.model_copy(update={"labels": ["half"]})
    reals = Reals(pixels, recipe, torch.device("cpu"), labels=labels, places=places)
    trained_numbers: set[int] = set()
    for step in range(reals.steps_per_epoch):
        batch = reals.batch(step).add(1).mul(127.5).round().long()
        numbers = (batch[:, 0, 0, 0] + 256 * batch[:, 1, 0, 0]).tolist()
        trained_numbers |= set(numbers)
        truth = reals.inputs(step)["labels"]
        assert truth.argmax(1).tolist() == [int(number >= 1_000) for number in numbers]
    assert trained_numbers <= set(places.tolist())
    assert len(trained_numbers) == reals.steps_per_epoch * 50
    shares = reals.attributes[0].shares
    assert shares[1] == np.mean(places >= 1_000)
