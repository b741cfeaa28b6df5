"""What is scheduled over a run follows its images, and the clock only where `minutes` end it."""

from typing import Any

import pytest

from models.recipes.recipe import resolve
from worker.training import schedules


def fraction(steps: int, seconds: float, **length: Any) -> float:
    """The share of a run that is done; a pass is 10 steps of 8 images."""
    recipe = resolve({"preset": "smoke", **length})
    return schedules.run_fraction(recipe, steps, seconds, steps_per_epoch=10)


@pytest.mark.parametrize("length", [{"images": 800}, {"epochs": 10}], ids=["images", "epochs"])
def test_a_run_that_images_end_does_not_see_the_clock(length: dict[str, int]) -> None:
    for seconds in (0.0, 1.0, 1e6):
        assert fraction(25, seconds, **length) == 0.25


def test_a_run_that_minutes_end_follows_the_clock() -> None:
    assert fraction(25, 30.0, minutes=2) == 0.25
    assert fraction(99, 30.0, minutes=2) == 0.25


def test_the_first_end_that_is_reached_counts() -> None:
    assert fraction(25, 90.0, minutes=2, images=800) == 0.75
    assert fraction(90, 30.0, minutes=2, images=800) == 0.9
