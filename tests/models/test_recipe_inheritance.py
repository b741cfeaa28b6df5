"""What may change when a run goes on, and what a child inherits."""

import pytest
import sqlalchemy as sa

from models import recipe_inheritance, runs
from models.errors import InvalidRecipe, UnknownPreset
from models.recipes import recipe as recipes
from models.registry import Registry
from models.settings import Settings
from tests.support.fixtures import Begin, WriteBundle


@pytest.fixture
def registry(engine: sa.Engine, settings: Settings) -> Registry:
    return Registry(engine, settings.storage)


def test_a_child_inherits_its_parents_recipe_and_its_own_length(
    engine: sa.Engine, registry: Registry, begin: Begin
) -> None:
    parent, _ = begin("succeeded")
    recipe = recipe_inheritance.resolve(
        engine, registry, {"start_from": parent, "minutes": 5, "gamma": 3}
    )
    assert (recipe.start_from, recipe.preset, recipe.resolution) == (parent, "smoke", 16)
    assert (recipe.minutes, recipe.images, recipe.gamma) == (5, None, 3)


def test_a_child_keeps_its_parents_preset(
    engine: sa.Engine, registry: Registry, begin: Begin
) -> None:
    parent, _ = begin("succeeded")
    overrides = {"start_from": parent, "minutes": 5}
    recipe = recipe_inheritance.resolve(engine, registry, {**overrides, "preset": "modern-64"})
    assert (recipe.preset, recipe.resolution) == ("smoke", 16)
    with pytest.raises(UnknownPreset):
        recipe_inheritance.resolve(engine, registry, {**overrides, "preset": "nonsense"})


def test_a_model_may_be_fine_tuned_on_another_set(
    engine: sa.Engine, registry: Registry, write_bundle: WriteBundle, settings: Settings
) -> None:
    version = registry.import_folder(write_bundle())
    overrides = {"start_from": version, "dataset": "mine", "images": 100}
    recipe = recipe_inheritance.resolve(engine, registry, overrides)
    assert (recipe.dataset, recipe.preset, recipe.start_from) == ("mine", "smoke", version)


def test_a_model_may_learn_labels_beside_another_discriminator(
    engine: sa.Engine, registry: Registry, write_bundle: WriteBundle
) -> None:
    version = registry.import_folder(write_bundle())
    overrides = {"start_from": version, "labels": ["mood"], "discriminator_width": 8, "images": 100}
    recipe = recipe_inheritance.resolve(engine, registry, overrides)
    assert (recipe.labels, recipe.discriminator_width) == (["mood"], 8)


def test_without_a_source_a_preset_is_resolved(engine: sa.Engine, registry: Registry) -> None:
    assert recipe_inheritance.resolve(engine, registry, {"preset": "smoke"}).preset == "smoke"


def test_an_unknown_source_is_named(engine: sa.Engine, registry: Registry) -> None:
    with pytest.raises(InvalidRecipe, match="neither a run nor a model") as error:
        recipe_inheritance.resolve(engine, registry, {"start_from": "nobody"})
    assert error.value.problems[0]["field"] == "start_from"


@pytest.mark.parametrize("field", sorted(recipe_inheritance.WEIGHT_FIELDS))
def test_a_childs_networks_have_its_parents_shape(
    engine: sa.Engine, registry: Registry, begin: Begin, field: str
) -> None:
    parent, _ = begin("succeeded")
    value = "classic" if field == "network" else 64
    with pytest.raises(InvalidRecipe, match=field):
        recipe_inheritance.resolve(
            engine, registry, {"start_from": parent, field: value, "minutes": 1}
        )


@pytest.mark.parametrize("field", ["batch", "dataset", "seed", "width"])
def test_a_resumed_run_keeps_what_its_place_is_counted_in(
    engine: sa.Engine, begin: Begin, field: str
) -> None:
    run, _ = begin("failed")
    value = "other" if field == "dataset" else 64
    with pytest.raises(InvalidRecipe, match=field):
        recipe_inheritance.change(runs.get(engine, run)["recipe"], {field: value})


@pytest.mark.parametrize(("before", "after"), [(0.0, 1.0), (1.0, 0.0)])
def test_a_discriminator_that_names_no_labels_cannot_begin_to(before: float, after: float) -> None:
    recipe = recipes.resolve({"preset": "smoke", "label_weight": before}).model_dump()
    with pytest.raises(InvalidRecipe, match="label_weight"):
        recipe_inheritance.change(recipe, {"label_weight": after})


def test_how_much_labels_weigh_may_change_within_a_run() -> None:
    recipe = recipes.resolve({"preset": "smoke", "label_weight": 1.0}).model_dump()
    assert recipe_inheritance.change(recipe, {"label_weight": 0.5}).label_weight == 0.5


def test_a_resumed_run_may_last_longer_and_learn_slower(engine: sa.Engine, begin: Begin) -> None:
    run, _ = begin("failed")
    before = runs.get(engine, run)["recipe"]
    overrides = {"minutes": 9, "generator": {"learning_rate": 1e-5}, "width": before["width"]}
    row = runs.resume(engine, run, recipe_inheritance.change(before, overrides))
    assert row["state"] == "queued"
    assert row["recipe"]["minutes"] == 9
    assert row["recipe"]["images"] is None
    assert row["recipe"]["generator"] == {**before["generator"], "learning_rate": 1e-5}


@pytest.mark.parametrize(
    ("before", "after", "is_possible"),
    [
        ([], ["hair"], True),
        (["hair"], ["hair", "eyes"], True),
        (["hair", "eyes"], ["eyes", "hair"], False),
        (["hair"], [], False),
    ],
)
def test_a_run_goes_on_with_more_hidden_labels_but_not_with_others(
    engine: sa.Engine,
    registry: Registry,
    before: list[str],
    after: list[str],
    is_possible: bool,
) -> None:
    row, _ = runs.create(
        engine, recipes.resolve({"preset": "smoke", "hidden_labels": before}), {"preset": "smoke"}
    )
    overrides = {"start_from": row["id"], "hidden_labels": after, "images": 100}
    if is_possible:
        recipe = recipe_inheritance.resolve(engine, registry, overrides)
        assert recipe.hidden_labels == after
    else:
        with pytest.raises(InvalidRecipe, match="hidden_labels"):
            recipe_inheritance.resolve(engine, registry, overrides)


def test_a_label_is_hidden_or_a_parameter() -> None:
    with pytest.raises(InvalidRecipe, match="once"):
        recipes.resolve({"preset": "smoke", "labels": ["mood"], "hidden_labels": ["mood"]})


def test_residual_convolutions_cannot_change_within_a_run(
    engine: sa.Engine, registry: Registry, begin: Begin
) -> None:
    parent, _ = begin("succeeded")
    with pytest.raises(InvalidRecipe) as error:
        recipe_inheritance.resolve(engine, registry, {"start_from": parent, "residuals": 2})
    assert error.value.problems[0]["field"] == "residuals"
    with pytest.raises(InvalidRecipe):
        recipe_inheritance.change(runs.get(engine, parent)["recipe"], {"residuals": 2})


def test_a_model_may_get_more_residual_convolutions_but_not_fewer(
    engine: sa.Engine, registry: Registry, write_bundle: WriteBundle
) -> None:
    version = registry.import_folder(write_bundle())
    overrides = {"start_from": version, "images": 100}
    recipe = recipe_inheritance.resolve(engine, registry, {**overrides, "residuals": 1})
    assert recipe.residuals == 1


def test_a_source_that_is_no_text_is_named(engine: sa.Engine, registry: Registry) -> None:
    with pytest.raises(InvalidRecipe) as error:
        recipe_inheritance.resolve(engine, registry, {"start_from": "\ud800"})
    assert error.value.problems[0]["field"] == "start_from"
