"""Illnesses planted into real training are named within 200 steps; health is not."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.networks import modern
from models.recipes.recipe import resolve
from worker.training.batches import Reals
from worker.training.divergence import Divergence, Watch
from worker.training.trainer import Trainer

CPU = torch.device("cpu")
LATEST = 200  # steps


def faces(count: int, side: int = 16) -> NDArray[np.uint8]:
    """Discs of many colours and places on many backgrounds: (N, S, S, 3) uint8."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    images = random.integers(150, 256, (count, 1, 1, 3)).repeat(side, 1).repeat(side, 2)
    centre = random.uniform(side / 3, 2 * side / 3, (count, 2))
    for image, (row, column), colour in zip(
        images, centre, random.integers(0, 160, (count, 3)), strict=True
    ):
        image[(rows - row) ** 2 + (columns - column) ** 2 < (side / 4) ** 2] = colour
    return images.astype(np.uint8)


def start(count: int = 512, **fields: Any) -> tuple[Trainer, Watch]:
    recipe = resolve({"preset": "smoke", "dataset_limit": None, **fields})
    images = faces(count)
    real_diversity = float((images / 127.5).std(0).mean())
    trainer = Trainer(recipe, Reals(images, recipe, CPU), CPU, bf16=False)
    return trainer, Watch(recipe.loss, real_diversity)


def alarms(trainer: Trainer, watch: Watch, steps: int) -> list[str]:
    return [alarm.name for _ in range(steps) for alarm in watch.update(trainer.advance())]


def test_a_collapse_is_named() -> None:
    trainer, watch = start(generator={"learning_rate": 1e-12})
    generator = trainer.generator
    assert isinstance(generator, modern.Generator)
    assert generator.mapping is not None
    with torch.no_grad():
        # Whatever z is, the mapping gives one style.
        generator.mapping.layers.get_parameter("2.weight").zero_()
        for block in generator.synthesis.blocks:
            assert isinstance(block, modern.Block)
            block.affine.weight.zero_()
    assert "collapse" in alarms(trainer, watch, LATEST)


def test_a_weight_that_is_no_number_is_named() -> None:
    trainer, watch = start()
    alarms(trainer, watch, 20)
    with torch.no_grad():
        next(trainer.generator.parameters()).fill_(float("nan"))
    with pytest.raises(Divergence, match="no longer a finite number"):
        alarms(trainer, watch, LATEST)


@pytest.mark.parametrize("loss", ["relativistic", "logistic"])
def test_an_unbeatable_discriminator_is_named(loss: str) -> None:
    trainer, watch = start(loss=loss, gamma=0, generator={"learning_rate": 1e-12})
    assert "discriminator_winning" in alarms(trainer, watch, LATEST)


def test_losses_that_run_away_are_named_while_they_are_numbers_still() -> None:
    fast = {"learning_rate": 0.1}
    trainer, watch = start(generator=fast, discriminator=fast, gamma=0)
    assert "diverging" in alarms(trainer, watch, LATEST)


@pytest.mark.slow
def test_a_healthy_run_of_twenty_thousand_images_raises_no_alarm() -> None:
    trainer, watch = start(count=5_000)
    assert alarms(trainer, watch, 20_000 // trainer.recipe.batch) == []
