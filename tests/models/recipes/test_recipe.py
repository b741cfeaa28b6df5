"""Presets, overrides, and the errors of invalid ones."""

from typing import Any

import pytest

from models.errors import InvalidRecipe, UnknownPreset
from models.recipes.presets import PRESETS
from models.recipes.recipe import resolve


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_recipe(preset: str) -> None:
    recipe = resolve({"preset": preset})
    assert recipe.preset == preset
    assert resolve(recipe.model_dump()) == recipe


def test_classic_is_the_tutorials_recipe() -> None:
    recipe = resolve({"preset": "classic"})
    assert (recipe.resolution, recipe.latent, recipe.batch, recipe.epochs) == (96, 100, 100, 2500)
    assert recipe.loss == "bce"
    for adam in (recipe.generator, recipe.discriminator):
        assert (adam.learning_rate, adam.beta1, adam.beta2) == (1e-4, 0.9, 0.999)


def test_asking_for_one_length_drops_the_presets() -> None:
    recipe = resolve({"preset": "modern-64", "images": 100})
    assert (recipe.minutes, recipe.images, recipe.epochs) == (None, 100, None)


def test_an_optimiser_is_overridden_field_by_field() -> None:
    recipe = resolve({"preset": "modern-64", "generator": {"learning_rate": 0.001}})
    assert recipe.generator.learning_rate == 0.001
    assert recipe.generator.beta2 == 0.99


def test_the_error_for_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(UnknownPreset, match=", ".join(sorted(PRESETS))):
        resolve({"preset": "modern-65"})


@pytest.mark.parametrize(
    ("overrides", "field", "words"),
    [
        pytest.param({"batch": 1}, "batch", "2 to 4096", id="batch-too-small"),
        pytest.param({"batch": "many"}, "batch", "2 to 4096", id="batch-no-number"),
        pytest.param({"minutes": 0}, "minutes", "above 0 to 100000", id="no-time"),
        pytest.param({"colour": 1}, "colour", "not a field of a recipe", id="unknown-field"),
        pytest.param({"resolution": 65}, "recipe", "nearest to 65: 64", id="size-off-the-grid"),
        pytest.param({"resolution": 512}, "resolution", "16 to 256", id="too-big"),
        pytest.param(
            {"generator": {"learning_rate": 2}}, "generator.learning_rate", "0.1", id="nested"
        ),
        pytest.param(
            {"generator": {"beta1": 1}}, "generator.beta1", "0 to below 1", id="nested-below"
        ),
        pytest.param({"network": "classic"}, "recipe", "96×96", id="classic-at-64"),
        pytest.param({"minutes": None}, "recipe", "`minutes`, `images` or `epochs`", id="endless"),
    ],
)
def test_a_wrong_field_is_named_with_its_range(
    overrides: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidRecipe, match="cannot be used") as error:
        resolve({"preset": "modern-64", **overrides})
    problems = {item["field"]: item["problem"] for item in error.value.problems}
    assert words in problems[field]
