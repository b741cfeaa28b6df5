"""Where labels say what a picture shows, a generator also learns that very picture."""

from typing import Any

import numpy as np
import pytest
import torch

from models.errors import InvalidRecipe
from models.networks import modern
from models.recipes.recipe import Recipe, resolve
from worker import student
from worker.student import Plan, StudentTraining
from worker.training import matching
from worker.training.batches import Reals
from worker.training.distributed.collectives import Share
from worker.training.trainer import Trainer

CPU = torch.device("cpu")
COUNT, SIDE = 64, 16
COLOURS = np.array([[220, 40, 40], [40, 200, 60], [40, 40, 220], [230, 230, 30]])
NAMES = ["red", "green", "blue", "yellow"]
CODES = np.random.default_rng(0).integers(0, 4, COUNT)
LABELS: dict[str, dict[str, list[Any]]] = {"colour": {"values": NAMES, "codes": CODES.tolist()}}


def recipe_of(**fields: Any) -> Recipe:
    return resolve({"preset": "smoke", "labels": ["colour"], "match_weight": 20.0, **fields})


def reals(recipe: Recipe, share: Share | None = None) -> Reals:
    """Plain pictures in four colours, which are their labels."""
    images = COLOURS[CODES][:, None, None].repeat(SIDE, 1).repeat(SIDE, 2).astype(np.uint8)
    return Reals(images, recipe, CPU, share, labels=LABELS)


def test_the_distance_is_the_mean_absolute_difference_at_three_scales() -> None:
    drawn, real = torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8)
    assert matching.distance(drawn, real) == 0
    assert matching.distance(drawn + 0.5, real) == pytest.approx(0.5)
    real[:, :, ::2] = 1.0  # lines, which the half and the quarter see as grey
    real[:, :, 1::2] = -1.0
    assert matching.distance(drawn, real) == pytest.approx(1 / 3)


@pytest.mark.parametrize("share", [Share(), Share(rank=1, world=2)], ids=["alone", "second"])
@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_drawn_images_have_the_labels_of_the_real_ones_beside_them(
    share: Share, balance: float
) -> None:
    trainer = Trainer(recipe_of(balance=balance), reals(recipe_of(balance=balance)), CPU, False)
    trainer.inputs = type(trainer.inputs)(
        trainer.recipe,
        reals(trainer.recipe, share),
        CPU,
        share,
        layers=trainer.inputs.layers,
        has_features=False,
    )
    for step in (0, 5, 11):
        inputs = trainer.inputs.sample(step, 0.0)
        labels = trainer.step_program.labels_of(inputs["z"])
        assert labels is not None
        assert torch.equal(labels, inputs["labels"])


def colour_error(trainer: Trainer) -> float:
    """The mean difference of drawn images from their labels' colours, in levels of 255."""
    inputs = trainer.inputs.sample(10_000, 0.0)
    with torch.no_grad():
        drawn = trainer.average(inputs["z"])
    real = trainer.reals.batch(10_000)
    return float((drawn - real).abs().mean()) * 127.5


def test_a_generator_learns_the_pictures_of_its_labels() -> None:
    errors = {}
    for weight in (0.0, 20.0):
        recipe = recipe_of(match_weight=weight, batch=16, ema_images=0)
        trainer = Trainer(recipe, reals(recipe), CPU, bf16=False)
        for _ in range(60):
            losses = trainer.advance()
        assert ("g_distance" in losses) == bool(weight)
        errors[weight] = colour_error(trainer)
    assert errors[20.0] < 0.6 * errors[0.0]


def test_a_student_learns_the_pictures_of_its_labels_without_a_discriminator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(student, "LEARNING_RATE", 0.02)  # sixty steps from random weights
    recipe = recipe_of(batch=16)
    trainer = Trainer(recipe, reals(recipe), CPU, bf16=False)
    generator = trainer.average
    assert isinstance(generator, modern.Generator)
    teacher = matching.LabelledPictures(trainer.inputs)
    training = StudentTraining(generator, teacher, Plan(steps=60, start=0, mapping=True))
    while not training.is_finished:
        training.advance()
    after, before = training.measure()
    assert after < 0.6 * before


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"labels": []}, "needs `labels`"),
        ({"flip": True}, "`flip` must be false"),
        ({"match_weight": 0, "matching_steps": 5}, "need a `match_weight` above 0"),
    ],
)
def test_a_recipe_whose_labels_do_not_say_the_picture_is_refused(
    fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidRecipe, match=sentence):
        recipe_of(**fields)
