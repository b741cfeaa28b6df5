"""Where labels say what a picture shows, a generator also learns that very picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.errors import InvalidRecipe
from models.faces.attributes import Attribute
from models.networks.modern import Generator
from models.recipes.recipe import Recipe, resolve
from tests.worker.training.interruptions import execute_next, hand_back
from tests.worker.training.types import Attempts, EventsOf
from worker.enlarging import drawings
from worker.enlarging.training import EnlargerTrainer
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


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"labels": []}, "needs `labels`"),
        ({"flip": True}, "`flip` must be false"),
    ],
)
def test_a_recipe_whose_labels_do_not_say_the_picture_is_refused(
    fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidRecipe, match=sentence):
        recipe_of(**fields)


def test_the_enlarger_gets_a_drawing_of_each_picture_s_labels() -> None:
    attribute = Attribute(name="colour", values=NAMES, shares=[0.25] * 4)
    network = Generator(SIDE, 8, 8, 4, attributes=[attribute]).eval()
    z = drawings.latents([attribute], LABELS, 9, seed=0)
    assert network.mapping is not None
    assert network.mapping.labels(z).argmax(1).tolist() == CODES.tolist()
    faces = drawings.draw(network, [attribute], LABELS, seed=0)
    assert faces.shape == (COUNT, SIDE, SIDE, 3)
    assert np.array_equal(faces, drawings.draw(network, [attribute], LABELS, seed=0))


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """A folder of class folders: 64 plain pictures four times as large as the generator's."""
    folder = tmp_path / "colours"
    for number, code in enumerate(CODES):
        place = folder / NAMES[code]
        place.mkdir(parents=True, exist_ok=True)
        # A little apart, so that none counts as another's copy.
        colour = tuple((COLOURS[code] + number % 16).tolist())
        Image.new("RGB", (4 * SIDE, 4 * SIDE), colour).save(place / f"{number:02}.png")
    return folder


@pytest.mark.usefixtures("any_enlarger_is_better")
def test_a_run_trains_its_enlarger_on_drawings_and_resumes_it(
    attempt: Attempts, coloured: Path, events_of: EventsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"labels": ["class"], "match_weight": 20.0, "enlarger_steps": 6}
    fields |= {"enlarger_width": 8, "enlarger_blocks": 1}
    unbroken = attempt(coloured, **fields)
    expected = unbroken.registry.folder(unbroken.execute()) / "enlarger.onnx"
    assert events_of(unbroken, "enlarger.started")[0]["drawn"] == 61

    run = attempt(coloured, **fields)
    hand_back(monkeypatch, EnlargerTrainer, run, at=2)
    version, steps = execute_next(monkeypatch, EnlargerTrainer, run)
    assert steps == [3, 4, 5]
    assert (run.registry.folder(version) / "enlarger.onnx").read_bytes() == expected.read_bytes()
