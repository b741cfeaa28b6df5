"""Pictures with rare values of labels are shown more often, as `balance` says."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from models.faces.attributes import Attribute
from models.recipes.recipe import Recipe, resolve
from worker.training.balance import MOST, Balance, weights
from worker.training.batches import Reals

GLASSES = np.array([0] * 90 + [1] * 10)
MOOD = np.array([0, 1] * 50)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_an_image_weighs_as_much_as_its_rarest_value() -> None:
    balanced = weights([GLASSES, MOOD], 1.0)
    # 1 / (2 * 0.1) = 5 with glasses; else the mood's 1 / (2 * 0.5) = 1.
    assert balanced[95] / balanced[0] == pytest.approx(5.0)
    assert balanced.mean() == pytest.approx(1.0)


@pytest.mark.parametrize("balance", [pytest.param(b, id=str(b)) for b in (0.0, 0.5, 1.0)])
def test_the_exponent_decides_how_far(balance: float) -> None:
    balanced = weights([GLASSES], balance)
    # With glasses 1 / (2 * 0.1) = 5; without them never below 1.
    assert balanced[95] / balanced[0] == pytest.approx(5.0**balance)


def test_the_only_image_of_a_value_is_not_learnt_by_heart() -> None:
    balanced = weights([np.array([1] + [0] * 9_999)], 1.0)
    assert balanced[0] / balanced[1] == pytest.approx(MOST)


def test_a_value_that_no_image_has_counts_for_nothing() -> None:
    assert weights([np.array([0, 2, 2, 0])], 1.0).tolist() == [1.0] * 4


def test_a_pass_shows_each_image_as_often_as_its_weight() -> None:
    balanced = weights([GLASSES], 1.0)
    order = Balance(balanced).order(random())
    counts = np.bincount(order.numpy(), minlength=100)
    assert len(order) == 100
    assert (np.abs(counts - balanced) < 1).all()
    assert counts[90:].sum() == pytest.approx(100 * 50 / 140, abs=1), "ten of a hundred"


def test_images_are_sampled_by_their_weights() -> None:
    rows = Balance(weights([GLASSES], 1.0)).sample(20_000, random()).numpy()
    assert (rows >= 90).mean() == pytest.approx(50 / 140, abs=0.02)
    assert set(rows.tolist()) == set(range(100))


def reals(recipe: Recipe, codes: list[int], places: Any = None) -> Reals:
    images = np.arange(len(codes), dtype=np.uint8)[:, None, None, None].repeat(16, 1).repeat(16, 2)
    labels: dict[str, dict[str, list[Any]]] = {
        "colour": {"values": ["blue", "red"], "codes": codes},
        "outline": {"values": ["disc", "star"], "codes": [1, *[0] * (len(codes) - 1)]},
    }
    return Reals(images.repeat(3, 3), recipe, torch.device("cpu"), labels=labels, places=places)


def recipe(**fields: Any) -> Recipe:
    return resolve(
        {"preset": "smoke", "labels": ["colour"], "batch": 10, "dataset_limit": None, **fields}
    )


CODES = [0] * 90 + [1] * 10


def test_real_and_drawn_faces_have_the_balanced_labels_and_the_card_those_of_the_set() -> None:
    dataset = reals(recipe(balance=1.0), CODES)
    colour = dataset.attributes[0]
    real = np.concatenate([dataset.batch(step)[:, 0, 0, 0].numpy() for step in range(10)])
    assert (np.round((real + 1) * 127.5) >= 90).sum() == pytest.approx(100 * 50 / 140, abs=1)
    drawn = [
        colour.value_of(float(z[0])) for step in range(100) for z in dataset.sample_attributes(step)
    ]
    assert Counter(drawn)["red"] == pytest.approx(1000 * 50 / 140, abs=80)
    assert colour == Attribute(name="colour", values=["blue", "red"], shares=[0.9, 0.1])


def test_a_step_has_the_same_images_in_whatever_order_steps_are_read() -> None:
    first, again = (reals(recipe(balance=0.7), CODES) for _ in range(2))
    again.batch(25)
    for step in (3, 12):
        assert torch.equal(first.batch(step), again.batch(step))
        assert torch.equal(first.sample_attributes(step), again.sample_attributes(step))


def test_without_balance_each_image_comes_once_a_pass() -> None:
    dataset = reals(recipe(), CODES)
    shown = torch.cat([dataset.batch(step)[:, 0, 0, 0] for step in range(10)])
    assert len(shown.unique()) == 100


def test_rare_values_of_hidden_labels_are_shown_more_often_too() -> None:
    dataset = reals(recipe(balance=1.0, hidden_labels=["outline"]), [0, 1] * 50)
    shown = np.concatenate([dataset.batch(step)[:, 0, 0, 0].numpy() for step in range(10)])
    assert (np.round((shown + 1) * 127.5) == 0).sum() == pytest.approx(MOST * 100 / 109, abs=1)


def test_a_set_of_numbers_alone_has_nothing_to_balance() -> None:
    dataset = reals(resolve({"preset": "smoke", "batch": 10, "balance": 1.0}), CODES)
    shown = torch.cat([dataset.batch(step)[:, 0, 0, 0] for step in range(10)])
    assert len(shown.unique()) == 100


def test_only_the_images_of_training_are_shown() -> None:
    places = np.arange(80, 100)
    dataset = reals(recipe(balance=1.0), CODES, places)
    shown = np.concatenate([dataset.batch(step)[:, 0, 0, 0].numpy() for step in range(20)])
    assert set(np.round((shown + 1) * 127.5).astype(int).tolist()) <= set(places.tolist())
    assert len(dataset.sample_attributes(0)) == 10
